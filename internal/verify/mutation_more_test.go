package verify_test

import (
	"slices"
	"strings"
	"testing"

	"meridian/internal/journal"
	"meridian/internal/tariff"
	"meridian/internal/verify"
)

// placeMutations break where records stand: epochs, cursors, segments, replicas.
func placeMutations() []mutation {
	forge := func(w *world, seq int, change func(e *journal.Entry)) {
		s := at(w, seq)
		change(&s.entry)
		s.raw = s.entry.Encode()
		last := at(w, seq-1).hash
		for i := seq; i <= acked; i++ {
			last = journal.Chain(last, at(w, i).raw)
			at(w, i).hash = last
		}
		w.regions[0].Hash = last
		for i := range w.edges {
			w.edges[i].AckedHash = last
			head(&w.edges[i])
		}
	}
	return []mutation{
		{"entry says another place, hashes right", func(w *world) { forge(w, 14, func(e *journal.Entry) { e.Seq = 13 }) },
			map[string]string{"V5": "entry north/1/14 says that it is entry north/1/13: it was moved"}},
		{"epoch entry in the middle", func(w *world) {
			forge(w, 14, func(e *journal.Entry) {
				*e = journal.Entry{Kind: journal.KindEpoch, Region: "north", Epoch: 1, Seq: 14}
			})
			w.witness = nil
		}, map[string]string{"V5": "entry north/1/14 is of kind epoch"}},
		{"entries of an epoch that was not issued", func(w *world) {
			w.regions[1] = verify.Region{Name: "south", Epoch: 1, Seq: 2, Hash: w.entries["south"][1].hash, FeedLast: 1}
		}, map[string]string{"V5": "entry south/2/1: epoch 2 follows epoch 1, and the centre issued 1 at most"}},
		{"cursor in an epoch without entries", func(w *world) { w.regions[1].Epoch, w.regions[1].Seq = 3, 4 },
			map[string]string{"V5": "region south: the cursor stands at 3/4, no entry of epoch 3 is stored: 4 are missing"}},
		{"edge in an epoch that was not issued", func(w *world) { w.edges[1].Epoch = 2 },
			map[string]string{"V5": "node north-2 of region north is in epoch 2, the centre issued 1 at most"}},
		{"acknowledged beyond the ledger's end", func(w *world) { w.edges[1].Acked = 30 },
			map[string]string{"V5": "node north-2 of region north: its ledger ends at 1/19, and 30 was acknowledged"}},
		{"nothing acknowledged, but a hash", func(w *world) { w.edges[1].Acked, w.edges[1].Entries = 0, nil },
			map[string]string{"V5": "nothing was acknowledged in epoch 1, but its hash is"}},
		{"segments with a gap", func(w *world) { w.edges[1].Entries = slices.Delete(slices.Clone(w.edges[1].Entries), 1, 2) },
			map[string]string{"V5": "entry north/1/19 at node north-2 of region north stands where 18 should"}},
		{"acknowledged hash differs from the centre's", func(w *world) {
			w.edges[1].AckedHash[0] ^= 1
			head(&w.edges[1])
		}, map[string]string{"V5": "entry north/1/16: node north-2 of region north had hash", "V6": "entry north/1/17: node north-2"}},
		{"replica wrote one entry more", func(w *world) {
			r := &w.edges[1]
			r.Entries = append(slices.Clone(r.Entries), verify.RawEntry{})
			number(r, 3, with(journal.Entry{Kind: journal.KindOrder}, "o-1", "executed"))
			head(r)
		}, map[string]string{"V6": "at log index 900: node north-2 of region north wrote entries up to 20, node north-1 of region north up to 19", "V9": "entry north/1/20 answers order o-1"}},
		{"bucket lost at the edge when quiet", func(w *world) {
			w.buckets = append(w.buckets, verify.CentreBucket{ID: "dora/cash", Account: "dora", Unit: "EUR", Credited: 5, Leases: []verify.LeaseTotals{{Region: "north", Epoch: 1, G: 5}}})
			w.journals = append(w.journals, journal.Transfer("payment/7", now, "test", journal.Cash, journal.CustomerPrepaid+"dora", "EUR", 5))
			w.drain()
			w.granted["north"][6]["dora/cash"] = 5
		}, map[string]string{"V6": "bucket dora/cash: the centre has a lease of region north", "V1": "bucket dora/cash: 5 were granted to region north up to feed row 6"}},
		{"bucket stands twice at the centre", func(w *world) { w.buckets = append(w.buckets, w.buckets[1]) },
			map[string]string{"V1": "bucket bob/cash stands twice at the centre"}},
	}
}

// ruleMutations break what a single record must obey.
func ruleMutations() []mutation {
	tail := func(more ...journal.Entry) func(w *world) {
		return func(w *world) {
			retail(w, func(list []journal.Entry) []journal.Entry { return append(list, more...) })
		}
	}
	return []mutation{
		{"more repaid than borrowed", func(w *world) {
			tail(on(journal.KindTaken, "ann", 9), on(journal.KindRepaid, "ann", 9))(w)
			for i := range w.edges {
				w.edges[i].Buckets = slices.Clone(w.edges[i].Buckets)
				w.edges[i].Buckets[0].T, w.edges[i].Buckets[0].P = 49, 9
			}
		}, map[string]string{"V4": "entry north/1/21: bucket ann/cash has 9 repaid of 0 borrowed: 9 too much"}},
		{"entry of a bucket that no node has", tail(on(journal.KindTaken, "dora", 9)),
			map[string]string{"V1": "bucket dora/cash: entries of region north raise its totals, node north-1 of region north has no such bucket"}},
		{"fee without a period", func(w *world) {
			tail(with(on(journal.KindRecurring, "bob", 1), "monthly", ""))(w)
			for i := range w.edges {
				w.edges[i].Buckets = slices.Clone(w.edges[i].Buckets)
				w.edges[i].Buckets[1].S = 1001
			}
		}, map[string]string{"V2": `entry north/1/20: the fee names "monthly"`}},
		{"usage record without a number", tail(journal.Entry{Kind: journal.KindUsage, Session: annSession, Usage: &journal.UsageRecord{}}),
			map[string]string{"V2": "entry north/1/20: usage record of session nas-1/s-ann@1759997000 has number 0"}},
		{"negative hold", func(w *world) {
			for i := range w.edges {
				w.edges[i].Buckets = slices.Clone(w.edges[i].Buckets)
				w.edges[i].Buckets[1].H = -5
				w.edges[i].Reservations = append(slices.Clone(w.edges[i].Reservations), verify.EdgeReservation{Key: "r", Bucket: "bob/cash", Held: -5})
			}
		}, map[string]string{"V4": "bucket bob/cash at node north-1 of region north: U is 0 and H -5"}},
		{"worst overrun hidden", func(w *world) { w.edges[0].OverrunWorst = 1 },
			map[string]string{"V4": "says that one session overran by 1 micro-units at most, session nas-1/s-carl@1759998000 did by 7"}},
		{"free usage charged", func(w *world) {
			o := prepaidOffering()
			o.Usage = nil
			w.opt.Offerings = []*tariff.Offering{o}
			for i := range w.entries["north"] {
				if u := w.entries["north"][i].entry.Usage; u != nil && u.Offering != "" {
					u.TariffHash = o.Hash()
				}
			}
			w.rechain("north")
			for i := range w.edges {
				w.edges[i].AckedHash = at(w, acked).hash
			}
			retail(w, func(list []journal.Entry) []journal.Entry {
				list[1].Usage.TariffHash = o.Hash()
				return list
			})
		}, map[string]string{"V2": "is priced at 30 micro-units, usage of prepaid@1 is free"}},
		{"without prices, quantity that nobody used", func(w *world) {
			w.opt.Offerings = nil
			retail(w, func(list []journal.Entry) []journal.Entry {
				list[1].Usage.Slices[0].Quantity = 4
				return list
			})
			for i := range w.edges {
				w.edges[i].Sessions = slices.Clone(w.edges[i].Sessions)
				w.edges[i].Sessions[0].CutBefore.Quantity = 105
			}
		}, map[string]string{"V2": "prices 4 units of 6 octets or 60 seconds"}},
		{"charged without usage", func(w *world) {
			for i := range w.edges {
				r := &w.edges[i]
				r.Sessions, r.Buckets = slices.Clone(r.Sessions), slices.Clone(r.Buckets)
				r.Sessions[1].Pending = []verify.Part{{Bucket: "ann/cash", Amount: 2}}
				r.Buckets[0].U = 5
			}
		}, map[string]string{"V2": "session nas-1/s-carl@1759998000 at node north-1 of region north has 2 micro-units pending, and used nothing since record 1"}},
		{"posting without an account", func(w *world) {
			w.journals = append(w.journals, journal.Journal{Source: "manual/1", Postings: []journal.Posting{{Unit: "EUR"}}})
		}, map[string]string{"V7": "journal manual/1: posting 0 names no account or unit"}},
		{"quarantined more than was sent", func(w *world) {
			for _, s := range w.witness.Sessions {
				if s.Key.ID == lateSession.ID {
					s.Sent.In, s.Acked.In = 10, 10
				}
			}
		}, map[string]string{"V2": "11/0 and 5 s are in quarantine"}},
	}
}

func TestWitnessThatCannotBeLookedUp(t *testing.T) {
	w := newWorld()
	ack := func(nas, id string, event int64, in uint64) {
		w.witness.Add(verify.WitnessRecord{Acked: &verify.WitnessAcct{NAS: nas, ID: id, Start: event, Status: verify.StatusInterim, Event: event, In: in}})
	}
	ack("nas-south", "1", now-5, 9)   // its region was not asked
	ack("nas-1", "2", now-8*86400, 0) // forgotten, and nothing to charge
	w.edges[0].Sessions = append(slices.Clone(w.edges[0].Sessions), verify.EdgeSession{Key: journal.SessionKey{NAS: "nas-1", ID: "others", Start: now}})
	for _, f := range w.check(t) {
		if !f.OK {
			t.Errorf("%+v", f)
		}
		if f.ID != "V3" {
			continue
		}
		for _, want := range []string{"3 sessions are in ledger", "1 sessions could not be looked up", "1 sessions are not the witness's", "1 sessions without usage are older"} {
			if !strings.Contains(f.Detail, want) {
				t.Errorf("%q is not said: %s", want, f.Detail)
			}
		}
	}
}
