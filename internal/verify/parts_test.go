package verify_test

import (
	"slices"
	"strings"
	"testing"

	"meridian/internal/journal"
	"meridian/internal/rating"
	"meridian/internal/verify"
)

// inParts makes the newest record of the world one that is rated by parts.
func inParts(change func(u *journal.UsageRecord, charge *journal.Entry), live func(p *verify.EdgePart)) *world {
	w := newWorld()
	retail(w, func(list []journal.Entry) []journal.Entry {
		u := list[1].Usage
		p := journal.UsagePart{Component: "usage", Period: 5, Before: rating.Tally{State: u.Before}, Uses: []rating.Use{{Quantity: 6, From: 1, To: 2}}}
		for _, x := range u.Slices {
			p.Slices = append(p.Slices, journal.PaidSlice{Rule: x.Rule, Quantity: x.Quantity, Charged: x.Quantity, Amount: x.Amount})
		}
		u.Before, u.Slices, u.Parts = rating.State{}, nil, []journal.UsagePart{p}
		change(u, &list[2])
		return list
	})
	for i := range w.edges {
		w.edges[i].Sessions = slices.Clone(w.edges[i].Sessions)
		s := &w.edges[i].Sessions[0]
		p := verify.EdgePart{Component: "usage", Period: 5, Rated: s.Rated, CutBefore: s.CutBefore, Uncut: 10}
		live(&p)
		s.Parts, s.Rated, s.CutBefore = []verify.EdgePart{p}, rating.State{}, rating.State{}
	}
	return w
}

func TestRecordsInParts(t *testing.T) {
	none := func(*journal.UsageRecord, *journal.Entry) {}
	still := func(*verify.EdgePart) {}
	for _, c := range []struct {
		name   string
		change func(u *journal.UsageRecord, charge *journal.Entry)
		live   func(p *verify.EdgePart)
		want   string // "" = all is well
	}{
		{"as they are", none, still, ""},
		{"slices beside the reports", func(u *journal.UsageRecord, _ *journal.Entry) { u.Parts[0].Slices[0].Quantity = 5 }, still, "its reports come to 6 units, its slices to 5: off by -1"},
		{"reports beside the counters", func(u *journal.UsageRecord, _ *journal.Entry) {
			u.Parts[0].Slices[0].Quantity, u.Parts[0].Uses[0].Quantity = 7, 7
		}, still, "prices 7 bytes by component usage, it used 6: off by 1"},
		{"a component that the offering has not", func(u *journal.UsageRecord, _ *journal.Entry) { u.Parts[0].Component = "calls" }, still, `prepaid@1 has no component "calls"`},
		{"other content", func(u *journal.UsageRecord, _ *journal.Entry) { u.TariffHash[0] ^= 1 }, still, "was rated by prepaid@1 with content"},
		{"by session, on top of nothing", func(u *journal.UsageRecord, _ *journal.Entry) { u.Parts[0].Period = 0 }, still, "component usage, is priced on top of 101 units at 30 micro-units, the record before ended at 0 at 0"},
		{"an allowance that no slice names", func(_ *journal.UsageRecord, e *journal.Entry) { e.Unit = "bytes" }, still, "2 bytes of bucket ann/cash are charged for cut 2"},
		{"more charged than priced", func(u *journal.UsageRecord, _ *journal.Entry) { u.Parts[0].Slices[0].Amount = 1 }, still, "is priced at 1 micro-units, its charges and overrun sum to 2: off by 1"},
		{"a session that goes on from elsewhere", none, func(p *verify.EdgePart) { p.CutBefore.Quantity = 106 }, "goes on from 106 units at 32 micro-units, the last record ended at 107 at 32"},
		{"usage that was not rated", none, func(p *verify.EdgePart) { p.Uncut = 11 }, "10 units were rated since record 2, it used 11"},
		{"charged and not pending", none, func(p *verify.EdgePart) { p.Rated.Charged = 36 }, "was charged 4 micro-units since record 2, 3 are pending: off by -1"},
	} {
		var broken []string
		for _, f := range inParts(c.change, c.live).check(t) {
			if !f.OK {
				broken = append(broken, f.ID+" "+f.Detail)
			}
		}
		if all := strings.Join(broken, "\n"); (all == "") != (c.want == "") || !strings.Contains(all, c.want) {
			t.Errorf("%s: found\n%s\nwant %q", c.name, all, c.want)
		}
	}
}
