package trial

import (
	"fmt"
	"slices"
	"strings"

	"meridian/internal/tariff"
)

// Others is what a simulation does with events of offerings that the draft lacks;
// without either it is a fault of the event.
type Others struct {
	As   string // rates them as this one
	Skip bool   // leaves them out
}

// Taken are a simulation's events after that, in their order, and what was done.
type Taken struct {
	Kept      []Event // as they were
	Events    []Event // as the draft rates them
	RatedAs   int
	LeftOut   int
	LeftOutOf []string // offerings, in the order of their first event
}

// Take makes a simulation's events. A subscription that is left out with one event is
// left out with all: what it paid would else be compared with a part of it. An event
// that is rated as another offering keeps its component where that has one of the
// name. The error says that the draft lacks the offering to rate as.
func (o *Others) Take(draft []tariff.Offering, events []Event) (Taken, error) {
	t := Taken{Kept: events, Events: events}
	if o.As == "" && !o.Skip {
		return t, nil
	}
	find := func(id string) *tariff.Offering {
		i := slices.IndexFunc(draft, func(x tariff.Offering) bool { return x.ID == id })
		if i < 0 {
			return nil
		}
		return &draft[i]
	}
	as := find(o.As)
	if o.As != "" && as == nil {
		var ids []string
		for i := range draft {
			ids = append(ids, draft[i].ID)
		}
		return t, fmt.Errorf("the draft has no offering %q: rate as one of %s", o.As, strings.Join(slices.Compact(ids), ", "))
	}
	lacking := func(e *Event) bool { return e.Offering != "" && find(e.Offering) == nil }
	out := map[string]bool{}
	for i := range events {
		if e := &events[i]; as == nil && lacking(e) {
			out[e.Subscription] = true
			if !slices.Contains(t.LeftOutOf, e.Offering) {
				t.LeftOutOf = append(t.LeftOutOf, e.Offering)
			}
		}
	}
	t.Kept, t.Events = nil, nil
	for _, e := range events {
		if out[e.Subscription] {
			t.LeftOut++
			continue
		}
		t.Kept = append(t.Kept, e)
		if lacking(&e) {
			e.Offering = as.ID
			if !slices.ContainsFunc(as.Usage, func(u tariff.Usage) bool { return u.Name == e.Usage }) {
				e.Usage = ""
			}
			t.RatedAs++
		}
		t.Events = append(t.Events, e)
	}
	return t, nil
}
