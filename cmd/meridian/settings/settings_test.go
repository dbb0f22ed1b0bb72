package settings

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"pgregory.net/rapid"

	"meridian/replication/gossip"
	"meridian/replication/identity"
	"meridian/replication/kms"
	"meridian/replication/seal"
)

func write(t *testing.T, dir, name, text string) string {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// keys makes a folder with all key files of a node north-1 and a centre.
func keys(t *testing.T) (dir string) {
	t.Helper()
	dir = t.TempDir()
	ca, err := identity.NewCA("test", time.Now(), time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	for name, id := range map[string]identity.ID{"north-1": identity.Node("north", "north-1"), "centre": identity.Centre()} {
		b, err := ca.Issue(id, time.Now(), time.Hour)
		if err != nil {
			t.Fatal(err)
		}
		if err := b.Save(dir, name); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"data.ring", "north.ring"} {
		if _, err := seal.Generate(filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := gossip.GenerateKey(filepath.Join(dir, "gossip")); err != nil {
		t.Fatal(err)
	}
	write(t, dir, "token", "hush\n")
	write(t, dir, "store.url", "postgresql://meridian:hush@127.0.0.1:5432/meridian\n")
	return dir
}

const goodEdge = `cluster: acme
region: north
node: north-1
radius_auth: 127.0.1.1:1812
radius_acct: 127.0.1.1:1813
http: 127.0.1.1:8090
raft: 127.0.1.1:7001
forward: 127.0.1.1:7002
gossip: 127.0.1.1:7946
centre: [127.0.0.1:7000]
peers:
- {id: north-1, raft: 127.0.1.1:7001, forward: 127.0.1.1:7002, gossip: 127.0.1.1:7946}
- {id: north-2, raft: 127.0.1.2:7001, forward: 127.0.1.2:7002, gossip: 127.0.1.2:7946}
identity: {cert: north-1.crt, key: north-1.key, ca: ca.crt}
data_ring_file: data.ring
region_ring_file: north.ring
gossip_key_file: gossip
debug_token_file: token
`

const goodCentral = `cluster: acme
store_url_file: store.url
identity: {cert: centre.crt, key: centre.key, ca: ca.crt}
region_ring_files: {north: north.ring}
bootstrap_token_file: token
`

func TestGoodFilesLoad(t *testing.T) {
	dir := keys(t)
	e, log, err := LoadEdge(write(t, dir, "edge.yaml", goodEdge), nil)
	if err != nil || e.Region != "north" || len(e.Peers) != 2 || e.Dir != filepath.Join(dir, "data") || e.GossipKey == nil || len(e.DebugTokenHash) != 64 || log.Level != "info" {
		t.Errorf("edge: %+v, %v", e, err)
	}
	c, _, err := LoadCentral(write(t, dir, "centre.yaml", goodCentral), nil)
	if err != nil || c.Cluster != "acme" || !strings.Contains(c.StoreURL, "hush") || len(c.BootstrapTokenHash) != 64 || c.RegionKeys["north"] != filepath.Join(dir, "north.ring") {
		t.Errorf("central: %+v, %v", c, err)
	}
}

// TestDataKeysAreUnwrapped: keys that a keyring wraps load with it and not without.
func TestDataKeysAreUnwrapped(t *testing.T) {
	dir := keys(t)
	kek := filepath.Join(dir, "kek")
	if _, err := seal.Generate(kek); err != nil {
		t.Fatal(err)
	}
	keeper, err := kms.New(kms.Config{KeyringFile: kek, Timeout: time.Second})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := seal.Rewrap(t.Context(), filepath.Join(dir, "data.ring"), keeper); err != nil {
		t.Fatal(err)
	}
	e, _, err := LoadEdge(write(t, dir, "edge.yaml", goodEdge+"data_ring_kms: {keyring_file: kek}\n"), nil)
	if err != nil || e.DataRing.Sealing() != 1 {
		t.Fatalf("%v", err)
	}
	if again, err := e.ReadDataRing(t.Context()); err != nil || again.Newest() != 1 {
		t.Fatalf("read again: %v", err)
	}
	file := write(t, dir, "edge.yaml", goodEdge)
	_, _, err = LoadEdge(file, nil)
	wantFaults(t, err, file, `F:15: data_ring_file: "data.ring": seal: key file DIR/data.ring: key id 1 is wrapped by "keyring/1", and no key management is configured; set data_ring_kms`)
	file = write(t, dir, "edge.yaml", goodEdge+"data_ring_kms: {keyring_file: kek, socket: s}\n")
	if _, _, err = LoadEdge(file, nil); err == nil || !strings.Contains(err.Error(), "give one of keyring_file, command and socket") {
		t.Fatalf("two providers: %v", err)
	}
}

// wantFaults compares all faults with want, one line each, without the file's
// name.
func wantFaults(t *testing.T, err error, file, want string) {
	t.Helper()
	got := "no fault"
	if err != nil {
		got = strings.ReplaceAll(strings.ReplaceAll(err.Error(), file, "F"), filepath.Dir(file), "DIR")
	}
	if got != strings.TrimSpace(want) {
		t.Errorf("got:\n%s\nwant:\n%s", got, strings.TrimSpace(want))
	}
	for _, f := range unjoin(err) {
		if fault := new(Fault); !errors.As(f, &fault) {
			t.Errorf("%v is no *Fault", f)
		}
	}
}

func unjoin(err error) []error {
	if many, ok := err.(interface{ Unwrap() []error }); ok {
		return many.Unwrap()
	}
	return nil
}

// TestEveryFaultOfAFileAtOnce is the whole of what can be wrong, in one file.
func TestEveryFaultOfAFileAtOnce(t *testing.T) {
	dir := keys(t)
	write(t, dir, "open.ring", "x")
	if err := os.Chmod(filepath.Join(dir, "open.ring"), 0o644); err != nil {
		t.Fatal(err)
	}
	path := write(t, dir, "edge.yaml", `cluster: Acme
region: 5
nod: north-1
radius_auth: here
radius_acct: 127.0.1.1:1813
http: 127.0.1.1:99999
raft: 127.0.1.1:7001
raft: 127.0.1.1:7009
forward: 127.0.1.1:7001
gossip: localhost:7946
centre: [127.0.0.1:7000, nowhere]
peers:
- {id: north-1, raft: 127.0.1.1:7001, forward: 127.0.1.1:7002, gossip: 127.0.1.1:7946}
- {id: north-1, raft: 127.0.1.2:7001, forward: 127.0.1.2:7002, port: 1}
identity:
  cert: north-1.crt
  key: none.key
data_ring_file: 0a1b2c3d4e5f60718293a4b5c6d7e8f9
region_ring_file: open.ring
gossip_key: 0a1b2c3d4e5f60718293a4b5c6d7e8f9
policy:
  cut_age: 1500ms
  stale_after: 30s
  due_per_tick: many
tick_each: 5
isolated_after:
cut_per_tick: "500"
snapshot_entries: -1
log: {level: loud, format: [text]}
disk: {low_mib: 10, reserve_mib: 20, stall_after: 1ms}
`)
	_, _, err := LoadEdge(path, []string{"HOME=/root", "MERIDIAN_EDGE_NODE=north-1", "MERIDIAN_EDGE_HTP=x", "MERIDIAN_CENTRAL_HTTP=x", "MERIDIAN_EDGE_STALE_AFTER=soon"})
	wantFaults(t, err, path, `
F:1: cluster: "Acme": use 1 to 63 of a-z, 0-9 and hyphen, not at the ends
F:2: region: "5": YAML reads this as integer: write it in quotes
F:3: nod: no such field: perhaps node is meant; --print-defaults shows all fields
F:4: radius_auth: "here": write an IP address and a port, e.g. 192.0.2.10:1812
F:6: http: "127.0.1.1:99999": write host:port with a port from 0 to 65535, e.g. 192.0.2.10:7001
F:8: raft: given twice, first in line 7: keep one
F:9: forward: "127.0.1.1:7001": the same address as raft: give each listener its own
F:10: gossip: "localhost:7946": write an IP address and a port, e.g. 192.0.2.10:1812
F:11: centre[1]: "nowhere": write host:port with a port from 0 to 65535, e.g. 192.0.2.10:7001
F:13: peers[0].forward: "127.0.1.1:7002": this node's own forward is "127.0.1.1:7001": write the same in both places
F:13: peers[0].gossip: "127.0.1.1:7946": this node's own gossip is "localhost:7946": write the same in both places
F:14: peers[1].port: no such field: take it out; --print-defaults shows all fields
F:14: peers[1].gossip: must be given: its gossip address, e.g. 192.0.2.11:7946
F:14: peers[1].id: "north-1": the same as peers[0].id: give each its own
F:14: peers[1].raft: "127.0.1.2:7001": this node's own raft is "127.0.1.1:7001": write the same in both places
F:14: peers[1].forward: "127.0.1.2:7002": this node's own forward is "127.0.1.1:7001": write the same in both places
F:14: peers[1].gossip: this node's own gossip is "localhost:7946": write the same in both places
F:17: identity.key: "none.key": stat DIR/none.key: no such file or directory: create the file or correct the path, which is taken from DIR
F:18: data_ring_file: this looks like the secret itself: write it into a file of mode 0600 and name the file here
F:19: region_ring_file: "open.ring": DIR/open.ring has mode 0644 and others may read it: run chmod 600 DIR/open.ring
F:20: gossip_key: no such field: secrets are kept in files: write the value into a file of mode 0600 and name it by gossip_key_file
F:22: policy.cut_age: "1500ms": write whole seconds
F:23: policy.stale_after: "30s": allowed are 1m to 168h
F:24: policy.due_per_tick: "many": write a whole number
F:25: tick_each: "5": write a duration with its unit, e.g. 10s
F:26: isolated_after: has no value: write a duration with its unit, e.g. 10s, or take the line out for the default
F:27: cut_per_tick: "500": write a whole number without quotes
F:28: snapshot_entries: "-1": write a whole number
F:29: log.format: write one value: text
F:29: log.level: "loud": write debug, info, warn or error
F:30: disk.stall_after: "1ms": allowed are 100ms to 1m
F:30: disk.reserve_mib: "20": disk.low_mib is 10: make it at most that, so that new work ends first
environment: MERIDIAN_EDGE_HTP: no such variable: unset it; perhaps MERIDIAN_EDGE_HTTP is meant
environment: MERIDIAN_EDGE_STALE_AFTER: "soon": write a duration with its unit, e.g. 10s
F: identity.ca: must be given: certificate of the authority that both sides trust, PEM, e.g. keys/ca.crt
F: gossip_key_file: must be given: 32 octets in hexadecimal, the same on all nodes, e.g. keys/north.gossip`)
}

// TestAPIInClearText: tokens and balances leave the machine by TLS only.
func TestAPIInClearText(t *testing.T) {
	dir := keys(t)
	far := strings.Replace(goodEdge, "http: 127.0.1.1:8090", "http: 192.0.2.11:8090", 1)
	for _, c := range []struct{ name, text, want string }{
		{"clear text", far, `F:6: http: "192.0.2.11:8090": this is no loopback address and there is no http_cert_file: give a certificate, tokens and passwords would travel in clear text`},
		{"all addresses", strings.Replace(goodEdge, "http: 127.0.1.1:8090", "http: :8090", 1), `F:6: http: ":8090": this is no loopback address and there is no http_cert_file: give a certificate, tokens and passwords would travel in clear text`},
		{"no key", far + "http_cert_file: north-1.crt\n", `F:19: http_cert_file: "north-1.crt": http_cert_file is "north-1.crt", http_key_file is "": give both or none`},
		{"another's key", far + "http_cert_file: north-1.crt\nhttp_key_file: centre.key\n",
			`F:19: http_cert_file: "north-1.crt": tls: private key does not match public key: give a certificate and in http_key_file the key that belongs to it, both PEM`},
	} {
		t.Run(c.name, func(t *testing.T) {
			path := write(t, dir, "edge.yaml", c.text)
			_, _, err := LoadEdge(path, nil)
			wantFaults(t, err, path, c.want)
		})
	}
	e, _, err := LoadEdge(write(t, dir, "edge.yaml", far+"http_cert_file: north-1.crt\nhttp_key_file: north-1.key\n"), nil)
	if err != nil || e.HTTP != "192.0.2.11:8090" || e.HTTPCertFile != filepath.Join(dir, "north-1.crt") || e.HTTPKeyFile != filepath.Join(dir, "north-1.key") {
		t.Errorf("%+v, %v", e, err)
	}
}

func TestCentralFaults(t *testing.T) {
	dir := keys(t)
	for _, c := range []struct{ name, text, want string }{
		{"password in the file", "cluster: a\nstore_url: postgresql://u:hush@h/d\nidentity: {cert: centre.crt, key: centre.key, ca: ca.crt}\n",
			"F:2: store_url: holds a password, which anyone who reads this file would see: write the URL into a file of mode 0600 and name it by store_url_file"},
		{"password as a parameter", "cluster: a\nstore_url: postgresql://h/d?password=hush\nidentity: {cert: centre.crt, key: centre.key, ca: ca.crt}\n",
			"F:2: store_url: holds a password, which anyone who reads this file would see: write the URL into a file of mode 0600 and name it by store_url_file"},
		{"two stores", strings.Replace(goodCentral, "cluster: acme", "cluster: acme\nstore_url: postgresql://h/d", 1), "F:2: store_url: store_url_file is given, too: keep one of them"},
		{"a region's certificate", strings.ReplaceAll(goodCentral, "centre.", "north-1."),
			`F:3: identity.cert: "north-1.crt": the certificate names meridian://region/north/node/north-1: give the one issued to the centre`},
		{"another's key", strings.ReplaceAll(goodCentral, "centre.key", "north-1.key"),
			`F:3: identity.key: "north-1.key": identity: certificate and key of meridian://centre: tls: private key does not match public key: give the key that belongs to the certificate, and the authority's certificate`},
		{"clear text", goodCentral + "http: 192.0.2.1:80\nregion_ring_files: {}\n", `F:6: http: "192.0.2.1:80": this is no loopback address and there is no http_cert_file: give a certificate, tokens and passwords would travel in clear text
F:7: region_ring_files: given twice, first in line 4: keep one`},
		{"regions", strings.Replace(goodCentral, "{north: north.ring}", "{North: north.ring, south: '', west: west.ring}", 1), `F:4: region_ring_files.North: "north.ring": "North" is no region's name: use 1 to 63 of a-z, 0-9 and hyphen
F:4: region_ring_files.south: is empty: name the region's key file
F:4: region_ring_files.west: "west.ring": stat DIR/west.ring: no such file or directory: create the file or correct the path, which is taken from DIR`},
		{"syntax", "http: [1, 2\n", "F:1: this is not YAML: sequence end token ']' not found: correct it; --print-defaults shows a whole file"},
		{"two documents", goodCentral + "---\ncluster: b\n", "F:7: a second document begins here: keep one"},
		{"alias", "x: &x acme\ncluster: *x\n" + strings.TrimPrefix(goodCentral, "cluster: acme\n"), `F:1: x: no such field: take it out; --print-defaults shows all fields
F:2: cluster: anchors, aliases and tags are not read here: write the value out`},
		{"a list", "- cluster\n", `F:1: write fields here, each as name: value
F: cluster: must be given: name of the installation, the same at the centre and in all its regions, e.g. acme
F: identity.cert: must be given: certificate of this process, PEM, e.g. keys/own.crt
F: identity.key: must be given: its key, PEM, mode 0600, e.g. keys/own.key
F: identity.ca: must be given: certificate of the authority that both sides trust, PEM, e.g. keys/ca.crt
F: store_url: neither it nor store_url_file is given: name the database, e.g. postgresql://meridian@127.0.0.1:26257/meridian`},
	} {
		path := write(t, dir, "centre.yaml", c.text)
		_, _, err := LoadCentral(path, nil)
		wantFaults(t, err, path, c.want)
		if err != nil && strings.Contains(err.Error(), "hush") {
			t.Errorf("%s: the secret is told: %v", c.name, err)
		}
	}
}

func TestTheFileItself(t *testing.T) {
	_, _, err := LoadEdge(filepath.Join(t.TempDir(), "none.yaml"), nil)
	if err == nil || !strings.Contains(err.Error(), "none.yaml") || !strings.Contains(err.Error(), "--config") {
		t.Error(err)
	}
	_, _, err = LoadEdge(write(t, t.TempDir(), "big.yaml", strings.Repeat("#", maxFile+1)), nil)
	if err == nil || !strings.Contains(err.Error(), "octets") {
		t.Error(err)
	}
}

func TestEnvironmentOverrides(t *testing.T) {
	dir := keys(t)
	path := write(t, dir, "edge.yaml", strings.Replace(goodEdge, "node: north-1", "node: [wrong]", 1))
	e, log, err := LoadEdge(path, []string{
		"MERIDIAN_EDGE_NODE=north-1", "MERIDIAN_EDGE_POLICY_CUT_AGE=5s", "MERIDIAN_EDGE_CENTRE=198.51.100.1:7000, 198.51.100.2:7000",
		"MERIDIAN_EDGE_CUT_PER_TICK=7", "MERIDIAN_EDGE_LOG_LEVEL=debug", "MERIDIAN_CENTRAL_STORE_URL=postgresql://h/d",
	})
	if err != nil || e.Node != "north-1" || e.Policy.CutAge != 5 || len(e.Centre) != 2 || e.Centre[1] != "198.51.100.2:7000" || e.CutPerTick != 7 || log.Level != "debug" {
		t.Errorf("%+v %+v %v", e, log, err)
	}
	_, _, err = LoadCentral(write(t, dir, "centre.yaml", "identity: {cert: centre.crt, key: centre.key, ca: ca.crt}\n"),
		[]string{"MERIDIAN_CENTRAL_CLUSTER=acme", "MERIDIAN_CENTRAL_STORE_URL=postgresql://u:hush@h/d", "MERIDIAN_CENTRAL_MIGRATE=maybe", "MERIDIAN_CENTRAL_RINGS=x"})
	wantFaults(t, err, "centre.yaml", `
environment: MERIDIAN_CENTRAL_MIGRATE: "maybe": write true or false
environment: MERIDIAN_CENTRAL_RINGS: no such variable: unset it; perhaps MERIDIAN_CENTRAL_LINK is meant
environment: MERIDIAN_CENTRAL_STORE_URL: holds a password, which anyone who reads this file would see: write the URL into a file of mode 0600 and name it by store_url_file`)
}

// TestTagsAreWhole holds what the tags promise: every field is documented, every
// number is bounded with its default within, and no two have one variable.
func TestTagsAreWhole(t *testing.T) {
	for prefix, s := range map[string]any{envEdge: DefaultEdge(), envCentral: DefaultCentral(), "": Peer{}} {
		v := reflect.ValueOf(s)
		fields, groups := fieldsOf(v.Type())
		for path, doc := range groups {
			if doc == "" {
				t.Errorf("%s%s has no doc", prefix, path)
			}
		}
		variables := map[string]string{}
		for _, f := range fields {
			numeric := f.typ == durationType || f.typ.Kind() == reflect.Int || f.typ.Kind() == reflect.Int64 || f.typ.Kind() == reflect.Uint64
			if f.path == "" || f.doc == "" || numeric != (f.min != "") || numeric != (f.max != "") {
				t.Errorf("%s%s: doc %q, min %q, max %q", prefix, f.path, f.doc, f.min, f.max)
			}
			if name := f.envName(prefix); name != "" {
				if other, twice := variables[name]; twice {
					t.Errorf("%s belongs to %s and %s", name, other, f.path)
				}
				variables[name] = f.path
			}
			kindOf(f.typ)
		}
		l := &loader{reader: newReader("defaults")}
		l.check(v, "")
		for _, f := range l.found {
			if !strings.HasPrefix(f.Problem, "must be given") {
				t.Errorf("default of %v", f)
			}
		}
	}
}

// read parses a text alone, over nothing.
func readBack[T any](text []byte) (T, error) {
	var out T
	r := newReader("text")
	r.parse(text, reflect.ValueOf(&out).Elem())
	return out, r.err()
}

func roundTrip[T interface{ Describe() []byte }](s T) error {
	text := s.Describe()
	back, err := readBack[T](text)
	if err != nil {
		return fmt.Errorf("%w\n%s", err, text)
	}
	if !reflect.DeepEqual(back, s) {
		return fmt.Errorf("wrote %+v\nread  %+v\n%s", s, back, text)
	}
	return nil
}

// TestDefaultsParseBack: what --print-defaults prints holds the defaults, each
// with a comment.
func TestDefaultsParseBack(t *testing.T) {
	e := DefaultEdge()
	e.Centre, e.Peers, e.DataRingKMS.Command = []string{}, []Peer{}, []string{} // as reading an empty list makes them
	if err := errors.Join(roundTrip(e), roundTrip(DefaultCentral())); err != nil {
		t.Fatal(err)
	}
	for _, s := range []interface{ Describe() []byte }{DefaultEdge(), DefaultCentral()} {
		before := ""
		for line := range strings.Lines(string(s.Describe())) {
			field := strings.TrimSpace(line)
			if !strings.HasPrefix(field, "#") && !strings.HasPrefix(before, "#") {
				t.Errorf("field %q has no comment", field)
			}
			before = field
		}
	}
}

// TestAnySettingsParseBack writes settings with any text in them.
func TestAnySettingsParseBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := DefaultEdge()
		s.DataRingKMS.Command = []string{}
		text := rapid.OneOf(rapid.String(), rapid.SampledFrom([]string{"", "~", "null", "true", "1", "1e3", "- a", "a: b", "#x", "'", "\"", "a\nb", "!x", "*x", "&x", "{", "[", "|", ">", "%", "@", " a "})).
			Filter(func(s string) bool { return utf8.ValidString(s) })
		s.Region, s.Dir, s.Log.Level = text.Draw(t, "region"), text.Draw(t, "dir"), text.Draw(t, "level")
		s.Centre = rapid.SliceOfN(text, 0, 3).Draw(t, "centre")
		s.Peers = []Peer{{ID: text.Draw(t, "id"), Raft: text.Draw(t, "raft")}}
		s.TickEach = time.Duration(rapid.Int64().Draw(t, "tick"))
		s.SnapshotEntries = rapid.Uint64().Draw(t, "entries")
		s.CutPerTick = rapid.Int().Draw(t, "cut")
		if err := roundTrip(s); err != nil {
			t.Fatal(err)
		}
	})
}

func TestSecretFile(t *testing.T) {
	for _, c := range []struct{ text, want, fault string }{
		{"hush\n", "hush", ""}, {"", "", "one line"}, {"a\nb\n", "", "one line"}, {strings.Repeat("a", 5000), "", "5000"},
	} {
		got, err := secret(write(t, t.TempDir(), "token", c.text))
		if got != c.want || (err == nil) != (c.fault == "") || (err != nil && !strings.Contains(err.Error(), c.fault)) {
			t.Errorf("%.10q: %q, %v", c.text, got, err)
		}
	}
}
