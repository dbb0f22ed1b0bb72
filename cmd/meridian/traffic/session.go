package traffic

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync/atomic"
	"time"

	"meridian/internal/verify"
	"meridian/radius/attr"
	"meridian/radius/radtest"
)

// One report in so many is delivered in one of these ways.
const (
	oneInDuplicated = 20 // the same octets twice
	oneInEverywhere = 30 // to every other node as well, as after a lost answer
	oneInHeldBack   = 20 // after the next report
)

// work keeps one place at a NAS busy.
func (t *Traffic) work(ctx context.Context, b *box, rng *rand.Rand) {
	if !t.pause(ctx, time.Duration(rng.Int64N(int64(4*t.cfg.Interval)))) {
		return
	}
	for {
		who, ok := t.next(ctx, rng)
		if !ok {
			return
		}
		t.online(ctx, b, rng, who)
		t.leave(who)
		if !t.pause(ctx, t.cfg.Interval/2) {
			return
		}
	}
}

// oneInEager logins is an eager subscriber's, if one is offline.
const oneInEager = 6

// next is who comes online, false when traffic is to end.
func (t *Traffic) next(ctx context.Context, rng *rand.Rand) (int, bool) {
	select {
	case <-t.leaving:
		return 0, false
	case <-ctx.Done():
		return 0, false
	default:
	}
	if rng.IntN(oneInEager) == 0 {
		select {
		case who := <-t.eager:
			return who, true
		default:
		}
	}
	select {
	case who := <-t.free:
		return who, true
	default:
	}
	select {
	case who := <-t.free:
		return who, true
	case who := <-t.eager:
		return who, true
	case <-t.leaving:
	case <-ctx.Done():
	}
	return 0, false
}

// leave puts a subscriber back among those that are offline.
func (t *Traffic) leave(who int) {
	if t.cfg.Subscribers[who].Eager {
		t.eager <- who
		return
	}
	t.free <- who
}

// pause waits; false when traffic is to end.
func (t *Traffic) pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-t.leaving:
		return false
	case <-ctx.Done():
		return false
	}
}

// visit is one session from login to Stop.
type visit struct {
	*Traffic
	box     *box
	rng     *rand.Rand
	sub     Subscriber
	session *radtest.Session
	limit   *atomic.Int64
	obeys   bool

	start time.Time
	at    time.Time // of usage
	usage radtest.Usage
	late  *radtest.Event // held back
}

func (t *Traffic) online(ctx context.Context, b *box, rng *rand.Rand, who int) {
	v := &visit{Traffic: t, box: b, rng: rng, sub: t.cfg.Subscribers[who], limit: &atomic.Int64{}}
	v.obeys = t.cfg.Disobey == 0 || rng.IntN(t.cfg.Disobey) != 0
	if !v.login(ctx, who) {
		return
	}
	defer b.limits.Delete(v.session.ID)
	// Whole seconds: the session's start is event time minus session time.
	v.start = time.Now().Truncate(time.Second)
	v.at = time.Now()
	if v.send(ctx, radtest.Event{Status: attr.AcctStart, At: v.start}) != nil {
		return
	}
	reports := t.cfg.MinReports + rng.IntN(t.cfg.MaxReports-t.cfg.MinReports+1)
	for range reports {
		if !t.pause(ctx, t.cfg.Interval/2+time.Duration(rng.Int64N(int64(t.cfg.Interval)))) || v.session.Disconnected() {
			break
		}
		if over := v.report(ctx); over {
			return
		}
	}
	v.stop(ctx)
}

func (v *visit) login(ctx context.Context, who int) bool {
	l := radtest.Login{
		User: v.sub.Login, Password: v.sub.Password, CallingStation: fmt.Sprintf("02-00-00-%02x-%02x-%02x", who>>16&255, who>>8&255, who&255),
		Port: uint32(who), SessionID: fmt.Sprintf("%s-%s-%06x", v.box.id, v.cfg.Run, v.serial.Add(1)),
		Method: radtest.Method(v.rng.IntN(radtest.NumMethods)),
	}
	v.box.limits.Store(l.SessionID, v.limit)
	s, err := v.box.Login(ctx, l)
	result := verify.AuthAccept
	var refused *radtest.RejectError
	switch {
	case err == nil:
		v.count.authOK.Add(1)
	case errors.As(err, &refused):
		result = verify.AuthReject
		v.count.authReject.Add(1)
	case errors.Is(err, radtest.ErrTimeout):
		result = verify.AuthTimeout
		v.count.authTimeouts.Add(1)
	default:
		result = ""
		v.failed(ctx, err)
	}
	if v.cfg.Witness != nil && result != "" {
		v.cfg.Witness.Note(verify.WitnessRecord{Auth: &verify.WitnessAuth{Login: l.User, Result: result}})
	}
	v.session = s
	if err != nil {
		v.box.limits.Delete(l.SessionID)
		return false
	}
	v.limit.CompareAndSwap(0, s.Profile.VolumeLimitBytes)
	return true
}

// grow moves the counters on: what the line carries in the time since.
func (v *visit) grow() {
	now := time.Now()
	micros := now.Sub(v.at).Microseconds()
	v.at = now
	load := 50 + v.rng.Int64N(45) // per cent of the line's speed
	v.usage.SessionS = uint32(now.Unix() - v.start.Unix())
	v.usage.In += uint64(v.sub.UpBps / 8 * micros / 1_000_000 * load / 100)
	v.usage.Out += uint64(v.sub.DownBps / 8 * micros / 1_000_000 * load / 100)
	v.usage.InPackets += uint32(micros / 1000)
	v.usage.OutPackets += uint32(micros / 1000)
}

// report sends the counters; true when the session is over.
func (v *visit) report(ctx context.Context) bool {
	v.grow()
	if over, cause := v.limited(); over {
		v.count.limitStops.Add(1)
		return v.end(ctx, cause)
	}
	ev := radtest.Event{Status: attr.AcctInterim, At: v.start.Add(time.Duration(v.usage.SessionS) * time.Second), Usage: v.usage}
	if v.late == nil && v.rng.IntN(oneInHeldBack) == 0 {
		ev.Session = v.session
		v.late = &ev
		return false
	}
	return v.send(ctx, ev) != nil
}

// limited cuts the counters at the session's limit, where the NAS honours it.
func (v *visit) limited() (bool, attr.TerminateCause) {
	if !v.obeys {
		return false, attr.CauseNone
	}
	v.session.Profile.VolumeLimitBytes = v.limit.Load()
	cut, cause, over := v.session.Limit(v.usage)
	if over {
		if v.late != nil { // the limit cannot have been reached before what was counted then
			cut.SessionS = max(cut.SessionS, v.late.Usage.SessionS)
		}
		v.usage = cut
	}
	return over, cause
}

func (v *visit) stop(ctx context.Context) {
	cause := attr.CauseUserRequest
	if v.session.Disconnected() {
		cause = attr.CauseAdminReset
		v.count.disconnected.Add(1)
	}
	v.grow()
	if over, by := v.limited(); over {
		v.count.limitStops.Add(1)
		cause = by
	}
	v.end(ctx, cause)
}

func (v *visit) end(ctx context.Context, cause attr.TerminateCause) bool {
	_ = v.send(ctx, radtest.Event{Status: attr.AcctStop, At: v.start.Add(time.Duration(v.usage.SessionS) * time.Second), Usage: v.usage, Cause: cause}) // counted there
	return true
}

// send delivers an event in the way that chance chooses, then what was held back.
func (v *visit) send(ctx context.Context, ev radtest.Event) error {
	ev.Session = v.session
	var d radtest.Delivery
	if v.rng.IntN(oneInDuplicated) == 0 {
		d.Duplicates = 1
		v.count.duplicates.Add(1)
	}
	if v.rng.IntN(oneInEverywhere) == 0 {
		d.Everywhere = true
		v.count.everywhere.Add(1)
	}
	err := v.Traffic.send(ctx, v.box, ev, d)
	if late := v.late; err == nil && late != nil {
		v.late = nil
		v.count.reordered.Add(1)
		err = v.Traffic.send(ctx, v.box, *late, radtest.Delivery{})
	}
	return err
}

// send delivers one event and lets the witness write down what became of it
// before it counts.
func (t *Traffic) send(ctx context.Context, b *box, ev radtest.Event, d radtest.Delivery) error {
	began := time.Now()
	err := b.Send(ctx, ev, radtest.Delivery{Duplicates: d.Duplicates})
	if err == nil {
		t.acked(began)
		if err = t.write(b, ev, false); err == nil {
			t.count.acctAcked.Add(1)
		}
		if err == nil && d.Everywhere {
			// The event is acknowledged; copies that get no answer are no fault.
			if err := b.Send(ctx, ev, radtest.Delivery{Everywhere: true}); err != nil && !errors.Is(err, radtest.ErrTimeout) {
				t.failed(ctx, err)
			}
		}
		return err
	}
	if errors.Is(err, radtest.ErrTimeout) {
		t.count.acctTimeouts.Add(1)
		return errors.Join(err, t.write(b, ev, true))
	}
	t.failed(ctx, err)
	return err
}

func (t *Traffic) write(b *box, ev radtest.Event, timeout bool) error {
	if t.cfg.Witness == nil {
		return nil
	}
	r := radtest.Record{NAS: b.id, Status: ev.Status, At: ev.At, Usage: ev.Usage}
	if ev.Session != nil {
		r.SessionID = ev.Session.ID
	}
	rec := verify.WitnessRecord{Acked: Line(r)}
	if timeout {
		rec = verify.WitnessRecord{Timeout: Line(r)}
	}
	err := t.cfg.Witness.Record(rec)
	if err != nil {
		t.fault.CompareAndSwap(nil, &err)
	}
	return err
}

// failed keeps a fault that is not the network's.
func (t *Traffic) failed(ctx context.Context, err error) {
	if ctx.Err() == nil {
		err = fmt.Errorf("traffic: %w", err)
		t.fault.CompareAndSwap(nil, &err)
	}
}
