package sim

import (
	"context"
	"reflect"
	"testing"
	"time"

	"meridian/central/accounts"
	"meridian/edge/command"
	"meridian/edge/fsm"
	"meridian/internal/money"
)

// line is a subscriber of the volume offering (5.00 EUR a GB) and the NAS that
// reports for it, driven by a test.
type line struct {
	t     *testing.T
	w     *World
	r     *region
	id    string // Acct-Session-Id
	start int64
	giga  bool
}

func newLine(t *testing.T, w *World, deposit money.Amount) *line {
	t.Helper()
	ctx := context.Background()
	_, err := w.office.services.Accounts.OpenAccount(ctx, accounts.NewAccount{ID: "x", Customer: "cust", Currency: "EUR"})
	if err == nil {
		_, err = w.office.services.Accounts.Subscribe(ctx, accounts.NewSubscription{ID: "x", Account: "x", Home: "north", Login: "x", Password: "a long password", Offering: "volume"})
	}
	if err != nil {
		t.Fatal(err)
	}
	r := w.regions[0]
	w.office.deposit(&subscriber{w: w, region: r, id: "x", account: "x", login: "x"}, deposit)
	w.runUntil(w.now + 5*time.Second)
	return &line{t: t, w: w, r: r, id: "x-1", giga: true}
}

// login reserves and begins a session now.
func (l *line) login() command.Result {
	l.t.Helper()
	res, err := l.r.do(&command.Reserve{NAS: l.r.nas, Key: fsm.ReserveKey(l.r.nas, l.id, "", "", "x"), SessionID: l.id, Login: "x"})
	if err != nil {
		l.t.Fatal(err)
	}
	l.start = l.w.unix()
	return res
}

// report is what the NAS says when the session is so many seconds old.
func (l *line) report(status command.Status, seconds int64, octets uint64) *command.Accounting {
	return &command.Accounting{NAS: l.r.nas, SessionID: l.id, Login: "x", Status: status, Event: l.start + seconds, Seconds: seconds, Out: octets, Giga: l.giga}
}

func (l *line) take(c *command.Accounting) command.Result {
	l.t.Helper()
	res, err := l.r.do(c)
	if err != nil {
		l.t.Fatal(err)
	}
	return res
}

// left is what the subscriber has left, held or not, at every node.
func (l *line) left() money.Amount {
	l.t.Helper()
	l.r.level()
	v := l.r.nodes[0].state.Account("x")[0]
	for _, n := range l.r.nodes {
		if n.up && !reflect.DeepEqual(n.state.Account("x")[0], v) {
			l.t.Errorf("node %s has %+v, node %s %+v", n.id, n.state.Account("x")[0], l.r.nodes[0].id, v)
		}
	}
	return money.Amount(v.Available + v.Held)
}

func (l *line) wantLeft(what string, want money.Amount) {
	l.t.Helper()
	if got := l.left(); got != want {
		l.t.Errorf("%s: %s are left, want %s", what, got, want)
	}
}

// finish lets everything settle and runs V1–V9 and the auditor.
func (l *line) finish() {
	l.t.Helper()
	l.w.settle()
	if _, err := l.w.audit.check(); err != nil {
		l.t.Error(err)
	}
}

const (
	megabyte = 1_000_000
	cent     = money.Micro / 100
)

// X2: the leader is killed when a majority has the report and nobody was told. The
// NAS sends it again, the next leader answers that it knows it, and it is charged
// once. Killed a moment earlier, the report is not there and counts when it comes
// again.
func TestX2LeaderKilledBetweenCommitAndReply(t *testing.T) {
	for _, c := range []struct {
		name      string
		committed bool
		again     command.Code
	}{
		{"after the commit", true, command.Repeated},
		{"before the commit", false, command.OK},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newCalmWorld(t)
			l := newLine(t, w, 10*money.Micro)
			l.login()
			l.take(l.report(command.Start, 0, 0))
			w.runUntil(w.now + time.Minute)
			report := l.report(command.Interim, 60, 100*megabyte) // 0.50 EUR
			dead := l.r.leader
			lead := l.r.nodes[dead]
			lead.log = append(lead.log, record{lead.term, command.EncodeBatch([][]byte{command.Encode(report)})})
			if c.committed && !l.r.replicate(dead) {
				t.Fatal("no majority took the report")
			}
			l.r.crash(dead)
			if !c.committed {
				lead.log = lead.log[:lead.commit] // its own disk had it, and it never was synced
			}
			w.runUntil(w.now + 5*time.Second)
			if l.r.leader < 0 || l.r.leader == dead {
				t.Fatalf("node %d leads after node %d died", l.r.leader, dead)
			}
			if res := l.take(report); res.Code != c.again {
				t.Errorf("sent again: code %d, want %d", res.Code, c.again)
			}
			if res := l.take(report); res.Code != command.Repeated {
				t.Errorf("sent a third time: code %d", res.Code)
			}
			w.runUntil(w.now + time.Minute) // the dead node is back and has caught up
			l.wantLeft("100 MB at 5.00 a GB", 950*cent)
			l.take(l.report(command.Stop, 120, 100*megabyte))
			l.finish()
		})
	}
}

// X3: a region is alone for a day. A subscriber with 1.00 EUR and a NAS that
// ignores its limit goes on as long as anybody lets it: what is spent never passes
// lease and allowance (0.20 EUR), and what nothing could pay is recorded and
// within its bound. Then the link returns, the deposit made meanwhile arrives, the
// loan is repaid first, and the books are equal.
func TestX3ADayAlone(t *testing.T) {
	w := newCalmWorld(t)
	l := newLine(t, w, money.Micro)
	offering := volume(1, 0, 5*money.Micro)
	l.r.cutTill, w.calm, w.slow = w.now+24*time.Hour, false, true
	accepted, refused := 0, 0
	for hour := int64(0); hour < 24; hour++ {
		l.id = "x-" + string(rune('a'+hour))
		l.r.second() // the leader's tick, and the effects that it sends
		if res := l.login(); res.Code != command.OK {
			refused++
			w.runUntil(w.now + time.Hour)
			continue
		}
		accepted++
		l.take(l.report(command.Start, 0, 0))
		for age := int64(60); ; age += 60 { // at full speed, 2.5 MB/s
			w.runUntil(w.now + time.Minute)
			l.take(l.report(command.Interim, age, uint64(age)*2_500_000))
			if effects := l.r.lead().state.Effects(10); len(effects) > 0 && effects[len(effects)-1].Kind == fsm.EffectDisconnect {
				l.take(l.report(command.Stop, age+5, uint64(age+5)*2_500_000))
				for _, e := range effects {
					if _, err := l.r.do(&command.EffectsDone{Done: []command.EffectResult{{ID: e.ID}}}); err != nil {
						t.Fatal(err)
					}
				}
				break
			}
		}
	}
	l.r.level()
	s := l.r.nodes[0].state
	v := s.Account("x")[0]
	if s.Mode != command.Isolated || accepted == 0 || refused == 0 || s.OverrunSum == 0 {
		t.Fatalf("mode %s, %d logins accepted, %d refused, overrun %s: the day was to have all of it", s.Mode, accepted, refused, s.OverrunSum)
	}
	if spent, most := money.Amount(v.Spent), money.Micro+offering.OfflineAllowance; spent != most || v.LentUnpaid != int64(offering.OfflineAllowance) {
		t.Errorf("%s were spent and %d lent, lease and allowance are %s", spent, v.LentUnpaid, most)
	}
	if bound := s.Report().OverrunBound; bound <= 0 || int64(s.OverrunWorst) > bound {
		t.Errorf("one session overran by %s, the bound is %s", s.OverrunWorst, money.Amount(bound))
	}
	w.office.deposit(&subscriber{account: "x"}, money.Micro)
	w.slow = false
	w.settle()
	l.wantLeft("1.00 paid in, 0.20 repaid", 80*cent)
	l.finish()
}

// X6: what NAS and networks do to reports. Counters are cumulative, so whatever
// comes again, late, out of order, wrapped, or after a restart counts once.
func TestX6RepeatedLateReorderedWrapped(t *testing.T) {
	w := newCalmWorld(t)
	l := newLine(t, w, 59*money.Micro)
	l.giga = false // a NAS without Gigawords: counters wrap at 4 GiB
	l.login()
	steps := []struct {
		what   string
		c      *command.Accounting
		answer command.Code
		left   money.Amount // 59.00 less 0.50 for each 100 MB of the first 300, and 0.25 beyond
	}{
		{"the session begins", l.report(command.Start, 0, 0), command.OK, 5900 * cent},
		{"100 MB", l.report(command.Interim, 60, 100*megabyte), command.OK, 5850 * cent},
		{"the same again", l.report(command.Interim, 60, 100*megabyte), command.Repeated, 5850 * cent},
		{"300 MB, before the report of 200", l.report(command.Interim, 180, 300*megabyte), command.OK, 5750 * cent},
		{"200 MB, late", l.report(command.Interim, 120, 200*megabyte), command.Repeated, 5750 * cent},
		{"its Start, late", l.report(command.Start, 0, 0), command.Repeated, 5750 * cent},
		{"4 200 MB", l.report(command.Interim, 1800, 4200*megabyte), command.OK, 4775 * cent},
		{"4 300 MB: the counter has wrapped", l.report(command.Interim, 1860, (4300*megabyte)&(1<<32-1)), command.OK, 4750 * cent},
		{"4 200 MB, late, from before the wrap", l.report(command.Interim, 1800, 4200*megabyte), command.Repeated, 4750 * cent},
		{"it ends at 4 400 MB", l.report(command.Stop, 1920, (4400*megabyte)&(1<<32-1)), command.OK, 4725 * cent},
		{"its Stop again", l.report(command.Stop, 1920, (4400*megabyte)&(1<<32-1)), command.Repeated, 4725 * cent},
		{"an Interim after its Stop", l.report(command.Interim, 1860, (4300*megabyte)&(1<<32-1)), command.Repeated, 4725 * cent},
	}
	for _, s := range steps {
		w.runUntil(max(w.now, time.Duration(s.c.Event-epochStart.Unix())*time.Second))
		if res := l.take(s.c); res.Code != s.answer {
			t.Errorf("%s: code %d, want %d", s.what, res.Code, s.answer)
		}
		l.wantLeft(s.what, s.left)
	}
	stop := steps[len(steps)-3].c
	w.slow = true
	w.runUntil(w.now + 3*24*time.Hour)
	if res := l.take(stop); res.Code != command.Repeated {
		t.Errorf("its Stop three days later: code %d", res.Code)
	}
	l.wantLeft("its Stop three days later", 4725*cent)

	// The NAS begins a session, restarts, and uses the id again for another.
	l.start = w.unix()
	l.take(l.report(command.Start, 0, 0))
	l.take(l.report(command.Interim, 60, 100*megabyte))
	w.runUntil(w.now + 10*time.Minute)
	l.take(&command.Accounting{NAS: l.r.nas, Status: command.On, Event: w.unix()})
	before := *l
	l.start = w.unix() + 1
	l.take(l.report(command.Start, 0, 0))
	l.take(l.report(command.Stop, 60, 100*megabyte))
	l.wantLeft("two sessions of one id, 100 MB each", 4625*cent)
	before.take(before.report(command.Interim, 60, 100*megabyte))
	l.wantLeft("the first one's report, late", 4625*cent)

	w.runUntil(w.now + 9*24*time.Hour)
	if res := l.take(stop); res.Code != command.Quarantined {
		t.Errorf("the first Stop after twelve days: code %d, want it in quarantine", res.Code)
	}
	l.wantLeft("the first Stop after twelve days", 4625*cent)
	w.slow = false
	l.finish()
}
