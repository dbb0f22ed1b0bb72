package verify_test

import (
	"slices"

	"meridian/internal/journal"
	"meridian/internal/rating"
	"meridian/internal/verify"
)

// retail rewrites a node's own entries and moves every node there.
func retail(w *world, change func(list []journal.Entry) []journal.Entry) {
	for i := range w.edges {
		r := &w.edges[i]
		list := make([]journal.Entry, 0, len(r.Entries))
		for _, e := range r.Entries {
			entry, err := journal.DecodeEntry(e.Raw)
			if err != nil {
				panic(err)
			}
			list = append(list, entry)
		}
		list = change(list)
		r.Entries = make([]verify.RawEntry, len(list))
		for k, e := range list {
			number(r, k, e)
		}
		head(r)
	}
}

func sessionMutations() []mutation {
	usage := func(change func(u *journal.UsageRecord)) func(w *world) {
		return func(w *world) {
			retail(w, func(list []journal.Entry) []journal.Entry {
				change(list[1].Usage)
				return list
			})
		}
	}
	session := func(change func(s *verify.EdgeSession)) func(w *world) {
		return func(w *world) {
			for i := range w.edges {
				w.edges[i].Sessions = slices.Clone(w.edges[i].Sessions)
				change(&w.edges[i].Sessions[0])
			}
		}
	}
	return []mutation{
		{"usage record's octets below its counters", usage(func(u *journal.UsageRecord) { u.InOctets, u.Slices[0].Quantity = 5, 5 }),
			map[string]string{"V2": "entry north/1/18: usage record 2 of session nas-1/s-ann@1759997000 goes to 107/0 octets"}},
		{"usage priced for less than was used", usage(func(u *journal.UsageRecord) { u.Slices[0].Quantity = 5 }),
			map[string]string{"V2": "prices 5 bytes, it used 6: off by -1"}},
		{"priced on top of another state", usage(func(u *journal.UsageRecord) { u.Before = rating.State{} }),
			map[string]string{"V2": "is priced on top of 0 units at 0 micro-units, the record before ended at 101 at 30"}},
		{"rated by a version with other content", usage(func(u *journal.UsageRecord) { u.TariffHash[0] ^= 1 }),
			map[string]string{"V2": "was rated by prepaid@1 with content"}},
		{"rounded up", func(w *world) {
			retail(w, func(list []journal.Entry) []journal.Entry {
				list[1].Usage.Slices[0].Amount, list[2].Amount = 3, 3
				return list
			})
			for i := range w.edges {
				w.edges[i].Buckets = slices.Clone(w.edges[i].Buckets)
				w.edges[i].Buckets[0].S = 53
			}
			session(func(s *verify.EdgeSession) { s.CutBefore.Charged, s.Rated.Charged = 33, 36 })(w)
		}, map[string]string{"V2": "107 units cost 32 micro-units by prepaid@1, 33 are charged"}},
		{"cut number skipped", func(w *world) {
			retail(w, func(list []journal.Entry) []journal.Entry {
				list[1].Cut, list[1].Usage.Number, list[2].Cut = 3, 3, 3
				return list
			})
			session(func(s *verify.EdgeSession) { s.Cuts = 3 })(w)
		}, map[string]string{"V2": "entry north/1/18: usage record 3 of session nas-1/s-ann@1759997000 follows record 1"}},
		{"cut written twice", func(w *world) {
			retail(w, func(list []journal.Entry) []journal.Entry { return append(list, list[1], list[2]) })
			for i := range w.edges {
				w.edges[i].Buckets = slices.Clone(w.edges[i].Buckets)
				w.edges[i].Buckets[0].S = 54
			}
		}, map[string]string{"V2": "entry north/1/20: usage record 2 of session nas-1/s-ann@1759997000 follows record 2"}},
		{"charge of no cut", func(w *world) {
			retail(w, func(list []journal.Entry) []journal.Entry {
				return append(list, on(journal.KindTaken, "ann", 2), list[2])
			})
			for i := range w.edges {
				w.edges[i].Buckets = slices.Clone(w.edges[i].Buckets)
				w.edges[i].Buckets[0].S, w.edges[i].Buckets[0].T = 54, 42
			}
		}, map[string]string{"V2": "entry north/1/21: charge of 2 EUR for cut 2 of session nas-1/s-ann@1759997000 does not follow"}},
		{"fee of a period charged twice", func(w *world) {
			retail(w, func(list []journal.Entry) []journal.Entry {
				return append(list, with(on(journal.KindRecurring, "bob", 500), "sub-bob/1759592000", ""))
			})
			for i := range w.edges {
				w.edges[i].Buckets = slices.Clone(w.edges[i].Buckets)
				w.edges[i].Buckets[1].S = 1500
			}
		}, map[string]string{"V2": "entry north/1/20 charges 500 EUR for period 1759592000 of subscription sub-bob"}},
		{"more of a fee given back than was charged", func(w *world) {
			retail(w, func(list []journal.Entry) []journal.Entry {
				return append(list, with(on(journal.KindCredit, "bob", 1001), "sub-bob/1759592000", ""))
			})
			for i := range w.edges {
				w.edges[i].Buckets = slices.Clone(w.edges[i].Buckets)
				w.edges[i].Buckets[1].T += 1001
			}
		}, map[string]string{"V2": "entry north/1/20 gives 1001 EUR of subscription sub-bob back from 1759592000: it gives back twice, or more than was charged"}},
		{"cut forgotten in the live state", session(func(s *verify.EdgeSession) {
			s.Cuts, s.CutIn, s.CutSeconds = 1, 101, 60
			s.CutBefore = rating.State{Quantity: 101, Charged: 30}
		}),
			map[string]string{"V2": "session nas-1/s-ann@1759997000 at node north-1 of region north says 1 records up to 101/0"}},
		{"counters went down", session(func(s *verify.EdgeSession) { s.In = 100 }),
			map[string]string{"V2": "counters went down", "V3": "session nas-1/s-ann@1759997002: 117/0 octets and 150 s were acknowledged"}},
		{"live usage rated for less", session(func(s *verify.EdgeSession) { s.Rated.Quantity = 116 }),
			map[string]string{"V2": "used 10 bytes since record 2 and rated 9"}},
		{"usage hidden from the NAS's totals", func(w *world) {
			s := at(w, 15)
			s.entry.Usage.InOctets = 500
			w.rechain("north")
			for i := range w.edges {
				w.edges[i].AckedHash = at(w, 16).hash
				head(&w.edges[i])
			}
		}, map[string]string{"V2": "NAS nas-1 of region north: its hourly totals up to entry 19 count 500 octets, its sessions 397 in records and 10 uncut: 93 are hidden"}},
	}
}

func orderMutations() []mutation {
	return []mutation{
		{"order carried out twice", func(w *world) {
			retail(w, func(list []journal.Entry) []journal.Entry {
				return append(list, with(journal.Entry{Kind: journal.KindOrder}, "o-1", "executed"))
			})
		}, map[string]string{"V9": "entry north/1/20 answers order o-1, which entry north/1/11 had answered"}},
		{"order that nobody gave", func(w *world) {
			retail(w, func(list []journal.Entry) []journal.Entry {
				return append(list, with(journal.Entry{Kind: journal.KindOrder}, "o-2", "executed"))
			})
		}, map[string]string{"V9": "entry north/1/20 answers order o-2, which the region's feed does not hold"}},
		{"feed row skipped", func(w *world) { w.rows["north"] = slices.Delete(w.rows["north"], 2, 3) },
			map[string]string{"V9": "feed row north/4 (lease carl/cash version 1) follows row 2"}},
		{"entity version repeated", func(w *world) { w.rows["north"][5].version = 1 },
			map[string]string{"V9": "feed row north/6 (lease ann/cash version 1) comes after version 1"}},
		{"last feed row lost", func(w *world) { w.rows["north"] = w.rows["north"][:5] },
			map[string]string{"V9": "feed of region north: the sequencer gave number 6 last, the last row is 5"}},
		{"edge skipped a feed row", func(w *world) { w.edges[1].FeedApplied = 4 },
			map[string]string{"V9": "node north-2 of region north stands at feed row 5 and applied 4 rows"}},
		{"edge ahead of the feed", func(w *world) {
			w.edges[0].FeedVersion, w.edges[0].FeedApplied = 7, 7
			w.granted["north"][7] = w.granted["north"][5]
		}, map[string]string{"V9": "node north-1 of region north stands at feed row 7, the centre numbered 6"}},
	}
}

func witnessMutations() []mutation {
	acct := func(key journal.SessionKey, status string, seconds int64, in uint64) *verify.WitnessAcct {
		return &verify.WitnessAcct{NAS: key.NAS, ID: key.ID, Start: key.Start, Status: status, Event: now, Seconds: seconds, In: in}
	}
	return []mutation{
		{"acknowledged usage lost", func(w *world) {
			w.witness.Add(verify.WitnessRecord{Acked: acct(annSession, verify.StatusInterim, 150, 118)})
		}, map[string]string{"V3": "session nas-1/s-ann@1759997002: 118/0 octets and 150 s were acknowledged, ledger and live state hold 117/0"}},
		{"acknowledged session lost", func(w *world) {
			key := journal.SessionKey{NAS: "nas-1", ID: "s-new", Start: now - 60}
			w.witness.Add(verify.WitnessRecord{Acked: acct(key, verify.StatusStart, 0, 0)})
		}, map[string]string{"V3": "session nas-1/s-new@1759999940: 1 requests were acknowledged, neither ledger nor live state knows it"}},
		{"acknowledged Stop lost", func(w *world) {
			w.witness.Add(verify.WitnessRecord{Acked: acct(annSession, verify.StatusStop, 150, 117)})
		}, map[string]string{"V3": "session nas-1/s-ann@1759997002: its Stop was acknowledged, and it is still open"}},
		{"more recorded than sent", func(w *world) {
			w.witness = witness()
			for _, s := range w.witness.Sessions {
				if s.Key.ID == carlSession.ID {
					s.Sent.In, s.Acked.In = 289, 289
				}
			}
		}, map[string]string{"V2": "session nas-1/s-carl@1759998002: its client sent 289/0 octets and 60 s at most, 290/0"}},
		{"one session of the client counted as two", func(w *world) {
			for i := range w.edges {
				twin := w.edges[i].Sessions[1]
				twin.Key.Start += 5
				twin.Open, twin.Cuts, twin.CutIn, twin.CutSeconds = true, 0, 0, 0
				w.edges[i].Sessions = append(slices.Clone(w.edges[i].Sessions), twin)
			}
		}, map[string]string{"V2": "290/0 octets and 60 s at most, 580/0 and 120 s are recorded in 2 sessions", "V3": "its Stop was acknowledged, and it is still open"}},
		{"region noticed that the link was cut", func(w *world) {
			w.witness.Add(verify.WitnessRecord{Phase: verify.PhaseLinkCut})
			w.witness.Add(verify.WitnessRecord{Auth: &verify.WitnessAuth{Login: "ann", Result: verify.AuthTimeout}})
		}, map[string]string{"V8": "phase link_cut: 1 logins and 0 accounting requests timed out"}},
		{"nobody could log in without the centre", func(w *world) { w.witness.Phase(verify.PhaseCentreKilled).Accepts = 0 },
			map[string]string{"V8": "phase centre_killed: no login was accepted"}},
		{"nothing acknowledged without the link", func(w *world) { w.witness.Phase(verify.PhaseLinkCut).Acked = 0 },
			map[string]string{"V8": "phase link_cut: no accounting request was acknowledged"}},
		{"no node took over", func(w *world) {
			w.witness.Add(verify.WitnessRecord{Timeout: acct(annSession, verify.StatusInterim, 180, 130)})
		}, map[string]string{"V8": "phase leader_killed: no accounting request was acknowledged after the last of 2 timeouts"}},
	}
}
