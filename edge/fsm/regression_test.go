package fsm

import (
	"testing"

	"meridian/edge/command"
	"meridian/internal/feed"
	"meridian/internal/journal"
)

// Each test here is a script that once charged wrongly, left a subscriber online
// without a right to it, or could stop a region.

func (r *region) report(status command.Status, id string, event, seconds int64, out uint64, giga bool) command.Result {
	return r.apply(&command.Accounting{NAS: "nas", SessionID: id, Login: "u", Status: status, Event: event, Seconds: seconds, Out: out, Giga: giga})
}

func (r *region) order(id string, o feed.Order) {
	o.ID, o.Subscription = id, "sub"
	r.feed(feed.KindOrder, id, &o)
}

func (r *region) count(kind journal.Kind) (n int) {
	for _, e := range r.entries {
		if e.Kind == kind {
			n++
		}
	}
	return n
}

func TestReportsWithoutSessionTimeAreOneSession(t *testing.T) {
	r := newRegion(t, 100*eur, perGigabyte())
	r.report(command.Start, "s", r.now, -1, 0, false)
	for i := uint64(1); i <= 3; i++ {
		r.tick(300)
		r.report(command.Interim, "s", r.now, -1, i*100_000_000, false)
	}
	r.want("sessions", len(r.s.sessions), 1)
	r.report(command.Stop, "s", r.now, -1, 300_000_000, false)
	r.want("charged", r.sum(journal.KindCharge), 1_500_000)
}

func TestPeriodsWithoutAFeeAreNotOwedLater(t *testing.T) {
	r := newRegion(t, 1000*eur, flat(), perGigabyte())
	r.order("o1", feed.Order{Action: feed.ActionChange, Offering: "volume"})
	for range 365 {
		r.tick(86400)
	}
	r.order("o2", feed.Order{Action: feed.ActionChange, Offering: "flat"})
	for range 30 {
		r.tick(1)
	}
	r.want("fees: one before, one since", r.count(journal.KindRecurring), 2)
	r.order("o3", feed.Order{Action: feed.ActionBar})
	for range 150 {
		r.tick(86400)
	}
	r.order("o4", feed.Order{Action: feed.ActionUnbar})
	for range 30 {
		r.tick(1)
	}
	r.want("fees: none while barred", r.count(journal.KindRecurring), 3)
}

func TestChangeOfOfferingNeverReachesBack(t *testing.T) {
	r := newRegion(t, 1000*eur, flat(), perGigabyte())
	start := r.now
	r.report(command.Start, "s", start, 0, 0, true)
	r.tick(3000)
	r.order("o1", feed.Order{Action: feed.ActionChange, Offering: "volume"})
	r.report(command.Interim, "s", r.now, r.now-start, 10_000_000_000, true)
	r.want("used before the change", r.sum(journal.KindCharge), 0)
	r.tick(60)
	r.report(command.Stop, "s", r.now, r.now-start, 11_000_000_000, true)
	r.want("used after it", r.sum(journal.KindCharge), 5*eur)
}

func TestTombstoneOutlivesAClockThatIsAhead(t *testing.T) {
	r := newRegion(t, 100*eur, perGigabyte())
	r.login("s")
	r.report(command.Start, "s", r.now+240, 0, 0, true)
	r.tick(60)
	at := r.now + 240
	r.report(command.Stop, "s", at, 60, 100_000_000, true)
	r.tick(7*86400 + 1)
	before := r.sum(journal.KindCharge)
	r.report(command.Stop, "s", at, 60, 100_000_000, true)
	r.want("charged once", r.sum(journal.KindCharge), before)
}

func TestWhoMayNotBeOnlineIsCutOffAtTheNextReport(t *testing.T) {
	for name, prepare := range map[string]func(*region){
		"barred between Accept and Start": func(r *region) {
			r.order("o1", feed.Order{Action: feed.ActionBar})
			r.report(command.Start, "s", r.now, 0, 0, true)
		},
		"the Disconnect failed": func(r *region) {
			r.report(command.Start, "s", r.now, 0, 0, true)
			r.order("o1", feed.Order{Action: feed.ActionBar})
			r.ok(&command.EffectsDone{Done: []command.EffectResult{{ID: r.s.Effects(1)[0].ID, Outcome: command.EffectFailed}}})
		},
		"terminated, and the NAS said it knew no such session": func(r *region) {
			r.report(command.Start, "s", r.now, 0, 0, true)
			r.order("o1", feed.Order{Action: feed.ActionTerminate})
			r.ok(&command.EffectsDone{Done: []command.EffectResult{{ID: r.s.Effects(1)[0].ID, Outcome: command.EffectNoSession}}})
		},
	} {
		r := newRegion(t, 100*eur, flat())
		start := r.now
		prepare(r)
		r.tick(300)
		r.report(command.Interim, "s", r.now, r.now-start, 1000, true)
		r.want(name, r.s.EffectsQueued(), 1)
	}
}

func TestNothingIsTakenBeforeTheFirstTick(t *testing.T) {
	s := New()
	s.Apply(&command.Configure{Region: "north", Policy: command.DefaultPolicy()})
	s.Apply(&command.OpenEpoch{Epoch: 1})
	s.TakeEntries()
	for _, c := range []command.Command{&command.Accounting{NAS: "n", SessionID: "s", Status: command.Start, Event: t0}, &command.Reserve{Login: "u"}} {
		if res := s.Apply(c); res.Code != command.NotConfigured {
			t.Errorf("%T without region time: code %d", c, res.Code)
		}
	}
}

func TestReservationOfAnotherSubscriptionUnderTheSameKeyIsReleased(t *testing.T) {
	r := newRegion(t, 10*eur, perGigabyte())
	r.want("first", r.login("s").Code, command.OK)
	r.feed(feed.KindSubscription, "sub2", &feed.Subscription{ID: "sub2", Account: "a", Login: "u", Offering: "volume"})
	r.want("the login is another's now", r.login("s").Code, command.OK)
	r.want("held once", r.s.buckets.get("a/cash").H, 500_000)
	r.tick(121)
	r.want("and released", r.available(), 10*eur)
}

// A row that brings another password changes the credential and nothing else.
func TestNewPasswordLeavesTheServiceAlone(t *testing.T) {
	r := newRegion(t, 100*eur, flat(), perGigabyte())
	r.tick(60)
	r.acct(command.Start, "s1", t0, 0, 0)
	r.feed(feed.KindOrder, "o", &feed.Order{ID: "o", Subscription: "sub", Action: feed.ActionChange, Offering: "volume"})
	r.tick(60)
	before, _ := r.s.Subscription("sub")
	entries := len(r.entries)
	r.feed(feed.KindSubscription, "sub", &feed.Subscription{ID: "sub", Account: "a", Login: "u", Offering: "flat", Password: []byte("sealed"), NTHash: []byte("hash")})
	r.tick(60)
	after, _ := r.s.Subscription("sub")
	r.want("offering in force", after.Offering, before.Offering)
	r.want("paid until", after.PaidUntil, before.PaidUntil)
	r.want("open sessions", len(after.Sessions), 1)
	r.want("entries", len(r.entries), entries)
	l := r.s.FindLogin("u")
	r.want("password", string(l.Password), "sealed")
	r.want("NT hash", string(l.NTHash), "hash")
}

// A period that could not be paid, because another subscription of the account held
// money for a session, is paid when the session gives it back: nobody has to pay in
// for it.
func TestMoneyGivenBackPaysALapsedPeriod(t *testing.T) {
	r := newRegion(t, 10_200_000, perGigabyte(), flat())
	if res := r.login("1"); res.Code != command.OK {
		t.Fatalf("login: %+v", res)
	}
	r.feed(feed.KindSubscription, "beside", &feed.Subscription{ID: "beside", Account: "a", Login: "v", Offering: "flat"})
	if got := r.s.FindLogin("v").Reason; got != command.ReasonUnpaid {
		t.Fatalf("while 0.50 of 10.20 is held a fee of 10.00 is %s", got)
	}
	r.tick(600) // the reservation ends
	if got := r.s.FindLogin("v").Reason; got != command.ReasonNone {
		t.Errorf("with 10.20 free the login is refused: %s", got)
	}
}
