package edge

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	"meridian/edge/command"
	"meridian/edge/fsm"
	"meridian/internal/feed"
	"meridian/internal/money"
	"meridian/internal/tariff"
)

const day = 24 * time.Hour

// wrongClocks gives each node a clock that can be set wrong.
func wrongClocks(r *region) []*atomic.Int64 {
	out := make([]*atomic.Int64, len(r.cfgs))
	for i := range r.cfgs {
		by := &atomic.Int64{}
		out[i], r.cfgs[i].ClockOffset = by, func() time.Duration { return time.Duration(by.Load()) }
	}
	return out
}

func (r *region) time() (now time.Time) {
	r.leader().store.View(func(s *fsm.State) { now = time.UnixMicro(s.Now) })
	return now
}

// paidUntil is the end of the only subscription's period, 0 when it is not known.
func (r *region) paidUntil() (until int64) {
	r.leader().store.View(func(s *fsm.State) {
		if v, ok := s.Subscription("sub"); ok {
			until = v.PaidUntil
		}
	})
	return until
}

// moves waits until region time moves, and tells that it is about real time.
func (r *region) moves(after string) {
	r.t.Helper()
	was := r.time()
	r.until("region time moves after "+after, func() bool { return r.time().After(was) })
	if off := time.Until(r.time()).Abs(); off > 10*time.Minute {
		r.t.Fatalf("after %s region time is %s off", after, off)
	}
}

// stands waits until the leader refuses its clocks, and tells that region time has
// not moved since and that accounting goes on.
func (r *region) stands(tr *traffic, after string) {
	r.t.Helper()
	r.until("the alarm fires after "+after, func() bool { _, bad := raised(r.leader(), "clock_jump"); return bad })
	was := r.time()
	r.goesOn(tr, after)
	r.goesOn(tr, after)
	if now := r.time(); !now.Equal(was) {
		r.t.Fatalf("after %s region time went from %s to %s", after, was, now)
	}
}

func (r *region) feedFlatRate() {
	r.t.Helper()
	offering := &tariff.Offering{
		ID: "flat", Version: 1, Name: "Flat", Currency: "EUR", Service: "internet",
		Recurring: tariff.EachDays(10*money.Micro, 30), Profile: tariff.Profile{SessionLimit: 2, InterimSeconds: 60}, Overrun: tariff.Owed,
	}
	rows := []feed.Row{{Kind: feed.KindOffering, ID: feed.OfferingKey("flat", 1)}, {Kind: feed.KindSubscription, ID: "sub"}, {Kind: feed.KindLease, ID: "a/cash"}}
	for i, entity := range []any{offering, &feed.Subscription{ID: "sub", Account: "a", Login: "u", Offering: "flat"},
		&feed.Lease{Bucket: "a/cash", Account: "a", Unit: "EUR", Epoch: 1, Granted: int64(1000 * money.Micro)}} {
		body, err := feed.Encode(entity)
		if err != nil {
			r.t.Fatal(err)
		}
		rows[i].Number, rows[i].Version, rows[i].Body = uint64(i+1), 1, body
	}
	r.do(&command.Feed{Meta: r.leader().meta(), Rows: rows})
}

// The leader's clock, a majority's, all of them and drifting ones: no renewal runs
// early, accounting goes on, the alarms fire, a fail-over lets nothing through, and
// region time goes on by itself when the clocks are right, or when a person confirms
// them.
func TestWrongClocksRenewNothingEarlyAndStopNoAccounting(t *testing.T) {
	r := bareRegion(t, 3)
	by := wrongClocks(r)
	r.begin()
	set := func(d time.Duration, which ...int) {
		for _, i := range which {
			by[i].Store(int64(d))
		}
	}
	at := func(n *Node) int {
		for i, o := range r.nodes {
			if o == n {
				return i
			}
		}
		return -1
	}
	r.feedFlatRate()
	r.until("the first period is paid", func() bool { return r.paidUntil() != 0 })
	first := r.paidUntil()
	tr := r.traffic(2)
	r.moves("the beginning")

	lead := at(r.leader())
	set(400*day, lead)
	r.until("the skew is an alarm", func() bool { _, bad := raised(r.nodes[lead], "clock_skew"); return bad })
	r.moves("the leader's clock ran ahead")
	r.goesOn(tr, "the leader's clock ran ahead")

	set(400*day, 0, 1, 2)
	r.stands(tr, "all clocks ran ahead")
	r.stop(lead)
	r.stands(tr, "a fail-over")
	if got := r.paidUntil(); got != first {
		t.Fatalf("a period was charged early: paid until %d, then %d", first, got)
	}
	set(0, 0, 1, 2)
	r.start(lead)
	r.moves("the clocks were set right")
	r.until("the alarm is over", func() bool { _, bad := raised(r.leader(), "clock_jump"); return !bad })

	set(-day, 0, 1, 2)
	was := r.time()
	r.goesOn(tr, "all clocks went back a day")
	if now := r.time(); now.Before(was) {
		t.Fatalf("region time went back from %s to %s", was, now)
	}
	set(0, 0, 1, 2)
	for i, d := range []time.Duration{-90 * time.Second, 70 * time.Second, 2 * time.Minute} {
		set(d, i)
	}
	r.moves("the clocks drifted apart")
	set(0, 0, 1, 2)
	if got := r.paidUntil(); got != first {
		t.Fatalf("a period was charged early: paid until %d, then %d", first, got)
	}

	r.check(tr)

	tr = r.traffic(2)
	set(40*day, 0, 1, 2)
	r.stands(tr, "all clocks ran ahead again")
	r.atLeader("confirm the time", func(_ context.Context, lead *Node) error { return lead.ConfirmTime() })
	r.until("what is due by the confirmed time is charged", func() bool { return r.paidUntil() > first })
	r.goesOn(tr, "the time was confirmed") // what is older than tombstones is recorded and acknowledged
}
