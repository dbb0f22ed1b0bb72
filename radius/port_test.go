package radius

import (
	"bytes"
	"context"
	"log/slog"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"
)

// A socket that nobody reads overflows, and the kernel's counter shows it.
func TestKernelDropsAreSeen(t *testing.T) {
	p, err := listen(t.Context(), netip.MustParseAddrPort("127.0.0.1:0"), false, 64<<10, 16)
	if err != nil {
		t.Fatal(err)
	}
	defer p.conn.Close()
	if drops, size := p.kernel(); drops != 0 || size < 64<<10 {
		t.Errorf("at first %d drops, a buffer of %d octets", drops, size)
	}
	peer, err := net.DialUDP("udp4", nil, net.UDPAddrFromAddrPort(p.local))
	if err != nil {
		t.Fatal(err)
	}
	defer peer.Close()
	for range 2000 {
		if _, err := peer.Write(make([]byte, 200)); err != nil {
			t.Fatal(err)
		}
	}
	if drops, _ := p.kernel(); drops == 0 || drops >= 2000 {
		t.Errorf("%d of 2000 dropped", drops)
	}
}

func TestSendListIsBounded(t *testing.T) {
	p := &port{limit: 2, wake: make(chan struct{}, 1)}
	for i, want := range []bool{true, true, false} {
		if got := p.send(&datagram{}); got != want {
			t.Errorf("reply %d taken: %v, want %v", i, got, want)
		}
	}
	p.stop()
	p.pending = nil
	if p.send(&datagram{}) {
		t.Error("a closed port took a reply")
	}
}

// A flood from unknown clients makes one line, not a line a packet.
func TestDropsAreLoggedSparingly(t *testing.T) {
	var out bytes.Buffer
	cfg := DefaultConfig()
	clients, err := NewClientTable(nil)
	if err != nil {
		t.Fatal(err)
	}
	s, err := New(cfg, clients, HandlerFunc(func(*Request, *Responder) {}), slog.New(slog.NewTextHandler(&out, nil)))
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	p := &port{}
	for range 1000 {
		s.drop(p, DropUnknownClient, netip.MustParseAddrPort("192.0.2.1:5"), nil)
		s.drop(p, DropInProgress, netip.MustParseAddrPort("192.0.2.1:5"), nil)
	}
	s.drop(p, DropMalformed, netip.MustParseAddrPort("192.0.2.1:5"), ErrPacket)
	if n := strings.Count(out.String(), "\n"); n != 2 {
		t.Errorf("%d lines:\n%s", n, out.String())
	}
	if p.drops[DropUnknownClient].Load() != 1000 {
		t.Errorf("%d counted", p.drops[DropUnknownClient].Load())
	}
}

func TestClientStatesAreBounded(t *testing.T) {
	c := clientStates{limit: 2}
	a := c.of("a")
	a.sentMA.Store(true)
	c.of("b")
	c.of("c")
	c.of("c")
	if c.count.Load() != 2 || c.full.Load() != 2 || !c.of("a").sentMA.Load() {
		t.Errorf("%d kept, %d times full", c.count.Load(), c.full.Load())
	}
}

func TestDupTableKeepsOrder(t *testing.T) {
	table := newDupTable(time.Second, dupShards, 1<<20)
	now := time.Unix(1000, 0)
	key := func(id byte) dupKey { return dupKey{source: netip.MustParseAddrPort("192.0.2.1:5"), identifier: id} }
	for id := range 200 {
		_, serial, _ := table.begin(key(byte(id)), [16]byte{1}, now, nil)
		if !table.finish(key(byte(id)), serial, []byte{byte(id)}, now) {
			t.Fatalf("id %d was not kept", id)
		}
		if v, _, reply := table.begin(key(byte(id)), [16]byte{1}, now, nil); v != isAnswered || !bytes.Equal(reply, []byte{byte(id)}) {
			t.Fatalf("id %d: %v %v right after its answer", id, v, reply)
		}
	}
	if n, _ := table.size(); n > dupShards {
		t.Errorf("%d kept, at most %d", n, dupShards)
	}
	table.sweep(now.Add(2 * time.Second))
	if n, octets := table.size(); n != 0 || octets != 0 {
		t.Errorf("%d kept after their time, %d octets", n, octets)
	}
	for i := range table.shards {
		if n := len(table.shards[i].entries); n != 0 {
			t.Errorf("shard %d holds %d entries", i, n)
		}
	}
	if table.finish(key(1), 1, nil, now) {
		t.Error("a reply without a request was kept")
	}
	if _, err := listen(context.Background(), netip.MustParseAddrPort("192.0.2.1:0"), false, 64<<10, 1); err == nil {
		t.Error("an address of another machine was taken")
	}
}
