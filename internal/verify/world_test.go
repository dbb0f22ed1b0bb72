package verify_test

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"meridian/internal/journal"
	"meridian/internal/money"
	"meridian/internal/rating"
	"meridian/internal/tariff"
	"meridian/internal/verify"
)

// now is the region time of the world, Unix seconds.
const now = 1_760_000_000

// stored is an entry as the centre keeps it.
type stored struct {
	epoch, seq uint64
	entry      journal.Entry
	raw        []byte
	hash       journal.Hash
}

type feedRow struct {
	number, version uint64
	kind, id        string
}

// world is a centre, two regions and a client, small and consistent, written by
// hand: what a mutation then breaks is known.
type world struct {
	regions  []verify.Region
	heads    map[string][][]byte
	entries  map[string][]stored
	buckets  []verify.CentreBucket
	granted  map[string]map[uint64]map[string]int64 // region, feed row → G by bucket
	rows     map[string][]feedRow
	journals []journal.Journal
	balances map[verify.BalanceKey]int64
	edges    []verify.EdgeReport
	witness  *verify.Witness
	opt      verify.Options
	broken   string // what the reader fails at
}

func (w *world) fails(what string) error {
	if w.broken == what {
		return fmt.Errorf("connection reset")
	}
	return nil
}

func (w *world) Regions(context.Context) ([]verify.Region, error) {
	return w.regions, w.fails("regions")
}

func (w *world) Entries(_ context.Context, region string, fn func(epoch, seq uint64, raw []byte, hash journal.Hash) error) error {
	for _, e := range w.entries[region] {
		if err := fn(e.epoch, e.seq, e.raw, e.hash); err != nil {
			return err
		}
	}
	if w.broken == "row" {
		return fmt.Errorf("%w: entry %s/1/3: the row's amount is 1, its bytes say 2", verify.ErrRow, region)
	}
	return w.fails("entries")
}

func (w *world) Heads(_ context.Context, region string, fn func(raw []byte) error) error {
	for _, h := range w.heads[region] {
		if err := fn(h); err != nil {
			return err
		}
	}
	return w.fails("heads")
}

func (w *world) Buckets(_ context.Context, fn func(verify.CentreBucket) error) error {
	for _, b := range w.buckets {
		if err := fn(b); err != nil {
			return err
		}
	}
	return w.fails("buckets")
}

func (w *world) GrantedAt(_ context.Context, region string, version uint64) (map[string]int64, error) {
	return w.granted[region][version], w.fails("granted")
}

func (w *world) FeedRows(_ context.Context, region string, fn func(number uint64, kind, id string, version uint64) error) error {
	for _, r := range w.rows[region] {
		if err := fn(r.number, r.kind, r.id, r.version); err != nil {
			return err
		}
	}
	return w.fails("feed")
}

func (w *world) Journals(_ context.Context, fn func(journal.Journal) error) error {
	sorted := slices.Clone(w.journals)
	slices.SortStableFunc(sorted, func(a, b journal.Journal) int { return strings.Compare(a.Source, b.Source) })
	for _, j := range sorted {
		if err := fn(j); err != nil {
			return err
		}
	}
	return w.fails("journals")
}

func (w *world) LedgerBalances(context.Context) (map[verify.BalanceKey]int64, error) {
	return maps.Clone(w.balances), w.fails("balances")
}

func prepaidOffering() *tariff.Offering {
	return &tariff.Offering{
		ID: "prepaid", Version: 1, Name: "Prepaid", Currency: "EUR", ValidFrom: 1, Service: "internet",
		Usage: tariff.PerUnit(tariff.Bytes, 3, 10), Overrun: tariff.Owed,
		Profile: tariff.Profile{SessionLimit: 1, InterimSeconds: 60}, Reservation: tariff.Reservation{Quota: 100, TTLSeconds: 60},
	}
}

// Sessions of the world.
var (
	annSession  = journal.SessionKey{NAS: "nas-1", ID: "s-ann", Start: now - 3000}
	carlSession = journal.SessionKey{NAS: "nas-1", ID: "s-carl", Start: now - 2000}
	lateSession = journal.SessionKey{NAS: "nas-1", ID: "s-late", Start: now - 900_000}
)

// record builds the usage record of a cut of the prepaid offering, in octets.
func record(key journal.SessionKey, number uint32, before, octets int64, seconds int64) journal.Entry {
	o := prepaidOffering()
	price := func(q int64) money.Amount { return money.Amount(q * 3 / 10) }
	return journal.Entry{
		Kind: journal.KindUsage, Account: account(key), Subscription: "sub-" + account(key), Session: key, Cut: number,
		Usage: &journal.UsageRecord{
			Number: number, InOctets: uint64(octets), Seconds: seconds, CumulativeIn: uint64(before + octets), CumulativeSeconds: seconds * int64(number),
			Service: "internet", Offering: o.ID, OfferingVersion: o.Version, TariffHash: o.Hash(),
			Before: rating.State{Quantity: before, Charged: price(before)},
			Slices: []rating.Slice{{Rule: rating.Rule(o, o.Metering()), Quantity: octets, Amount: price(before+octets) - price(before)}},
		},
	}
}

func account(key journal.SessionKey) string { return strings.TrimPrefix(key.ID, "s-") }

// on builds an entry that raises a total of an account's bucket.
func on(kind journal.Kind, account string, amount int64) journal.Entry {
	return journal.Entry{Kind: kind, Account: account, Subscription: "sub-" + account, Bucket: account + "/cash", Unit: "EUR", Amount: amount}
}

func charge(key journal.SessionKey, cut uint32, amount int64) journal.Entry {
	e := on(journal.KindCharge, account(key), amount)
	e.Session, e.Cut = key, cut
	return e
}

func with(e journal.Entry, ref, detail string) journal.Entry {
	e.Ref, e.Detail = ref, detail
	return e
}

func north() []journal.Entry {
	overrun := charge(carlSession, 1, 7)
	overrun.Kind, overrun.Bucket, overrun.Quantity, overrun.Detail = journal.KindOverrun, "", 23, "owed"
	late := journal.Entry{Kind: journal.KindQuarantine, Session: lateSession, Detail: "older than closed sessions are remembered",
		Usage: &journal.UsageRecord{CumulativeIn: 11, CumulativeSeconds: 5, InOctets: 11, Seconds: 5}}
	return []journal.Entry{
		with(journal.Entry{Kind: journal.KindEpoch}, strings.Repeat("0", 64), ""),       // 1
		record(annSession, 1, 0, 101, 60),                                               // 2: 30.3 → 30
		charge(annSession, 1, 30),                                                       // 3
		on(journal.KindBorrowed, "carl", 50),                                            // 4
		record(carlSession, 1, 0, 290, 60),                                              // 5: 87
		charge(carlSession, 1, 80),                                                      // 6
		overrun,                                                                         // 7
		with(on(journal.KindRecurring, "bob", 500), "sub-bob/1757000000", ""),           // 8
		with(on(journal.KindRecurring, "bob", 500), "sub-bob/1759592000", ""),           // 9
		with(on(journal.KindOrderDebit, "ann", 20), "o-1", ""),                          // 10
		with(journal.Entry{Kind: journal.KindOrder, Account: "ann"}, "o-1", "executed"), // 11
		on(journal.KindTaken, "ann", 40),                                                // 12
		on(journal.KindReturned, "ann", 10),                                             // 13
		late,                                                                            // 14
		{Kind: journal.KindNASTotals, Quantity: 2, Session: journal.SessionKey{NAS: "nas-1"}, Usage: &journal.UsageRecord{InOctets: 380}}, // 15
		with(on(journal.KindCharge, "ghost", 9), "", ""), // 16: replaced below
		on(journal.KindRepaid, "carl", 20),               // 17, not yet acknowledged
		record(annSession, 2, 101, 6, 60),                // 18: 32.1 − 30 → 2
		charge(annSession, 2, 2),                         // 19
	}
}

// acked is how many of north's entries the centre has.
const acked = 16

// newWorld builds the world: ann and carl use prepaid by volume, bob pays a
// monthly fee; north is home, south has an older epoch.
func newWorld() *world {
	w := &world{entries: map[string][]stored{}, granted: map[string]map[uint64]map[string]int64{}, balances: map[verify.BalanceKey]int64{}}
	w.opt.Offerings = []*tariff.Offering{prepaidOffering()}
	list := north()
	list[15] = on(journal.KindTaken, "ghost", 9) // names a bucket that the centre never made: it goes to suspense
	w.regions = []verify.Region{{Name: "north", Epoch: 1, FeedLast: 6}, {Name: "south", Epoch: 2, FeedLast: 1}}
	for i, e := range list[:acked] {
		w.entries["north"] = append(w.entries["north"], stored{epoch: 1, seq: uint64(i) + 1, entry: e})
	}
	epochEntry := with(journal.Entry{Kind: journal.KindEpoch}, strings.Repeat("0", 64), "")
	w.entries["south"] = []stored{
		{epoch: 1, seq: 1, entry: epochEntry}, {epoch: 1, seq: 2, entry: on(journal.KindTaken, "ann", 5)},
		{epoch: 2, seq: 1, entry: epochEntry},
	}
	w.rechain("north")
	w.rechain("south")
	w.buckets = []verify.CentreBucket{
		{ID: "ann/cash", Account: "ann", Unit: "EUR", Credited: 1000, Debited: 100, Leases: []verify.LeaseTotals{
			{Region: "north", Epoch: 1, G: 800, T: 40, S: 50, X: 10}, {Region: "south", Epoch: 1, G: 50, T: 5}},
			Claims: []verify.ClaimTotals{{ID: "c1", Amount: 100, Served: 100}}},
		{ID: "bob/cash", Account: "bob", Unit: "EUR", Credited: 2000, Leases: []verify.LeaseTotals{{Region: "north", Epoch: 1, G: 2000, S: 1000}}},
		{ID: "carl/cash", Account: "carl", Unit: "EUR", Credited: 60, Leases: []verify.LeaseTotals{{Region: "north", Epoch: 1, G: 60, S: 80, B: 50}}},
	}
	w.rows = map[string][]feedRow{
		"north": {{1, 1, "offering", "prepaid@1"}, {2, 1, "lease", "ann/cash"}, {3, 1, "lease", "bob/cash"}, {4, 1, "lease", "carl/cash"}, {5, 1, "order", "o-1"}, {6, 2, "lease", "ann/cash"}},
		"south": {{1, 1, "lease", "ann/cash"}},
	}
	w.granted["north"] = map[uint64]map[string]int64{5: {"ann/cash": 700, "bob/cash": 2000, "carl/cash": 60}, 6: {"ann/cash": 800, "bob/cash": 2000, "carl/cash": 60}}
	w.book()
	w.edges = []verify.EdgeReport{w.node("north-1", list), w.node("north-2", list)}
	w.witness = witness()
	return w
}

// rechain numbers and chains what the centre stores of a region, as a forger
// would, and moves the cursor to its end.
func (w *world) rechain(region string) {
	var last, previous journal.Hash
	var epoch, seq uint64
	for i := range w.entries[region] {
		s := &w.entries[region][i]
		if s.epoch != epoch {
			epoch, seq, previous, last = s.epoch, 0, last, journal.Hash{}
			if s.entry.Kind == journal.KindEpoch {
				s.entry.Ref = fmt.Sprintf("%x", previous)
			}
		}
		seq++
		s.seq = seq
		s.entry.Region, s.entry.Epoch, s.entry.Seq, s.entry.At = region, epoch, seq, now*1_000_000
		s.raw = s.entry.Encode()
		last = journal.Chain(last, s.raw)
		s.hash = last
	}
	for i := range w.regions {
		if w.regions[i].Name == region {
			w.regions[i].Seq, w.regions[i].Hash = seq, last
		}
	}
}

// book posts the journals by hand: deposits, and one for each entry that posts.
func (w *world) book() {
	prepaid := func(account string) string { return journal.CustomerPrepaid + account }
	post := func(source, debit, credit string, amount int64) {
		w.journals = append(w.journals, journal.Transfer(source, now, "test", debit, credit, "EUR", amount))
	}
	post("payment/1", journal.Cash, prepaid("ann"), 1000)
	post("payment/2", journal.Cash, prepaid("bob"), 2000)
	post("payment/3", journal.Cash, prepaid("carl"), 60)
	post("claim/c1/0", journal.Receivable+"ann", journal.Cash, 100)
	post("claim/c1/100", prepaid("ann"), journal.Receivable+"ann", 100)
	post("entry/north/1/3", prepaid("ann"), journal.RevenueUsage, 30)
	post("entry/north/1/4", journal.OfflineAllowance+"carl", prepaid("carl"), 50)
	post("entry/north/1/6", prepaid("carl"), journal.RevenueUsage, 80)
	post("entry/north/1/7", journal.Receivable+"carl", journal.RevenueUsage, 7)
	post("entry/north/1/8", prepaid("bob"), journal.RevenueRecurring, 500)
	post("entry/north/1/9", prepaid("bob"), journal.RevenueRecurring, 500)
	post("entry/north/1/10", prepaid("ann"), journal.RevenueOther, 20)
	post("entry/north/1/12", journal.RegionCash+"north", prepaid("ann"), 40)
	post("entry/north/1/16", journal.RegionCash+"north", journal.Suspense+"north", 9)
	post("entry/south/1/2", journal.RegionCash+"south", prepaid("ann"), 5)
	w.rebalance()
}

// rebalance folds the journals into the balance rows.
func (w *world) rebalance() {
	clear(w.balances)
	for _, j := range w.journals {
		for _, p := range j.Postings {
			w.balances[verify.BalanceKey{Account: p.Account, Unit: p.Unit}] += p.Amount
		}
	}
}

// node is a replica of north: three entries and one feed row behind the centre's
// knowledge of each other.
func (w *world) node(name string, list []journal.Entry) verify.EdgeReport {
	at := w.entries["north"][acked-1]
	r := verify.EdgeReport{
		Node: name, Region: "north", Epoch: 1, Index: 900, StateHash: journal.Hash{7}, Acked: at.seq, AckedHash: at.hash,
		FeedVersion: 5, FeedApplied: 5, Now: now * 1_000_000, Mode: "connected",
		Buckets: []verify.EdgeBucket{
			{ID: "ann/cash", Account: "ann", Unit: "EUR", G: 700, T: 40, S: 52, X: 10, U: 3, H: 30},
			{ID: "bob/cash", Account: "bob", Unit: "EUR", G: 2000, S: 1000},
			{ID: "carl/cash", Account: "carl", Unit: "EUR", G: 60, S: 80, B: 50, P: 20, Allowance: 50},
			{ID: "ghost/cash", Account: "ghost", Unit: "EUR", T: 9},
		},
		Sessions: []verify.EdgeSession{
			{Key: annSession, Subscription: "sub-ann", Open: true, In: 117, Seconds: 150, CutIn: 107, CutSeconds: 120, Cuts: 2,
				Pending: []verify.Part{{Bucket: "ann/cash", Amount: 3}}, Offering: "prepaid", Version: 1,
				Rated: rating.State{Quantity: 117, Charged: 35}, CutBefore: rating.State{Quantity: 107, Charged: 32}},
			{Key: carlSession, Subscription: "sub-carl", In: 290, Seconds: 60, CutIn: 290, CutSeconds: 60, Cuts: 1},
		},
		Reservations: []verify.EdgeReservation{{Key: "r-1", Bucket: "ann/cash", Held: 20}, {Key: annSession.String(), Bucket: "ann/cash", Held: 10}},
		OverrunSum:   7, OverrunWorst: 7, OverrunBound: 10,
	}
	for _, e := range list[acked:] {
		r.Entries = append(r.Entries, verify.RawEntry{})
		number(&r, len(r.Entries)-1, e)
	}
	head(&r)
	return r
}

// number puts an entry at place i of a node's own entries.
func number(r *verify.EdgeReport, i int, e journal.Entry) {
	e.Region, e.Epoch, e.Seq, e.At = r.Region, r.Epoch, r.Acked+uint64(i)+1, now*1_000_000
	r.Entries[i] = verify.RawEntry{Seq: e.Seq, Raw: e.Encode()}
}

// head chains a node's entries.
func head(r *verify.EdgeReport) {
	r.Seq, r.Head = r.Acked, r.AckedHash
	for _, e := range r.Entries {
		r.Seq, r.Head = e.Seq, journal.Chain(r.Head, e.Raw)
	}
}

// drain makes the world quiet: everything has reached the other side.
func (w *world) drain() {
	for i, e := range w.edges[0].Entries {
		entry, err := journal.DecodeEntry(e.Raw)
		if err != nil {
			panic(err)
		}
		w.entries["north"] = append(w.entries["north"], stored{epoch: 1, seq: acked + uint64(i) + 1, entry: entry})
	}
	w.rechain("north")
	w.buckets[0].Leases[0].S, w.buckets[2].Leases[0].P = 52, 20
	prepaid := journal.CustomerPrepaid
	w.journals = append(w.journals,
		journal.Transfer("entry/north/1/17", now, "test", prepaid+"carl", journal.OfflineAllowance+"carl", "EUR", 20),
		journal.Transfer("entry/north/1/19", now, "test", prepaid+"ann", journal.RevenueUsage, "EUR", 2))
	w.rebalance()
	for i := range w.edges {
		r := &w.edges[i]
		r.Acked, r.AckedHash, r.Entries, r.FeedVersion, r.FeedApplied = r.Seq, r.Head, nil, 6, 6
		r.Buckets[0].G = 800
	}
}

func witness() *verify.Witness {
	w := &verify.Witness{}
	acct := func(key journal.SessionKey, status string, seconds int64, in uint64) *verify.WitnessAcct {
		return &verify.WitnessAcct{NAS: key.NAS, ID: key.ID, Start: key.Start + 2, Status: status, Event: key.Start + seconds, Seconds: seconds, In: in}
	}
	both := func(a *verify.WitnessAcct) {
		w.Add(verify.WitnessRecord{Sent: a})
		w.Add(verify.WitnessRecord{Acked: a})
	}
	login := func(result string) {
		w.Add(verify.WitnessRecord{Auth: &verify.WitnessAuth{Login: "ann", Result: result}})
	}
	w.Add(verify.WitnessRecord{Phase: "online"})
	login(verify.AuthAccept)
	both(acct(annSession, verify.StatusStart, 0, 0))
	both(acct(annSession, verify.StatusInterim, 60, 101))
	w.Add(verify.WitnessRecord{Phase: verify.PhaseLinkCut})
	login(verify.AuthAccept)
	both(acct(carlSession, verify.StatusStop, 60, 290))
	w.Add(verify.WitnessRecord{Phase: verify.PhaseCentreKilled})
	login(verify.AuthAccept)
	both(acct(annSession, verify.StatusInterim, 120, 107))
	both(acct(lateSession, verify.StatusStop, 5, 11))
	w.Add(verify.WitnessRecord{Phase: verify.PhaseLeaderKilled})
	w.Add(verify.WitnessRecord{Timeout: acct(annSession, verify.StatusInterim, 180, 130)})
	both(acct(annSession, verify.StatusInterim, 150, 117))
	return w
}

func (w *world) check(t *testing.T) []verify.Finding {
	t.Helper()
	return verify.Check(t.Context(), w, w.edges, w.witness, w.opt)
}
