package trial

import (
	"strings"
	"testing"

	"meridian/internal/tariff"
)

// Of three subscribers one has an offering that the draft lacks, one changes to it.
func TestOthers(t *testing.T) {
	draft := []tariff.Offering{{ID: "new", Usage: []tariff.Usage{{Name: "data"}}}, {ID: "kept", Usage: []tariff.Usage{{Name: "data"}}}}
	events := []Event{
		{Line: 2, Subscription: "ann", Offering: "kept", Usage: "data"},
		{Line: 3, Subscription: "ben", Offering: "old", Usage: "data"},
		{Line: 4, Subscription: "ben", Offering: "old", Usage: "octets"},
		{Line: 5, Subscription: "cid", Offering: "kept", Usage: "data"},
		{Line: 6, Subscription: "cid", Offering: "older", Usage: "data"},
		{Line: 7, Subscription: "dan", Usage: "data"},
	}
	lines := func(list []Event) (out string) {
		for _, e := range list {
			out += e.Subscription + ":" + e.Offering + "/" + e.Usage + " "
		}
		return strings.TrimSpace(out)
	}
	for _, c := range []struct {
		name         string
		o            Others
		kept, rated  string
		as, out      int
		leftOut, err string
	}{
		{"neither", Others{}, lines(events), lines(events), 0, 0, "", ""},
		{"rated as new", Others{As: "new"}, lines(events), "ann:kept/data ben:new/data ben:new/ cid:kept/data cid:new/data dan:/data", 3, 0, "", ""},
		{"left out, whole subscriptions", Others{Skip: true}, "ann:kept/data dan:/data", "ann:kept/data dan:/data", 0, 4, "old older", ""},
		{"an offering that the draft lacks", Others{As: "old"}, lines(events), lines(events), 0, 0, "", "rate as one of new, kept"},
	} {
		got, err := c.o.Take(draft, events)
		if (err == nil) != (c.err == "") || err != nil && !strings.Contains(err.Error(), c.err) {
			t.Errorf("%s: %v", c.name, err)
		}
		if lines(got.Kept) != c.kept || lines(got.Events) != c.rated || got.RatedAs != c.as || got.LeftOut != c.out || strings.Join(got.LeftOutOf, " ") != c.leftOut {
			t.Errorf("%s: %+v", c.name, got)
		}
	}
	if events[1].Offering != "old" || events[2].Usage != "octets" {
		t.Error("the events given were changed")
	}
}
