package archtest

import "strings"

// importRule says what packages of this module a package may import. Patterns
// are folders from the root; `x/...` is x and all below it, `x/*` is what lies
// directly in x. The first rule whose pattern matches is the package's rule.
type importRule struct {
	pkg    string
	may    []string
	reason string
}

// The vocabulary and rules that everything may use; they import the standard
// library and each other only.
var sharedCore = []string{
	"internal/invariant", "internal/canon", "internal/money", "internal/tariff",
	"internal/zones", "internal/rating", "internal/charging", "internal/contract", "internal/journal", "internal/feed", "internal/verify", "internal/mschap",
}

// The pure part of the edge.
var edgeCore = []string{"edge/session", "edge/balance", "edge/command", "edge/fsm"}

// importTable is the layering, first match first. A package that no line names
// is a violation: its place has to be decided.
func importTable() []importRule {
	core := with(sharedCore, edgeCore...)
	return []importRule{
		// The functional core.
		{"internal/invariant", nil, "it is below everything"},
		{"internal/canon", nil, "it is below everything"},
		{"internal/money", []string{"internal/invariant", "internal/canon"}, "amounts know nothing of tariffs or books"},
		{"internal/tariff", []string{"internal/money", "internal/invariant", "internal/canon"}, "the catalog's vocabulary is rated by others"},
		{"internal/mschap", []string{"internal/invariant"}, "it is a protocol's arithmetic; the centre makes its hashes, the edge checks with them"},
		{"internal/zones", nil, "the zones' data stands for itself"},
		{"internal/rating", []string{"internal/zones", "internal/tariff", "internal/money", "internal/invariant", "internal/canon"}, "a price depends on tariff and usage alone"},
		{"internal/charging", []string{"internal/rating", "internal/tariff", "internal/money", "internal/invariant", "internal/canon"}, "who pays depends on the wallet, the price and the usage alone"},
		{"internal/contract", []string{"internal/rating", "internal/tariff", "internal/money", "internal/invariant", "internal/canon"}, "what falls due depends on the offering, the contract and the time alone"},
		{"internal/journal", []string{"internal/rating", "internal/money", "internal/invariant", "internal/canon"}, "a ledger stands for itself: beside amounts it holds the slices that priced a usage"},
		{"internal/replay", sharedCore, "a record is priced again by the rules that priced it, from what stands in it"},
		{"internal/sheet", sharedCore, "a sheet is read at the centre and at a shell; what it may say is the vocabulary's"},
		{"internal/why", with(sharedCore, "internal/replay"), "an answer says what was charged, and holds it against the core's own arithmetic"},
		{"internal/trial", with(sharedCore, "internal/sheet", "internal/why"), "a trial prices and pays by the core alone, so that it comes to what a region comes to"},
		{"internal/feed", sharedCore, "both sides read the feed's vocabulary"},
		{"internal/verify", sharedCore, "an auditor that shares the code it audits proves nothing"},
		{"edge/session", []string{"internal/invariant", "internal/canon"}, "counters know no money"},
		{"edge/balance", []string{"internal/journal", "internal/money", "internal/invariant", "internal/canon"}, "buckets count in the ledger's units; they know no sessions and no tariffs"},
		{"edge/command", with(sharedCore, "edge/session", "edge/balance"), "commands are data"},
		{"edge/fsm", core, "the state machine is pure"},

		// Mechanism: knows no billing.
		{"replication/...", []string{"replication/...", "proto/..."}, "replication moves bytes and knows no billing"},
		{"radius/...", []string{"radius/..."}, "RADIUS is a protocol and knows no billing"},
		{"proto/...", []string{"proto/..."}, "generated from the wire's definition"},

		// The edge's shell.
		{"edge/store", with(core, "proto/...", "replication/..."), "it owns raft; rules are in edge/fsm"},
		{"edge/aaa", with(core, "radius/...", "edge/store"), "it turns packets into commands"},
		{"edge/uplink", with(core, "proto/...", "replication/link", "edge/store"), "it turns the feed into commands and the outbox into batches"},
		{"edge/*", with(core, "edge/store"), "local services speak to the state machine by commands"},
		{"edge", with(core, "edge/...", "radius/...", "replication/...", "proto/...", "ops/..."), "a node's composition root"},

		// The centre.
		{"central/cockroach/testdb", []string{"central/embedded"}, "tests of every part of the centre use it"},
		{"central/cockroach/...", with(sharedCore, "central/...", "proto/..."), "all SQL of every domain"},
		{"central/embedded", nil, "a supervisor knows no billing"},
		{"central/fault", nil, "errors of every domain's making"},
		{"central/store", with(sharedCore, "central/fault"), "the transaction runner knows no domain"},
		{"central/store/storetest", with(sharedCore, "internal/replay", "internal/why", "central/...", "replication/..."), "the contract that every backend passes, through the services"},
		{"central/feed", with(sharedCore, "central/store", "central/fault"), "changes of every domain pass through it"},
		{"central/regions", with(domains(), "replication/...", "proto/..."), "it ends the link"},
		{"central/api", with(domains(), "central/regions", "proto/..."), "it speaks to services, not to SQL"},
		{"central/console", with(domains(), "central/regions", "central/api"), "it speaks to services, not to SQL"},
		{"central/*", domains(), "a domain declares the Store it needs and never sees SQL"},
		{"central/*/...", domains(), "a domain declares the Store it needs and never sees SQL"},
		{"central", with(sharedCore, "central/...", "replication/...", "proto/...", "ops/..."), "the centre's composition root"},

		// Around them.
		{"ops/...", []string{"ops/..."}, "metrics, logs and health are given values; they know no domain"},
		{"internal/archtest", nil, "it reads source text"},
		{"internal/testrun", nil, "it runs go test"},
		{"internal/sim", with(core, "internal/sim/...", "edge/...", "central/...", "replication/...", "proto/..."), "it tests both sides together"},
		{"internal/sim/...", with(core, "internal/sim/...", "edge/...", "central/...", "replication/...", "proto/..."), "it tests both sides together"},
		{"internal/chaos/...", with(core, "internal/sim/history", "edge/...", "central/...", "replication/...", "radius/...", "proto/...", "ops/..."), "it breaks real processes"},
		{"internal/acceptance/...", with(core, "edge/...", "central/...", "replication/...", "radius/...", "proto/...", "ops/..."), "it tests real processes"},
		{"cmd/...", []string{"cmd/...", "internal/...", "edge/...", "central/...", "replication/...", "radius/...", "proto/...", "ops/...", "deploy/..."}, "flags, signals and wiring"},
		{"deploy/...", nil, "data of the installation"},
		{".", nil, "the root holds no code that depends on the rest"},
	}
}

// domains is what a domain package of the centre may use: its peers, but no
// SQL, no server and no composition root.
func domains() []string {
	return with(sharedCore, "internal/sheet", "internal/replay", "internal/why", "central/*", "!central/cockroach", "!central/embedded", "!central/api", "!central/console")
}

// walls hold for tests too: no test may make two sides depend on each other.
func walls() []importRule {
	return []importRule{
		{"edge/...", []string{"!central/...", "!cmd/..."}, "an edge works without the centre"},
		{"central/...", []string{"!edge/...", "!cmd/..."}, "the centre serves edges of other versions"},
		{"replication/...", []string{"!edge/...", "!central/...", "!radius/...", "!cmd/..."}, "replication knows no billing"},
		{"radius/...", []string{"!edge/...", "!central/...", "!replication/...", "!cmd/..."}, "RADIUS knows no billing"},
		{"internal/...", []string{"!cmd/..."}, "nobody imports cmd"},
		{"ops/...", []string{"!cmd/..."}, "nobody imports cmd"},
		{"proto/...", []string{"!cmd/..."}, "nobody imports cmd"},
	}
}

// foreignRule says which packages may import another module.
type foreignRule struct {
	module string
	only   []string
	reason string
}

func foreignTable() []foreignRule {
	return []foreignRule{
		{"github.com/prometheus", []string{"ops/...", "cmd/..."}, "packages count in plain fields; ops exports them"},
		{"github.com/spf13", []string{"cmd/..."}, "flags are read in cmd only"},
		{"github.com/jackc", []string{"central/cockroach/...", "central/embedded"}, "SQL is spoken in central/cockroach"},
		{"github.com/cockroachdb", []string{"central/cockroach/..."}, "SQL is spoken in central/cockroach"},
		{"github.com/lib/pq", nil, "pgx is the one driver"},
		{"database/sql", []string{"central/cockroach/..."}, "SQL is spoken in central/cockroach"},
		{"github.com/anishathalye/porcupine", []string{"internal/sim/history"}, "one package judges histories"},
		{"github.com/goccy/go-yaml", []string{"internal/sheet", "cmd/..."}, "tariff sheets are read in one place; settings are cmd's"},
		{"github.com/santhosh-tekuri/jsonschema", nil, "the schema is checked in tests; the reader judges"},
		{"layeh.com/radius", []string{"radius/..."}, "package radius wraps it, with bounds"},
		{"github.com/hashicorp/raft", []string{"replication/...", "edge/store"}, "raft is behind edge/store"},
		{"github.com/hashicorp/memberlist", []string{"replication/..."}, "membership is replication's"},
		{"google.golang.org/grpc", []string{"replication/...", "proto/...", "central", "central/regions", "central/api", "edge", "edge/store", "edge/uplink", "cmd/...", "internal/acceptance/..."}, "the wire stays at the joints"},
	}
}

// pure are the packages that work on what they are given.
func pure() []string { return with(sharedCore, edgeCore...) }

// portImports are the exceptions: a package that declares an interface to the
// world may name what the interface's implementations need, and no more.
func portImports() map[string][]string {
	return map[string][]string{
		"internal/verify": {"context"}, // readers of a live system can be cancelled
		"internal/zones":  {"embed"},   // what is in the binary is no input
	}
}

// impureImports are those that let the world in, their subpackages included.
func impureImports() map[string]string {
	const (
		world  = "results would depend on the machine"
		random = "randomness comes in with the command"
		order  = "the core runs in one goroutine; scheduling must not show"
		logs   = "the core returns what happened; the shell logs it"
	)
	return map[string]string{
		"os": world, "net": world, "syscall": world, "io/fs": world, "io/ioutil": world, "runtime": world,
		"path/filepath": world, "embed": world, "plugin": world, "testing": world, "unsafe": world,
		"math/rand": random, "crypto/rand": random,
		"sync": order, "context": order,
		"log": logs,
	}
}

// impureTime are the functions of package time that read the machine's clock or
// its zone database.
func impureTime() map[string]string {
	const clock = "the core takes time as an argument"
	return map[string]string{
		"Now": clock, "Since": clock, "Until": clock, "Sleep": clock, "After": clock, "AfterFunc": clock,
		"Tick": clock, "NewTimer": clock, "NewTicker": clock,
		"LoadLocation": "zones come from the binary's own tzdata, not from the machine",
		"Local":        "zones come from the binary's own tzdata, not from the machine",
	}
}

// matches tells whether dir lies in pattern.
func matches(pattern, dir string) bool {
	if prefix, deep := strings.CutSuffix(pattern, "/..."); deep {
		if parent, star := strings.CutSuffix(prefix, "/*"); star {
			rest, below := strings.CutPrefix(dir, parent+"/")
			return below && strings.Contains(rest, "/")
		}
		return dir == prefix || strings.HasPrefix(dir, prefix+"/")
	}
	if parent, star := strings.CutSuffix(pattern, "/*"); star {
		rest, below := strings.CutPrefix(dir, parent+"/")
		return below && !strings.Contains(rest, "/")
	}
	return pattern == dir
}

// allowed tells whether dir is named by one of the patterns and by none that
// begins with an exclamation mark.
func allowed(patterns []string, dir string) bool {
	return anyMatch(patterns, dir) && !denied(patterns, dir)
}

func denied(patterns []string, dir string) bool {
	for _, p := range patterns {
		if not, ok := strings.CutPrefix(p, "!"); ok && matches(not, dir) {
			return true
		}
	}
	return false
}

func anyMatch(patterns []string, dir string) bool {
	for _, p := range patterns {
		if matches(p, dir) {
			return true
		}
	}
	return false
}

// with returns a new slice: the lists of this file are never appended to.
func with(base []string, more ...string) []string {
	return append(append(make([]string, 0, len(base)+len(more)), base...), more...)
}
