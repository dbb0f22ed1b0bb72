package verify_test

import (
	"slices"
	"strings"
	"testing"

	"meridian/internal/journal"
	"meridian/internal/verify"
)

// mutations break the world in one way each. want names every check that fails
// and what its detail must name; all others must pass.
type mutation struct {
	name   string
	mutate func(w *world)
	want   map[string]string
}

func at(w *world, seq int) *stored { return &w.entries["north"][seq-1] }

func mutations() []mutation {
	return slices.Concat(ledgerMutations(), bookMutations(), leaseMutations(), sessionMutations(), orderMutations(), witnessMutations(), placeMutations(), ruleMutations(), headMutations(), claimMutations())
}

func ledgerMutations() []mutation {
	return []mutation{
		{"entry's bytes changed in place", func(w *world) {
			s := at(w, 3)
			s.entry.Amount = 31
			s.raw = s.entry.Encode()
		}, map[string]string{"V5": "entry north/1/3: stored hash", "V1": "bucket ann/cash at node north-1 of region north: S is 52, the entries up to 1/19 sum to 53", "V2": "entry north/1/2: usage record 1", "V7": "entry/north/1/3 posts"}},
		{"amount changed, later hashes computed anew", func(w *world) {
			at(w, 3).entry.Amount = 31
			w.rechain("north")
		}, map[string]string{"V5": "entry north/1/16: node north-1 of region north had hash", "V1": "ann/cash", "V2": "off by 1", "V7": "entry/north/1/3 posts +31"}},
		{"time of an entry changed, later hashes computed anew", func(w *world) {
			at(w, 3).entry.Detail = "x"
			w.rechain("north")
		}, map[string]string{"V5": "entry north/1/16: node north-1"}},
		{"entry dropped", func(w *world) {
			w.entries["north"] = slices.Delete(w.entries["north"], 12, 13)
		}, map[string]string{"V5": "entry north/1/14 follows 1/12", "V1": "X is 10, the entries up to 1/19 sum to 0"}},
		{"last entry dropped", func(w *world) {
			w.entries["north"] = w.entries["north"][:15]
			w.journals = slices.DeleteFunc(w.journals, func(j journal.Journal) bool { return j.Source == "entry/north/1/16" })
			w.rebalance()
			w.edges = nil
		}, map[string]string{"V5": "region north: the cursor stands at 1/16"}},
		{"centre restored from an old backup", func(w *world) {
			w.entries["north"] = w.entries["north"][:15]
			w.rechain("north")
			w.journals = slices.DeleteFunc(w.journals, func(j journal.Journal) bool { return j.Source == "entry/north/1/16" })
			w.rebalance()
			w.witness = nil
		}, map[string]string{"V5": "node north-1 of region north had 1/16 acknowledged, the centre's cursor stands at 15"}},
		{"charge stands twice", func(w *world) {
			w.entries["north"] = slices.Insert(w.entries["north"], 3, *at(w, 3))
		}, map[string]string{"V5": "entry north/1/3 follows 1/3", "V1": "sum to 8", "V2": "its charges and overrun sum to 60", "V7": "entry/north/1/3"}},
		{"entry inserted, later hashes computed anew", func(w *world) {
			w.entries["north"] = slices.Insert(w.entries["north"], 15, stored{epoch: 1, entry: on(journal.KindReturned, "bob", 700)})
			w.rechain("north")
		}, map[string]string{"V5": "entry north/1/16: node north-1", "V1": "bucket bob/cash at node north-1 of region north: X is 0, the entries up to 1/19 sum to 700", "V7": "entry/north/1/17 (taken of 9 EUR) has no journal"}},
		{"entry moved", func(w *world) {
			w.entries["north"][11], w.entries["north"][12] = w.entries["north"][12], w.entries["north"][11]
			w.entries["north"][11].seq, w.entries["north"][12].seq = 12, 13
		}, map[string]string{"V5": "entry north/1/12: stored hash", "V7": "entry/north/1/13"}},
		{"epoch does not name the one before", func(w *world) {
			s := &w.entries["south"][2]
			s.entry.Ref = strings.Repeat("0", 64)
			s.raw = s.entry.Encode()
			s.hash = journal.Chain(journal.Hash{}, s.raw)
			w.regions[1].Hash = s.hash
		}, map[string]string{"V5": "entry south/2/1 names 0000000000000000… as the last hash"}},
		{"entry that cannot be read", func(w *world) {
			s := at(w, 14)
			s.entry.Kind = 99
			w.rechain("north")
			w.edges, w.witness = nil, nil
		}, map[string]string{"V5": "entry north/1/14 cannot be read"}},
		{"node's own entry changed", func(w *world) {
			r := &w.edges[1]
			r.Entries = slices.Clone(r.Entries)
			number(r, 0, on(journal.KindRepaid, "carl", 21))
		}, map[string]string{"V5": "node north-2 of region north: the entries after 16 chain to", "V6": "entry north/1/17: node north-2"}},
		{"node's segments lack an entry", func(w *world) { w.edges[1].Entries = w.edges[1].Entries[:2] },
			map[string]string{"V5": "1 entries are not in the node's segments"}},
		{"replicas parted", func(w *world) { w.edges[1].StateHash[0] ^= 1 },
			map[string]string{"V6": "at log index 900: the state hash"}},
		{"centre and edge differ when quiet", func(w *world) {
			w.drain()
			w.buckets[1].Leases[0].S = 999
		}, map[string]string{"V6": "bucket bob/cash: S is 1000", "V1": "lease bob/cash of region north, epoch 1: S is 999"}},
		{"region that the centre does not know", func(w *world) {
			w.edges[1].Region = "west"
		}, map[string]string{"V5": "node north-2 of region west: the centre knows no such region"}},
	}
}

func bookMutations() []mutation {
	find := func(w *world, source string) *journal.Journal {
		i := slices.IndexFunc(w.journals, func(j journal.Journal) bool { return j.Source == source })
		w.journals[i].Postings = slices.Clone(w.journals[i].Postings)
		return &w.journals[i]
	}
	return []mutation{
		{"journal edited on one side", func(w *world) {
			find(w, "entry/north/1/7").Postings[0].Amount++
			w.rebalance()
		}, map[string]string{"V7": "journal entry/north/1/7: EUR sums to 1"}},
		{"journal edited on both sides", func(w *world) {
			j := find(w, "entry/north/1/7")
			j.Postings[0].Amount++
			j.Postings[1].Amount--
			w.rebalance()
		}, map[string]string{"V7": "entry/north/1/7 posts +7 EUR to asset/receivable:carl"}},
		{"journal posted to another account", func(w *world) {
			find(w, "entry/north/1/7").Postings[0].Account = journal.Cash
			w.rebalance()
		}, map[string]string{"V7": "its journal says +7 EUR to asset/cash"}},
		{"journal missing", func(w *world) {
			w.journals = slices.DeleteFunc(w.journals, func(j journal.Journal) bool { return j.Source == "entry/north/1/8" })
			w.rebalance()
		}, map[string]string{"V7": "entry/north/1/8 (recurring of 500 EUR) has no journal", "V1": "account bob in EUR: the books owe it 1500"}},
		{"journal posted twice", func(w *world) {
			w.journals = append(w.journals, *find(w, "entry/north/1/7"))
			w.rebalance()
		}, map[string]string{"V7": "journal entry/north/1/7 stands twice"}},
		{"journal of no entry", func(w *world) {
			w.journals = append(w.journals, journal.Transfer("entry/north/1/99", now, "test", journal.Cash, journal.RevenueUsage, "EUR", 1))
			w.rebalance()
		}, map[string]string{"V7": "journal entry/north/1/99 is of no entry"}},
		{"balance row altered", func(w *world) {
			w.balances[verify.BalanceKey{Account: journal.RevenueUsage, Unit: "EUR"}] += 3
		}, map[string]string{"V7": "balance of income/usage in EUR is -114, its postings sum to -117: off by 3"}},
		{"balance row missing", func(w *world) {
			delete(w.balances, verify.BalanceKey{Account: journal.Cash, Unit: "EUR"})
		}, map[string]string{"V7": "balance of asset/cash in EUR is 0"}},
		{"deposit not in the bucket's row", func(w *world) { w.buckets[1].Credited = 2001 },
			map[string]string{"V1": "account bob in EUR: its buckets say 2001 credited"}},
		{"credit of an account that has no bucket", func(w *world) {
			w.journals = append(w.journals, journal.Transfer("payment/9", now, "test", journal.Cash, journal.CustomerPrepaid+"dora", "EUR", 4))
			w.rebalance()
		}, map[string]string{"V1": "account dora in EUR: its buckets say 0 credited"}},
	}
}

func leaseMutations() []mutation {
	each := func(w *world, fn func(r *verify.EdgeReport)) {
		for i := range w.edges {
			r := &w.edges[i]
			r.Buckets, r.Sessions = slices.Clone(r.Buckets), slices.Clone(r.Sessions)
			fn(r)
		}
	}
	return []mutation{
		{"grant counted twice at the edge", func(w *world) { each(w, func(r *verify.EdgeReport) { r.Buckets[0].G = 1400 }) },
			map[string]string{"V1": "bucket ann/cash at node north-1 of region north: G is 1400, 700 were granted up to feed row 5: off by 700"}},
		{"more granted than credited", func(w *world) { w.buckets[1].Leases[0].G = 2001 },
			map[string]string{"V1": "bucket bob/cash: unleased is -1"}},
		{"U off by one", func(w *world) { each(w, func(r *verify.EdgeReport) { r.Buckets[0].U++ }) },
			map[string]string{"V1": "bucket ann/cash at node north-1 of region north: U is 4, its sessions have 3 pending: off by 1"}},
		{"hold forgotten", func(w *world) { each(w, func(r *verify.EdgeReport) { r.Reservations = r.Reservations[:1] }) },
			map[string]string{"V1": "H is 30, its reservations hold 20: off by 10"}},
		{"pending lost", func(w *world) {
			each(w, func(r *verify.EdgeReport) {
				r.Sessions[0].Pending = nil
				r.Buckets[0].U = 0
			})
		}, map[string]string{"V2": "was charged 3 micro-units since record 2, 0 are pending"}},
		{"taken in and not said", func(w *world) { each(w, func(r *verify.EdgeReport) { r.Buckets[0].T = 41 }) },
			map[string]string{"V1": "T is 41, the entries up to 1/19 sum to 40"}},
		{"bucket lost at the edge", func(w *world) { each(w, func(r *verify.EdgeReport) { r.Buckets = slices.Delete(r.Buckets, 1, 2) }) },
			map[string]string{"V1": "bucket bob/cash: entries of region north raise its totals, node north-1"}},
		{"lease's row lost at the centre", func(w *world) { w.buckets[2].Leases = nil },
			map[string]string{"V1": "lease carl/cash of region north, epoch 1: entries raise it"}},
		{"lease's total wrong at the centre", func(w *world) { w.buckets[0].Leases[0].X = 9 },
			map[string]string{"V1": "lease ann/cash of region north, epoch 1: X is 9 at the centre, its entries sum to 10"}},
		{"T regranted", func(w *world) { w.buckets[0].Leases[1].G += 55; w.buckets[0].Leases[1].X += 5 },
			map[string]string{"V1": "lease ann/cash of region south, epoch 1: X is 5"}},
		{"available below zero", func(w *world) {
			each(w, func(r *verify.EdgeReport) {
				r.Buckets[2].H = 11
				r.Reservations = append(r.Reservations, verify.EdgeReservation{Key: "r-2", Bucket: "carl/cash", Held: 11})
			})
		}, map[string]string{"V4": "bucket carl/cash at node north-1 of region north: available is -1"}},
		{"borrowed beyond the allowance", func(w *world) { each(w, func(r *verify.EdgeReport) { r.Buckets[2].Allowance = 40 }) },
			map[string]string{"V4": "entry north/1/4: bucket carl/cash had 50 borrowed and not repaid, the allowance is 40: 10 too much"}},
		{"overspent on the way", func(w *world) {
			w.buckets[1].Leases[0].G = 900
			w.granted["north"][5]["bob/cash"] = 900
			each(w, func(r *verify.EdgeReport) { r.Buckets[1].G = 900 })
		}, map[string]string{"V4": "bucket bob/cash at node north-1 of region north: available is -100"}},
		{"overspent, seen from the centre alone", func(w *world) {
			w.buckets[1].Leases[0].G = 900
			w.edges = nil
		}, map[string]string{"V4": "entry north/1/9: bucket bob/cash had 1000 more spent"}},
		{"overrun hidden", func(w *world) { each(w, func(r *verify.EdgeReport) { r.OverrunSum = 6 }) },
			map[string]string{"V4": "node north-1 of region north says 6 micro-units of overrun in all, entries and sessions sum to 7"}},
		{"overrun beyond its bound", func(w *world) { each(w, func(r *verify.EdgeReport) { r.OverrunBound = 6 }) },
			map[string]string{"V4": "session nas-1/s-carl@1759998000 of region north overran by 7 micro-units, the bound is 6"}},
	}
}

func TestEveryMutationIsFound(t *testing.T) {
	if n := len(mutations()); n < 20 {
		t.Fatalf("%d mutations", n)
	}
	for _, m := range mutations() {
		t.Run(m.name, func(t *testing.T) {
			w := newWorld()
			m.mutate(w)
			for _, f := range w.check(t) {
				want, broken := m.want[f.ID]
				if f.OK == broken || broken && !strings.Contains(f.Detail, want) {
					t.Errorf("%s ok %v, want broken %v naming %q\n got %s", f.ID, f.OK, broken, want, f.Detail)
				}
			}
		})
	}
}
