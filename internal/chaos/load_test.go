package chaos

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/netip"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"meridian/internal/sim/history"
	"meridian/internal/verify"
	"meridian/radius/attr"
	"meridian/radius/radtest"
)

// What a NAS does with a packet: two copies to a server, then the next server, and
// so on for as long as giveUp.
const (
	tryTimeout = 400 * time.Millisecond
	tries      = 2
	giveUp     = 24 * time.Second
)

// One report in so many is delivered in one of these ways.
const (
	oneInDoubled    = 20 // the same octets twice
	oneInEverywhere = 30 // to the other nodes too, as after a lost answer
	oneInLate       = 15 // after the next one
)

// person is a subscriber of the demo's set-up (cmd/meridian/plant): one in three has
// a flat rate, one in ten of the others next to no money. The last ones of all are
// left to orders.
type person int

const ordered = 12 // subscribers that orders are about; they never log in

func (p person) login() string        { return fmt.Sprintf("user%06d", int(p)) }
func (p person) account() string      { return fmt.Sprintf("acc%06d", int(p)) }
func (p person) subscription() string { return fmt.Sprintf("sub%06d", int(p)) }
func (p person) prepaid() bool        { return p%3 != 0 }
func (p person) poor() bool           { return p.prepaid() && p%10 == 7 }

// modelled tells whether the person's money is followed operation by operation:
// there is always enough, so that every charge is the price of what was used.
func (p person) modelled() bool { return p.prepaid() && !p.poor() }

// load is subscribers at work at three NAS, and what they and the NAS remember.
type load struct {
	w       *world
	nas     [nodes]*radtest.NAS
	history *history.Recorder
	run     string

	mu      sync.Mutex
	file    *os.File
	out     *bufio.Writer
	serial  int
	lastAck time.Time
	longest time.Duration // without an acknowledgement, while there was traffic
	longAt  time.Time

	gate    sync.RWMutex // held while an event is under way; pause takes it
	free    chan person
	leaving chan struct{}
	wg      sync.WaitGroup

	acked, timeouts, accepts, rejects, authTimeouts, late atomic.Int64

	failMu sync.Mutex
	failed error
}

func newLoad(w *world, seed uint64, sessions int, rec *history.Recorder) (*load, error) {
	l := &load{w: w, history: rec, run: fmt.Sprintf("%x", time.Now().Unix()), free: make(chan person, subscribers), leaving: make(chan struct{})}
	var err error
	if l.file, err = os.Create(l.witness()); err != nil {
		return nil, err
	}
	l.out = bufio.NewWriter(l.file)
	for _, n := range rand.New(rand.NewPCG(seed, 1)).Perm(subscribers - ordered) {
		l.free <- person(n + 1)
	}
	for m := range l.nas {
		if l.nas[m], err = l.newNAS(m + 1); err != nil {
			return nil, err
		}
		if err := l.nas[m].Start(context.Background()); err != nil {
			return nil, err
		}
	}
	for m := range l.nas {
		if err := l.send(l.nas[m], m, 0, radtest.Event{Status: attr.AcctOn, At: time.Now()}, radtest.Delivery{}); err != nil {
			return nil, fmt.Errorf("NAS %d has booted: %w", m+1, err)
		}
	}
	for n := range sessions {
		rng := rand.New(rand.NewPCG(seed, uint64(n)+100))
		l.wg.Go(func() { l.work(n, rng) })
	}
	return l, nil
}

func (l *load) witness() string { return l.w.dir + "/witness.jsonl" }

func (l *load) newNAS(m int) (*radtest.NAS, error) {
	c := radtest.DefaultNASConfig()
	c.Identifier, c.Addr, c.Secret = fmt.Sprintf("nas-%d", m), netip.MustParseAddr(nasAddr(m)), []byte("demo-secret")
	c.DynAuth = netip.AddrPortFrom(c.Addr, 3799)
	c.Timeout, c.Tries, c.Rounds, c.Sockets = tryTimeout, tries, int(giveUp/(tryTimeout*tries*nodes)), 2
	for k := range nodes { // each NAS prefers another node
		n := netip.MustParseAddr(nasRelay(m, (m-1+k)%nodes+1))
		c.Auth, c.Acct = append(c.Auth, netip.AddrPortFrom(n, 1812)), append(c.Acct, netip.AddrPortFrom(n, 1813))
	}
	c.OnSent = func(r radtest.Record) { l.write(verify.WitnessRecord{Sent: line(r)}) }
	return radtest.NewNAS(c, slog.New(slog.DiscardHandler))
}

// write appends to the witness.
func (l *load) write(r verify.WitnessRecord) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if _, err := l.out.Write(verify.AppendRecord(nil, r)); err != nil {
		l.fail(err)
	}
}

// fail keeps the first fault that is the client's own.
func (l *load) fail(err error) {
	l.failMu.Lock()
	defer l.failMu.Unlock()
	if l.failed == nil {
		l.failed = err
	}
}

func (l *load) err() error {
	l.failMu.Lock()
	defer l.failMu.Unlock()
	return l.failed
}

// work keeps one place at a NAS busy.
func (l *load) work(n int, rng *rand.Rand) {
	m := n % nodes
	l.idle(time.Duration(rng.Int64N(int64(time.Second))))
	for {
		select {
		case <-l.leaving:
			return
		case who := <-l.free:
			v := visit{load: l, m: m, place: n, rng: rng, who: who}
			v.online()
			l.free <- who
		}
		l.idle(100 * time.Millisecond)
	}
}

// idle waits as a subscriber does, or until traffic ends.
func (l *load) idle(d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-l.leaving:
	}
}

// visit is one session from login to Stop.
type visit struct {
	*load
	m, place int
	rng      *rand.Rand
	who      person
	session  *radtest.Session
	start    time.Time
	usage    radtest.Usage
	held     *radtest.Event // to be delivered late
}

func (v *visit) online() {
	if !v.login() {
		return
	}
	v.start = time.Now().Truncate(time.Second)
	v.deliver(radtest.Event{Status: attr.AcctStart, At: v.start})
	for range 2 + v.rng.IntN(8) {
		v.idle(time.Duration(150+v.rng.Int64N(200)) * time.Millisecond)
		if v.session.Disconnected() || v.use() {
			break
		}
		ev := radtest.Event{Status: attr.AcctInterim, At: v.at(), Usage: v.usage}
		if v.held == nil && v.rng.IntN(oneInLate) == 0 {
			ev.Session = v.session
			v.held = &ev
			continue
		}
		v.deliver(ev)
		if v.over() {
			break
		}
	}
	v.deliver(radtest.Event{Status: attr.AcctStop, At: v.at(), Usage: v.usage, Cause: attr.CauseUserRequest})
}

func (v *visit) over() bool {
	select {
	case <-v.leaving:
		return true
	default:
		return false
	}
}

func (v *visit) at() time.Time { return v.start.Add(time.Duration(v.usage.SessionS) * time.Second) }

func (v *visit) login() bool {
	v.gate.RLock()
	defer v.gate.RUnlock()
	v.mu.Lock()
	v.serial++
	id := fmt.Sprintf("c%s-%d-%06x", v.run, v.m+1, v.serial)
	v.mu.Unlock()
	s, err := v.nas[v.m].Login(context.Background(), radtest.Login{
		User: v.who.login(), Password: "pw-" + v.who.login(), SessionID: id, Port: uint32(v.who),
		CallingStation: fmt.Sprintf("02-00-00-00-%02x-%02x", v.who>>8&255, v.who&255), Method: radtest.Method(v.rng.IntN(radtest.NumMethods)),
	})
	var refused *radtest.RejectError
	result := verify.AuthAccept
	switch {
	case err == nil:
		v.accepts.Add(1)
		v.session = s
	case errors.As(err, &refused):
		result = verify.AuthReject
		v.rejects.Add(1)
	case errors.Is(err, radtest.ErrTimeout):
		result = verify.AuthTimeout
		v.authTimeouts.Add(1)
	default:
		v.fail(fmt.Errorf("log %s in: %w", v.who.login(), err))
		return false
	}
	v.write(verify.WitnessRecord{Auth: &verify.WitnessAuth{Login: v.who.login(), Result: result}})
	return err == nil
}

// use moves the counters on by a known number of octets, far below the line's
// speed; true when that reached the session's limit.
func (v *visit) use() bool {
	before := v.usage
	v.usage.SessionS = uint32(time.Now().Unix() - v.start.Unix())
	v.usage.In += 1000 + v.rng.Uint64N(40_000)
	v.usage.Out += 10_000 + v.rng.Uint64N(200_000)
	cut, _, over := v.session.Limit(v.usage)
	if over {
		cut.SessionS = max(cut.SessionS, before.SessionS)
		if v.held != nil {
			cut.SessionS = max(cut.SessionS, v.held.Usage.SessionS)
		}
		v.usage = cut
	}
	return over
}

// deliver sends an event in the way that chance chooses, then what was held back.
func (v *visit) deliver(ev radtest.Event) {
	ev.Session = v.session
	var d radtest.Delivery
	if v.rng.IntN(oneInDoubled) == 0 {
		d.Duplicates = 1
	}
	d.Everywhere = v.rng.IntN(oneInEverywhere) == 0
	events := []radtest.Event{ev}
	if v.held != nil {
		events = append(events, *v.held)
		v.late.Add(1)
		v.held = nil
	}
	for _, ev := range events {
		if err := v.send(v.nas[v.m], v.m, v.who, ev, d); err != nil && !errors.Is(err, radtest.ErrTimeout) {
			v.fail(err)
		}
	}
}

// send delivers one event and writes down what became of it.
func (l *load) send(nas *radtest.NAS, m int, who person, ev radtest.Event, d radtest.Delivery) error {
	l.gate.RLock()
	defer l.gate.RUnlock()
	rec := radtest.Record{NAS: fmt.Sprintf("nas-%d", m+1), Status: ev.Status, At: ev.At, Usage: ev.Usage}
	in := history.Input{Account: who.account(), Kind: history.Report, Usage: history.Counters{In: ev.Usage.In, Out: ev.Usage.Out, Seconds: int64(ev.Usage.SessionS)}}
	if ev.Session != nil {
		rec.SessionID, in.Session = ev.Session.ID, sessionName(rec.NAS, ev.Session.ID)
	}
	if ev.Status == attr.AcctStop {
		in.Kind = history.Stop
	}
	follow := ev.Session != nil && who.modelled()
	call := l.clock()
	err := nas.Send(context.Background(), ev, radtest.Delivery{Duplicates: d.Duplicates})
	switch {
	case err == nil:
		if follow {
			l.history.Done(int(who), call, l.clock(), in, history.Output{})
		}
		l.write(verify.WitnessRecord{Acked: line(rec)})
		l.ack()
		if d.Everywhere {
			// The event is acknowledged; copies that get no answer are no fault.
			if err := nas.Send(context.Background(), ev, radtest.Delivery{Everywhere: true}); err != nil && !errors.Is(err, radtest.ErrTimeout) {
				return err
			}
		}
	case errors.Is(err, radtest.ErrTimeout):
		if follow {
			l.history.Lost(int(who), call, in)
		}
		l.write(verify.WitnessRecord{Timeout: line(rec)})
		l.timeouts.Add(1)
	}
	return err
}

func sessionName(nas, id string) string { return nas + "/" + id }

// clock is the history's: nanoseconds since the run began.
func (l *load) clock() int64 { return int64(time.Since(l.w.began)) }

// ack counts, and keeps the longest time without one.
func (l *load) ack() {
	l.acked.Add(1)
	now := time.Now()
	l.mu.Lock()
	defer l.mu.Unlock()
	if gap := now.Sub(l.lastAck); !l.lastAck.IsZero() && gap > l.longest {
		l.longest, l.longAt = gap, now
	}
	l.lastAck = now
}

// pause waits until no event is under way and holds back further ones; what was
// witnessed is on file then.
func (l *load) pause() error {
	l.gate.Lock()
	l.mu.Lock()
	defer l.mu.Unlock()
	l.lastAck = time.Time{}
	return l.out.Flush()
}

func (l *load) resume() { l.gate.Unlock() }

// stop ends every session by a Stop that is acknowledged or given up.
func (l *load) stop() error {
	close(l.leaving)
	l.wg.Wait()
	var faults []error
	for _, n := range l.nas {
		faults = append(faults, n.Close())
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	return errors.Join(append(faults, l.out.Flush(), l.file.Close(), l.err())...)
}

// facts are what a NAS operator would say of the service.
func (l *load) facts(since time.Duration) string {
	l.mu.Lock()
	defer l.mu.Unlock()
	acked := l.acked.Load()
	return fmt.Sprintf("%d logins accepted, %d rejected, %d timed out; %d reports acknowledged (%.0f/s), %d given up, %d delivered late; longest time without an acknowledgement %.2f s, until %.2f s",
		l.accepts.Load(), l.rejects.Load(), l.authTimeouts.Load(), acked, float64(acked)/since.Seconds(), l.timeouts.Load(), l.late.Load(), l.longest.Seconds(), max(0, l.longAt.Sub(l.w.began)).Seconds())
}

// line is a record as the witness writes it.
func line(r radtest.Record) *verify.WitnessAcct {
	a := &verify.WitnessAcct{
		NAS: r.NAS, ID: r.SessionID, Event: r.At.Unix(), Start: r.At.Unix() - int64(r.Usage.SessionS),
		Seconds: int64(r.Usage.SessionS), In: r.Usage.In, Out: r.Usage.Out, Status: strings.ToLower(r.Status.String()),
	}
	switch r.Status {
	case attr.AcctStart:
		a.Status, a.Seconds = verify.StatusStart, -1
	case attr.AcctStop:
		a.Status = verify.StatusStop
	case attr.AcctOn:
		a.Status = verify.StatusOn
	default:
		a.Status = verify.StatusInterim
	}
	return a
}
