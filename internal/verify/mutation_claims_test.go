package verify_test

import (
	"slices"

	"meridian/internal/journal"
	"meridian/internal/verify"
)

func claimMutations() []mutation {
	const ann = "ann/cash"
	return []mutation{
		{"claim served and not said", func(w *world) { w.buckets[0].Claims[0].Served = 90 },
			map[string]string{"V1": "claim c1 on bucket " + ann + " says 100 owed and 90 served, its journals 100 and 100"}},
		{"claim larger than was booked", func(w *world) { w.buckets[0].Claims[0] = verify.ClaimTotals{ID: "c1", Amount: 110, Served: 110} },
			map[string]string{"V1": "says 110 owed and 110 served, its journals 100 and 100"}},
		{"claim served beyond what is owed", func(w *world) { w.buckets[0].Claims[0].Served = 101 },
			map[string]string{"V1": "claim c1 on bucket " + ann + ": 101 of 100 are served"}},
		{"claim's row lost", func(w *world) { w.buckets[0].Claims = nil },
			map[string]string{"V1": "claim c1: journals say 100 owed and 100 served, the centre has no row of it"}},
		{"claim passed over while money is unleased", func(w *world) {
			w.buckets[0].Claims[0].Amount = 110
			i := slices.IndexFunc(w.journals, func(j journal.Journal) bool { return j.Source == "claim/c1/0" })
			w.journals[i] = journal.Transfer("claim/c1/0", now, "test", journal.Receivable+"ann", journal.Cash, "EUR", 110)
			w.rebalance()
		}, map[string]string{"V1": "bucket " + ann + ": claims lack 10 and 60 are unleased"}},
		{"released of a lease that lives", func(w *world) { w.buckets[2].Leases[0].Released = 5 },
			map[string]string{"V1": "lease carl/cash of region north, epoch 1: 5 were released, and the epoch has not ended"}},
		{"less than nothing released", func(w *world) { w.regions[0].Closed, w.buckets[0].Leases[0].Released = true, -5 },
			map[string]string{"V1": "lease ann/cash of region north, epoch 1: -5 were released"}},
		{"claim served twice", func(w *world) {
			w.journals = append(w.journals, journal.Transfer("claim/c1/200", now, "test", journal.CustomerPrepaid+"ann", journal.Receivable+"ann", "EUR", 100))
			w.rebalance()
		}, map[string]string{"V1": "says 100 owed and 100 served, its journals 100 and 200"}},
	}
}
