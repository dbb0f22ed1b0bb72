package radtest_test

import (
	"errors"
	"math/rand/v2"
	"net"
	"net/netip"
	"sync/atomic"
	"testing"
	"time"

	"meridian/radius"
	"meridian/radius/attr"
	"meridian/radius/radtest"
	"meridian/radius/vendor"
)

func TestFailover(t *testing.T) {
	deaf, err := net.ListenUDP("udp4", net.UDPAddrFromAddrPort(netip.AddrPortFrom(loopback, 0)))
	if err != nil {
		t.Fatal(err)
	}
	defer deaf.Close()
	b := &book{vendor: vendor.Generic}
	s := serve(t, b)
	n := newNAS(t, func(c *radtest.NASConfig) {
		dead := deaf.LocalAddr().(*net.UDPAddr).AddrPort()
		c.Auth, c.Acct = append([]netip.AddrPort{dead}, c.Auth...), append([]netip.AddrPort{dead}, c.Acct...)
		c.Timeout, c.Tries = 30*time.Millisecond, 2
	}, s)
	ses, err := n.Login(t.Context(), radtest.Login{User: "ann", Password: "pw-ann"})
	if err != nil {
		t.Fatal(err)
	}
	for range 3 {
		if err := ses.Interim(t.Context(), noon, radtest.Usage{SessionS: 1}); err != nil {
			t.Fatal(err)
		}
	}
	st := n.Stats()
	if st.Failovers != 2 || st.Exchanger.Retransmits != 2 || len(b.seen()) != 3 {
		t.Errorf("stats %+v, %d events: the server that answered is to be asked first afterwards", st, len(b.seen()))
	}
}

func TestNobodyAnswers(t *testing.T) {
	b := &book{vendor: vendor.Generic}
	b.silent.Store(true)
	s := serve(t, b)
	var acked atomic.Int64
	n := newNAS(t, func(c *radtest.NASConfig) {
		c.Timeout, c.Tries, c.Rounds = 10*time.Millisecond, 2, 2
		c.OnAcked = func(radtest.Record) { acked.Add(1) }
	}, s)
	err := n.AccountingOn(t.Context(), noon)
	st := n.Stats()
	if !errors.Is(err, radtest.ErrTimeout) || acked.Load() != 0 || st.AcctTimeouts != 1 {
		t.Errorf("%v, acked %d, %+v", err, acked.Load(), st)
	}
	// Each round is a packet of its own, so the server saw two requests and the retransmissions of each.
	if st.Exchanger.Sent != 2 || st.Exchanger.Retransmits != 2 {
		t.Errorf("sent %d, retransmitted %d, want 2 and 2", st.Exchanger.Sent, st.Exchanger.Retransmits)
	}
}

func TestDelayGrowsWithANewPacket(t *testing.T) {
	b := &book{vendor: vendor.Generic}
	b.silent.Store(true)
	s := serve(t, b)
	n := newNAS(t, func(c *radtest.NASConfig) { c.Timeout, c.Tries, c.Rounds = 50*time.Millisecond, 1, 1000 }, s)
	done := make(chan error, 1)
	began := time.Now()
	go func() { done <- n.AccountingOn(t.Context(), noon) }()
	for time.Since(began) < 1100*time.Millisecond {
		time.Sleep(10 * time.Millisecond)
	}
	b.silent.Store(false)
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	if e := b.seen(); len(e) != 1 || e[0].DelayS < 1 || !e[0].EventTime.Equal(noon) {
		t.Errorf("events %+v: one with Acct-Delay-Time of at least 1 and the same Event-Timestamp is wanted", e)
	}
}

func TestDuplicatesEverywhereAndShuffled(t *testing.T) {
	b1, b2 := &book{vendor: vendor.Generic}, &book{vendor: vendor.Generic}
	s1, s2 := serve(t, b1), serve(t, b2)
	n := newNAS(t, nil, s1, s2)
	ses, err := n.Adopt("s1", "ann", vendor.Profile{})
	if err != nil {
		t.Fatal(err)
	}
	var events []radtest.Event
	for i := range 5 {
		events = append(events, radtest.Event{Session: ses, Status: attr.AcctInterim, At: noon, Usage: radtest.Usage{SessionS: uint32(i), In: uint64(i)}})
	}
	if err := n.Send(t.Context(), events[0], radtest.Delivery{Duplicates: 3}); err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(5 * time.Second); ; time.Sleep(time.Millisecond) {
		st := s1.Stats().Acct
		if st.Resent+st.Drops[radius.DropInProgress] == 3 {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("three copies wanted: %+v", st)
		}
	}
	if err := n.Send(t.Context(), events[1], radtest.Delivery{Everywhere: true}); err != nil {
		t.Fatal(err)
	}
	if len(b1.seen()) != 2 || len(b2.seen()) != 1 {
		t.Errorf("first server %d, second %d events, want 2 and 1", len(b1.seen()), len(b2.seen()))
	}
	if err := n.SendShuffled(t.Context(), rand.New(rand.NewPCG(1, 2)), events); err != nil {
		t.Fatal(err)
	}
	got := b1.seen()[2:]
	inOrder := true
	for i := range got[1:] {
		inOrder = inOrder && got[i].SessionTimeS < got[i+1].SessionTimeS
	}
	if len(got) != 5 || inOrder {
		t.Errorf("%d events, in order %v", len(got), inOrder)
	}
}
