package cockroach_test

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"meridian/central"
	"meridian/central/cockroach"
	"meridian/central/cockroach/testdb"
	"meridian/central/store/storetest"
	"meridian/internal/journal"
	"meridian/internal/money"
	"meridian/internal/verify"
	"meridian/replication/identity"
)

// tampering is a change of the centre's tables by somebody who may write them, with
// what verify finds. want names every invariant that breaks and what its finding
// says; all others must hold. No node is asked: what is found is found in the
// tables alone, and by what nodes had signed before.
type tampering struct {
	name string
	do   func(t *testing.T, s *sqlWorld)
	want map[string]string
}

// sqlWorld is a small consistent centre in real tables.
type sqlWorld struct {
	*storetest.World
	db   *cockroach.DB
	url  string
	edge *storetest.Edge
	opt  verify.Options
}

func (s *sqlWorld) exec(t *testing.T, sql string, args ...any) {
	t.Helper()
	execSQL(t, s.url, sql, args...)
}

// tampered are the tables that the cases change.
var tampered = []string{"ledger_entries", "epochs", "leases", "buckets", "postings", "journals", "ledger_balances", "feed_rows", "heads_checked", "heads_pending", "region_holds"}

// save keeps the tables as they are, restore brings them back.
func (s *sqlWorld) save(t *testing.T) {
	t.Helper()
	for _, table := range tampered {
		s.exec(t, `CREATE TABLE saved_`+table+` AS TABLE `+table)
	}
}

func (s *sqlWorld) restore(t *testing.T) {
	t.Helper()
	var sql strings.Builder
	for _, table := range tampered {
		sql.WriteString(`DELETE FROM ` + table + `; INSERT INTO ` + table + ` TABLE saved_` + table + `; `)
	}
	s.exec(t, sql.String())
}

func period(start string, amount int64) journal.Entry {
	e := storetest.Moved(journal.KindRecurring, "u1", amount)
	e.Ref = "s-u1/" + start
	return e
}

func newSQLWorld(t *testing.T) *sqlWorld {
	t.Helper()
	s := &sqlWorld{url: testdb.New(t), edge: storetest.NewEdge("north")}
	s.db = open(t, s.url, failing())
	if err := s.db.Migrate(context.Background()); err != nil {
		t.Fatal(err)
	}
	s.World = storetest.NewWorld(t, func(*testing.T) (central.Backend, func() verify.CentreReader) { return s.db, nil })
	s.Subscriber("u1", "north")
	s.Deposit("u1", "k", 10*money.Micro)
	s.Drain()
	s.edge.Add(storetest.Epoch(), storetest.Moved(journal.KindTaken, "u1", 2_000_000), period("1790000000", 1_000_000),
		storetest.Moved(journal.KindReturned, "u1", 250_000), period("1792592000", 1_000_000), storetest.Moved(journal.KindTaken, "u1", 70_000))
	node := s.Signer("north", "north-2")
	if refused, err := s.Regions.Heads(s.Ctx, "north", [][]byte{node.Sign(s.edge, 5, 50)}); err != nil || refused != nil {
		t.Fatal(refused, err)
	}
	s.Ingest(s.edge, s.edge.All())
	verifier, err := identity.NewVerifier(s.CA.Certificate())
	if err != nil {
		t.Fatal(err)
	}
	s.opt.VerifyHead = func(h journal.SignedHead) error {
		return verifier.Verify(h.Certificate, h.Message(), h.Signature, identity.Node(h.Region, h.Node), time.UnixMicro(h.At))
	}
	return s
}

// check reads the tables as meridian verify does.
func (s *sqlWorld) check(t *testing.T) []verify.Finding {
	t.Helper()
	r, err := s.db.Reader(s.Ctx)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := r.Close(context.Background()); err != nil {
			t.Error(err)
		}
	}()
	return verify.Check(s.Ctx, r, nil, nil, s.opt)
}

// forge writes entry seq anew and computes all later hashes, and the cursor, as
// somebody would who covers his tracks.
func (s *sqlWorld) forge(t *testing.T, seq uint64, change func(*journal.Entry)) {
	t.Helper()
	forged := storetest.NewEdge("north")
	for i, raw := range s.edge.Raw {
		e, err := journal.DecodeEntry(raw)
		if err != nil {
			t.Fatal(err)
		}
		if uint64(i)+1 == seq {
			change(&e)
		}
		forged.Add(e)
		s.exec(t, `UPDATE ledger_entries SET raw = $2, hash = $3, amount = $4 WHERE seq = $1`, i+1, forged.Raw[i], forged.Hashes[i+1][:], e.Amount)
	}
	s.exec(t, `UPDATE epochs SET hash = $1`, forged.Hashes[len(forged.Raw)][:])
}

func sql(text string) func(*testing.T, *sqlWorld) {
	return func(t *testing.T, s *sqlWorld) { s.exec(t, text) }
}

func tamperings() []tampering {
	return []tampering{
		{"nothing", func(*testing.T, *sqlWorld) {}, nil},
		{"an amount changed in an entry's bytes", func(t *testing.T, s *sqlWorld) {
			e, err := journal.DecodeEntry(s.edge.Raw[2])
			if err != nil {
				t.Fatal(err)
			}
			e.Amount--
			s.exec(t, `UPDATE ledger_entries SET raw = $1, amount = $2 WHERE seq = 3`, e.Encode(), e.Amount)
		}, map[string]string{"V5": "entry north/1/3: stored hash is", "V1": "a-u1/cash", "V7": "entry/north/1/3 posts"}},
		{"an amount changed in an entry's column", sql(`UPDATE ledger_entries SET amount = amount - 1 WHERE seq = 3`),
			map[string]string{"V5": "entry north/1/3: the row's amount is 999999, its bytes say 1000000"}},
		{"an entry given to another account", sql(`UPDATE ledger_entries SET account = 'a-u2' WHERE seq = 3`),
			map[string]string{"V5": "entry north/1/3: the row's account is a-u2, its bytes say a-u1"}},
		{"an amount changed, all later hashes, totals and books computed anew", func(t *testing.T, s *sqlWorld) {
			s.forge(t, 3, func(e *journal.Entry) { e.Amount = 1 })
			s.exec(t, `UPDATE leases SET spent = spent - 999999`)
			s.exec(t, `UPDATE postings SET amount = CASE WHEN amount > 0 THEN 1 ELSE -1 END WHERE source = 'entry/north/1/3'`)
			s.exec(t, `UPDATE ledger_balances SET amount = amount - 999999 WHERE account = 'liability/prepaid:a-u1' AND slot = (SELECT min(slot) FROM ledger_balances WHERE account = 'liability/prepaid:a-u1')`)
			s.exec(t, `UPDATE ledger_balances SET amount = amount + 999999 WHERE account = 'income/recurring' AND slot = (SELECT min(slot) FROM ledger_balances WHERE account = 'income/recurring')`)
		}, map[string]string{"V5": "entry north/1/5: node north-2 signed hash"}},
		{"an entry dropped", sql(`DELETE FROM ledger_entries WHERE seq = 4`),
			map[string]string{"V5": "entry north/1/5 follows 1/3: 1 entries are missing", "V1": "a-u1/cash"}},
		{"the last entry dropped", sql(`DELETE FROM ledger_entries WHERE seq = 6`),
			map[string]string{"V5": "region north: the cursor stands at 1/6", "V7": "journal entry/north/1/6 is of no entry", "V1": "T is 2070000 at the centre, its entries sum to 2000000"}},
		{"an entry doubled", sql(`INSERT INTO ledger_entries (region, epoch, seq, raw, hash, kind, account, subscription, bucket, unit, amount, at_us, session, cut, ref, suspense)
			SELECT region, epoch, 7, raw, hash, kind, account, subscription, bucket, unit, amount, at_us, session, cut, ref, suspense FROM ledger_entries WHERE seq = 2`),
			map[string]string{"V5": "entry north/1/7: stored hash is", "V1": "a-u1/cash", "V7": "entry/north/1/7"}},
		{"an entry inserted at the end, chained, and the cursor moved", func(t *testing.T, s *sqlWorld) {
			s.edge.Add(storetest.Moved(journal.KindReturned, "u1", 1))
			defer func() { s.edge.Raw, s.edge.Hashes = s.edge.Raw[:6], s.edge.Hashes[:7] }()
			s.exec(t, `INSERT INTO ledger_entries (region, epoch, seq, raw, hash, kind, account, subscription, bucket, unit, amount, at_us, session, cut, ref, suspense)
				SELECT region, epoch, 7, $1, $2, kind, account, subscription, bucket, unit, 1, at_us + 3000000, session, cut, ref, suspense FROM ledger_entries WHERE seq = 4`, s.edge.Raw[6], s.edge.Hashes[7][:])
			s.exec(t, `UPDATE epochs SET seq = 7, hash = $1`, s.edge.Hashes[7][:])
		}, map[string]string{"V1": "lease a-u1/cash of region north, epoch 1: X is 250000 at the centre, its entries sum to 250001"}},
		{"the cursor moved back", sql(`UPDATE epochs SET seq = 5`), map[string]string{"V5": "region north: the cursor stands at 1/5"}},
		{"a balance row altered", sql(`UPDATE ledger_balances SET amount = amount + 3 WHERE account = 'income/recurring' AND slot = (SELECT min(slot) FROM ledger_balances WHERE account = 'income/recurring')`),
			map[string]string{"V7": "balance of income/recurring in EUR is -1999997, its postings sum to -2000000: off by 3"}},
		{"a journal edited on one side", sql(`UPDATE postings SET amount = amount + 1 WHERE source = 'entry/north/1/6' AND amount > 0`),
			map[string]string{"V7": "journal entry/north/1/6: EUR sums to 1"}},
		{"a journal edited on both sides", sql(`UPDATE postings SET amount = 2 * amount WHERE source = 'entry/north/1/6'`),
			map[string]string{"V7": "EUR is 2070000, its postings sum to 2140000: off by -70000", "V1": "account a-u1 in EUR"}},
		{"a journal removed", sql(`DELETE FROM postings WHERE source = 'entry/north/1/6'; DELETE FROM journals WHERE source = 'entry/north/1/6'`),
			map[string]string{"V7": "EUR is 2070000, its postings sum to 2000000: off by 70000", "V1": "account a-u1 in EUR"}},
		{"a feed row skipped", sql(`DELETE FROM feed_rows WHERE number = 2`), map[string]string{"V9": "feed row"}},
		{"a lease's total altered", sql(`UPDATE leases SET spent = spent - 5`), map[string]string{"V1": "lease a-u1/cash of region north, epoch 1: S is 1999995 at the centre"}},
		{"a bucket's credit altered", sql(`UPDATE buckets SET credited = credited + 7`), map[string]string{"V1": "account a-u1 in EUR: its buckets say 10000007 credited"}},
		{"a signed head altered", alterHead, map[string]string{"V5": "kept at the centre"}},
		{"a hold removed by hand leaves the head that contradicts", func(t *testing.T, s *sqlWorld) {
			forged := storetest.NewEdge("north")
			forged.Add(storetest.Epoch(), storetest.Moved(journal.KindTaken, "u1", 9), storetest.Moved(journal.KindTaken, "u1", 9))
			refused, err := s.Regions.Heads(s.Ctx, "north", [][]byte{s.Signer("north", "north-3").Sign(forged, 3, 30)})
			if err != nil || refused == nil {
				t.Fatal(refused, err)
			}
			s.exec(t, `DELETE FROM region_holds`)
		}, map[string]string{"V5": "entry north/1/3: node north-3 signed hash"}},
	}
}

// alterHead changes an octet in each head that is kept.
func alterHead(t *testing.T, s *sqlWorld) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), s.url)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(t.Context())
	rows, err := conn.Query(t.Context(), `SELECT raw FROM heads_checked`)
	if err != nil {
		t.Fatal(err)
	}
	heads, err := pgx.CollectRows(rows, pgx.RowTo[[]byte])
	if err != nil || len(heads) == 0 {
		t.Fatalf("%d heads, %v", len(heads), err)
	}
	for _, raw := range heads {
		altered := slices.Clone(raw)
		altered[49] ^= 7
		s.exec(t, `UPDATE heads_checked SET raw = $1 WHERE raw = $2`, altered, raw)
	}
}

// TestTamperedTablesAreFoundByName: whatever is changed in the centre's tables,
// verify names the record.
func TestTamperedTablesAreFoundByName(t *testing.T) {
	s := newSQLWorld(t)
	s.save(t)
	for _, c := range tamperings() {
		t.Run(strings.ReplaceAll(c.name, " ", "_"), func(t *testing.T) {
			defer s.restore(t)
			c.do(t, s)
			for _, f := range s.check(t) {
				want, broken := c.want[f.ID]
				if f.OK == broken || broken && !strings.Contains(f.Detail, want) {
					t.Errorf("%s ok %v, want broken %v naming %q\n got %s", f.ID, f.OK, broken, want, f.Detail)
				}
			}
		})
	}
}
