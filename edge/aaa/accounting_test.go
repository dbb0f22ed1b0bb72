package aaa

import (
	"errors"
	"testing"
	"time"

	"meridian/edge/command"
	"meridian/edge/fsm"
	"meridian/internal/tariff"
	"meridian/radius"
	"meridian/radius/attr"
	"meridian/radius/radtest"
	"meridian/radius/vendor"
)

func at(seconds int64) time.Time { return time.Unix(epoch1+seconds, 0) }

// A whole session over the wire, with a copy of the interim and a late one.
func TestSessionIsChargedOnce(t *testing.T) {
	n := newNode(t, vendor.Generic, prepaid("p", tariff.Bytes, micros, 1<<20, 10<<20))
	n.feed(n.subscriber("user", "p"), cash("user", 100*micros))
	s, err := n.login(radtest.Login{User: "user"})
	if err != nil {
		t.Fatal(err)
	}
	ctx := t.Context()
	steps := []error{
		s.Start(ctx, at(0)),
		s.Interim(ctx, at(600), radtest.Usage{SessionS: 600, In: 1 << 20, Out: 3 << 20}),
		s.Interim(ctx, at(600), radtest.Usage{SessionS: 600, In: 1 << 20, Out: 3 << 20}),
		s.Interim(ctx, at(1200), radtest.Usage{SessionS: 1200, In: 2 << 20, Out: 5 << 20}),
		s.Interim(ctx, at(600), radtest.Usage{SessionS: 600, In: 1 << 20, Out: 3 << 20}),
		s.Stop(ctx, at(1300), radtest.Usage{SessionS: 1300, In: 2 << 20, Out: 6 << 20}, attr.CauseUserRequest),
	}
	if err := errors.Join(steps...); err != nil {
		t.Fatal(err)
	}
	n.View(func(st *fsm.State) {
		a := st.Account("acc-user")[0]
		if a.Spent != 8*micros || a.Held != 0 || a.Uncut != 0 {
			t.Errorf("account %+v, want 8 spent", a)
		}
	})
	c := n.handler.Stats()
	want := [NumAcctKinds]uint64{AcctStart: 1, AcctInterim: 4, AcctStop: 1}
	if c.AcctAcked != want || c.AcctRepeated != 2 || c.AcctWaiting != 0 {
		t.Errorf("counters %s", show(c))
	}
}

func TestNumberOfACalledStation(t *testing.T) {
	for called, want := range map[string]string{
		"+4930123": "+4930123", "0049": "0049", "112": "112",
		"sip:+49@host": "+49", "SIPS:030@[::1]:5061": "030", "sip:112": "112", "tel:+1-201-555.0123;ext=5": "+12015550123", "tel:(030)1": "0301",
		"": "", "+": "", "sip:alice@host": "", "00-11-22-33-44-55:cafe": "", "001122334455:cafe": "", "internet": "", "+49 30": "", "++49": "", "sip:": "", "12*3": "",
		"123456789012345678901234567890123": "",
	} {
		if got := number([]byte(called)); got != want {
			t.Errorf("%q: got %q, want %q", called, got, want)
		}
	}
}

// Every attribute that counts, as the command has it.
func TestReportBecomesCommand(t *testing.T) {
	n := newNode(t, vendor.Generic)
	base := command.Accounting{NAS: nasID, SessionID: "s-1", Status: command.Interim, Seconds: -1}
	now := time.Now()
	for _, c := range []struct {
		name string
		fill func(b *attr.Builder)
		want func(c *command.Accounting)
	}{
		{"all of it", func(b *attr.Builder) {
			b.String(attr.UserName, "DOM\\üser")
			b.Time(attr.EventTimestamp, at(7))
			b.Uint32(attr.AcctDelayTime, 99)
			b.Uint32(attr.AcctSessionTime, 600)
			b.Octets64(attr.AcctInputOctets, attr.AcctInputGigawords, 5<<32+1, false)
			b.Octets64(attr.AcctOutputOctets, attr.AcctOutputGigawords, 2, false)
			b.Bytes(attr.FramedIPAddress, []byte{10, 0, 0, 9})
			b.String(attr.CallingStationID, "aa-bb")
			b.String(attr.CalledStationID, "sip:+4930123@gw.example;user=phone")
			b.String(attr.NASPortID, "ge-0/0/1:100")
			b.Uint32(attr.NASPort, 4)
			b.String(attr.Class, "someone-else/flat@9")
			b.String(attr.NASIdentifier, "not-me")
			b.Uint32(attr.AcctTerminateCause, 5)
		}, func(c *command.Accounting) {
			c.Login, c.Event, c.Seconds, c.In, c.Out, c.Giga = "DOM\\üser", epoch1+7, 600, 5<<32+1, 2, true
			c.FramedIP, c.CallingStation, c.NASPort, c.Cause = "10.0.0.9", "aa-bb", "ge-0/0/1:100", 5
			c.Called = "+4930123"
		}},
		{"no Gigawords, a port number", func(b *attr.Builder) {
			b.Time(attr.EventTimestamp, at(7))
			b.Uint32(attr.AcctInputOctets, 1)
			b.Uint32(attr.NASPort, 0)
		}, func(c *command.Accounting) { c.Event, c.In, c.NASPort = epoch1+7, 1, "0" }},
		{"Gigawords of zero", func(b *attr.Builder) {
			b.Time(attr.EventTimestamp, at(7))
			b.Octets64(attr.AcctOutputOctets, attr.AcctOutputGigawords, 3, true)
		}, func(c *command.Accounting) { c.Event, c.Out, c.Giga = epoch1+7, 3, true }},
		{"IPv6", func(b *attr.Builder) {
			b.Time(attr.EventTimestamp, at(7))
			b.Bytes(attr.FramedIPv6Address, []byte{0x20, 1, 0xd, 0xb8, 15: 1})
		}, func(c *command.Accounting) { c.Event, c.FramedIP = epoch1+7, "2001:db8::1" }},
		{"octets that are no text", func(b *attr.Builder) {
			b.Time(attr.EventTimestamp, at(7))
			b.Bytes(attr.CallingStationID, []byte{0, 0xff})
		}, func(c *command.Accounting) { c.Event, c.CallingStation = epoch1+7, `\hex:00ff` }},
		{"clock ahead", func(b *attr.Builder) { b.Time(attr.EventTimestamp, now.Add(time.Hour)) }, func(c *command.Accounting) { c.Event = now.Add(time.Hour).Unix() }},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := n.exchange(radius.CodeAccountingRequest, n.server.AcctAddr(), func(b *attr.Builder, _ [16]byte) {
				b.Uint32(attr.AcctStatusType, uint32(attr.AcctInterim))
				b.String(attr.AcctSessionID, "s-1")
				c.fill(b)
			})
			if err != nil {
				t.Fatal(err)
			}
			got := n.taken()[0].(*command.Accounting)
			want := base
			c.want(&want)
			if got.Node != "north-1" || time.UnixMicro(got.At).Before(now) {
				t.Errorf("meta %+v", got.Meta)
			}
			if want.Meta = got.Meta; *got != want {
				t.Errorf("got  %s\nwant %s", show(got), show(want))
			}
		})
	}
}

func TestEventTimeByArrivalAndDelay(t *testing.T) {
	n := newNode(t, vendor.Generic)
	for _, c := range []struct {
		name   string
		status attr.AcctStatus
		ahead  time.Duration
		delayS uint32
	}{
		{"no Event-Timestamp", attr.AcctInterim, 0, 40},
		{"a restart dated next year", attr.AcctOn, 365 * 24 * time.Hour, 40},
	} {
		before := time.Now()
		_, err := n.exchange(radius.CodeAccountingRequest, n.server.AcctAddr(), func(b *attr.Builder, _ [16]byte) {
			b.Uint32(attr.AcctStatusType, uint32(c.status))
			b.String(attr.AcctSessionID, "s-1")
			b.Uint32(attr.AcctDelayTime, c.delayS)
			if c.ahead != 0 {
				b.Time(attr.EventTimestamp, before.Add(c.ahead))
			}
		})
		if err != nil {
			t.Fatal(err)
		}
		got := n.taken()[0].(*command.Accounting).Event + int64(c.delayS)
		if got < before.Unix() || got > time.Now().Unix() {
			t.Errorf("%s: event %d s off", c.name, got-before.Unix())
		}
	}
	if n.handler.Stats().AcctClockAhead != 1 {
		t.Errorf("counters %s", show(n.handler.Stats()))
	}
}

func TestAccountingOutcomes(t *testing.T) {
	t.Parallel() // it waits for answers that do not come
	n := newNode(t, vendor.Generic)
	const acked, silent = true, false
	result := func(c command.Code) func(*region) { return func(r *region) { r.answer = &command.Result{Code: c} } }
	for _, c := range []struct {
		name     string
		status   uint32
		session  string
		log      func(*region)
		commands int
		want     bool
		count    func(s Stats) uint64
	}{
		{"Start", 1, "s", nil, 1, acked, func(s Stats) uint64 { return s.AcctAcked[AcctStart] }},
		{"Stop", 2, "s", nil, 1, acked, func(s Stats) uint64 { return s.AcctAcked[AcctStop] }},
		{"Interim", 3, "s", nil, 1, acked, func(s Stats) uint64 { return s.AcctAcked[AcctInterim] }},
		{"On without a session", 7, "", nil, 1, acked, func(s Stats) uint64 { return s.AcctAcked[AcctOn] }},
		{"Off without a session", 8, "", nil, 1, acked, func(s Stats) uint64 { return s.AcctAcked[AcctOff] }},
		{"Tunnel-Start", 9, "", nil, 0, acked, func(s Stats) uint64 { return s.AcctAcked[AcctOther] }},
		{"Failed", 15, "s", nil, 0, acked, func(s Stats) uint64 { return s.AcctAcked[AcctOther] }},
		{"status 4", 4, "s", nil, 0, acked, func(s Stats) uint64 { return s.AcctAcked[AcctOther] }},
		{"status 0", 0, "s", nil, 0, silent, func(s Stats) uint64 { return s.AcctDropped[DropStatus] }},
		{"status 16", 16, "s", nil, 0, silent, func(s Stats) uint64 { return s.AcctDropped[DropStatus] }},
		{"no session", 3, "", nil, 0, silent, func(s Stats) uint64 { return s.AcctDropped[DropNoSessionID] }},
		{"repeated", 3, "s", result(command.Repeated), 1, acked, func(s Stats) uint64 { return s.AcctRepeated }},
		{"quarantined", 3, "s", result(command.Quarantined), 1, acked, func(s Stats) uint64 { return s.AcctQuarantined }},
		{"overloaded", 3, "s", result(command.Overloaded), 1, silent, func(s Stats) uint64 { return s.AcctDropped[DropOverload] }},
		{"no epoch", 3, "s", result(command.NotConfigured), 1, silent, func(s Stats) uint64 { return s.AcctDropped[DropNotConfigured] }},
		{"no leader", 3, "s", func(r *region) { r.refuse = errNoLeader }, 1, silent, func(s Stats) uint64 { return s.AcctDropped[DropLog] }},
	} {
		t.Run(c.name, func(t *testing.T) {
			n.set(func(r *region) {
				r.answer, r.refuse = nil, nil
				if c.log != nil {
					c.log(r)
				}
			})
			before := c.count(n.handler.Stats())
			_, err := n.exchange(radius.CodeAccountingRequest, n.server.AcctAddr(), func(b *attr.Builder, _ [16]byte) {
				b.Uint32(attr.AcctStatusType, c.status)
				if c.session != "" {
					b.String(attr.AcctSessionID, c.session)
				}
				b.Time(attr.EventTimestamp, at(5))
			})
			if err != nil && !errors.Is(err, radtest.ErrTimeout) {
				t.Fatal(err)
			}
			commands := len(n.taken())
			if counted := c.count(n.handler.Stats()) - before; (err == nil) != c.want || commands != c.commands || counted != 1 {
				t.Errorf("acknowledged %t with %d commands, counted %d times", err == nil, commands, counted)
			}
		})
	}
}

func TestMalformedAccountingIsDropped(t *testing.T) {
	t.Parallel() // it waits for answers that do not come
	n := newNode(t, vendor.Generic)
	for name, fill := range map[string]func(b *attr.Builder, _ [16]byte){
		"no status": func(b *attr.Builder, _ [16]byte) { b.String(attr.AcctSessionID, "s") },
		"counter of three": func(b *attr.Builder, _ [16]byte) {
			b.Uint32(attr.AcctStatusType, 3)
			b.Bytes(attr.AcctInputOctets, []byte{1, 2, 3})
		},
	} {
		if _, err := n.exchange(radius.CodeAccountingRequest, n.server.AcctAddr(), fill); !errors.Is(err, radtest.ErrTimeout) {
			t.Errorf("%s: %v, want no answer", name, err)
		}
	}
	if got := n.handler.Stats().AcctDropped[DropMalformed]; got != 2 || len(n.taken()) != 0 {
		t.Errorf("counted %d times", got)
	}
}

// A report older than any tombstone is acknowledged and kept, and charges nothing.
func TestLateReportIsQuarantined(t *testing.T) {
	n := newNode(t, vendor.Generic, prepaid("p", tariff.Bytes, micros, 1<<20, 1<<20))
	n.feed(n.subscriber("user", "p"), cash("user", 100*micros))
	_, err := n.exchange(radius.CodeAccountingRequest, n.server.AcctAddr(), func(b *attr.Builder, _ [16]byte) {
		b.Uint32(attr.AcctStatusType, uint32(attr.AcctStop))
		b.String(attr.AcctSessionID, "old")
		b.String(attr.UserName, "user")
		b.Time(attr.EventTimestamp, at(-30*86400))
		b.Uint32(attr.AcctInputOctets, 50<<20)
	})
	if err != nil {
		t.Fatal(err)
	}
	if s := n.handler.Stats(); s.AcctQuarantined != 1 {
		t.Errorf("counters %s", show(s))
	}
	n.View(func(s *fsm.State) {
		if a := s.Account("acc-user")[0]; a.Spent != 0 || s.Count().Sessions != 0 {
			t.Errorf("charged: %+v", a)
		}
	})
}

// A NAS that lost its clock dates everything to 1970: its sessions are dated by
// arrival, or nobody would pay.
func TestClockThatWasNeverSet(t *testing.T) {
	received := time.Unix(1_800_000_000, 0)
	h := &Handler{}
	for name, c := range map[string]struct {
		event time.Time
		delay uint32
		want  int64
	}{
		"1970":              {time.Unix(86_400, 0), 5, 1_799_999_995},
		"a day late":        {time.Unix(1_799_913_600, 0), 0, 1_799_913_600},
		"a minute in front": {time.Unix(1_800_000_060, 0), 0, 1_800_000_060},
	} {
		a := &attr.Accounting{Status: attr.AcctInterim, EventTime: c.event, DelayS: c.delay}
		if got := h.eventTime(received, a); got != c.want {
			t.Errorf("%s: %d, want %d", name, got, c.want)
		}
	}
}
