package radius_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"log/slog"
	"net/netip"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"meridian/radius"
	"meridian/radius/attr"
)

// lines is a log that counts.
type lines struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *lines) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(b)
}

func (l *lines) count() (int, string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Count(l.text.String(), "\n"), l.text.String()
}

// serveLogged is serve with a log.
func serveLogged(t *testing.T, cfg radius.Config, clients radius.Clients, h radius.Handler) (*radius.Server, *lines) {
	t.Helper()
	out := &lines{}
	s, err := radius.New(cfg, clients, h, slog.New(slog.NewTextHandler(out, nil)))
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Start(context.Background()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s, out
}

// heap is the memory in use after a collection, in octets.
func heap() int64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// settled waits until all of n datagrams were read or dropped by the kernel, and nothing is under way.
func settled(t *testing.T, s *radius.Server, n uint64) radius.Stats {
	t.Helper()
	until(t, "the flood is over", func() bool {
		st := s.Stats()
		return st.Auth.Received+st.Auth.KernelDrops == n && st.Queued == 0 && st.InFlight == 0
	})
	return s.Stats()
}

func outcome(c *radius.Client, isAcct bool, h radius.HandlerFunc, datagram []byte) (a radius.Answer) {
	radius.Direct(h, c, isAcct, netip.MustParseAddrPort("127.0.0.1:5"), datagram, time.Unix(1, 0), func(got radius.Answer) { a = got })
	return a
}

func refuseAll(t *testing.T) radius.HandlerFunc {
	return func(req *radius.Request, w *radius.Responder) {
		t.Errorf("%v reached the handler", req.Code)
		w.Drop(radius.DropInvalid)
	}
}

// Every change of one octet, and every shorter form, of a request that carries a digest is found before the handler sees it.
func TestNoChangedOctetReachesTheHandler(t *testing.T) {
	for _, c := range []struct {
		name   string
		acct   bool
		packet []byte
	}{
		{"Access-Request", false, request(t, radius.CodeAccessRequest, 1, secret, true, pap(secret))},
		{"Accounting-Request", true, request(t, radius.CodeAccountingRequest, 1, secret, false, acct(attr.AcctInterim))},
		{"Accounting-Request with Message-Authenticator", true, request(t, radius.CodeAccountingRequest, 1, secret, true, acct(attr.AcctStop))},
	} {
		t.Run(c.name, func(t *testing.T) {
			if a := outcome(client(), c.acct, login, c.packet); a.Dropped {
				t.Fatalf("as it was made: %v", a.Reason)
			}
			require := &radius.Client{ID: "nas", Secret: secret, MA: radius.MARequire}
			for at := range c.packet {
				for _, x := range []byte{1, 0x40, 0x80, 0xff, c.packet[at]} {
					changed := bytes.Clone(c.packet)
					if changed[at] ^= x; x == 0 {
						continue
					}
					if a := outcome(require, c.acct, refuseAll(t), changed); !a.Dropped {
						t.Errorf("octet %d changed by %x: answered", at, x)
					}
				}
			}
			for n := range c.packet {
				if a := outcome(require, c.acct, refuseAll(t), c.packet[:n]); a.Reason != radius.DropMalformed {
					t.Errorf("cut to %d octets: %v", n, a.Reason)
				}
				shorter := bytes.Clone(c.packet) // Length says less than there is: the rest is padding
				binary.BigEndian.PutUint16(shorter[2:], uint16(n))
				if a := outcome(require, c.acct, refuseAll(t), shorter); !a.Dropped {
					t.Errorf("Length %d of %d octets: answered", n, len(c.packet))
				}
			}
		})
	}
}

func TestAThousandAttributes(t *testing.T) {
	cfg := testConfig()
	cfg.MaxAttributes = 64
	s, out := serveLogged(t, cfg, table(t, client()), radius.HandlerFunc(login))
	p := dial(t, s.AuthAddr())
	with := func(n int) []byte {
		return request(t, radius.CodeAccessRequest, byte(n), secret, true, func(b *attr.Builder, a [16]byte) {
			pap(secret)(b, a) // two, and Message-Authenticator is the third
			for range n - 3 {
				b.Bytes(attr.Type(200), []byte{1, 2})
			}
		})
	}
	if r := p.ask(with(64)); r.Code() != radius.CodeAccessAccept {
		t.Errorf("64 attributes: %v", r.Code())
	}
	p.send(with(65))
	for range 50 {
		p.send(with(1000))
	}
	until(t, "drops", func() bool { return drops(s, false, radius.DropAttributes) == 51 })
	p.nothing()
	if n, text := out.count(); n != 1 {
		t.Errorf("%d lines:\n%s", n, text)
	}
}

// A request that was recorded and is sent again, however often, is decided once.
func TestReplayedRequests(t *testing.T) {
	const replays = 500
	var decided atomic.Int64
	s, out := serveLogged(t, testConfig(), table(t, client()), radius.HandlerFunc(func(req *radius.Request, w *radius.Responder) {
		decided.Add(1)
		login(req, w)
	}))
	for _, c := range []struct {
		to     netip.AddrPort
		packet []byte
	}{
		{s.AuthAddr(), request(t, radius.CodeAccessRequest, 1, secret, true, pap(secret))},
		{s.AcctAddr(), request(t, radius.CodeAccountingRequest, 1, secret, false, acct(attr.AcctStop))},
	} {
		decided.Store(0)
		p := dial(t, c.to)
		first := p.ask(c.packet).Bytes()
		for range replays {
			if again := p.ask(c.packet).Bytes(); !bytes.Equal(again, first) {
				t.Fatalf("another answer: %x, first %x", again, first)
			}
		}
		if decided.Load() != 1 {
			t.Errorf("%d decisions", decided.Load())
		}
	}
	if st := s.Stats(); st.Auth.Resent != replays || st.Acct.Resent != replays || st.ReplyCache != 2 {
		t.Errorf("resent %d and %d, %d replies kept", st.Auth.Resent, st.Acct.Resent, st.ReplyCache)
	}
	if n, text := out.count(); n != 0 {
		t.Errorf("%d lines:\n%s", n, text)
	}
}

// A NAS that has used all 256 identifiers of a port before an answer came begins anew: what was first is replaced, nothing piles up.
func TestIdentifiersRunOutAtTheNAS(t *testing.T) {
	cfg := testConfig()
	cfg.MaxInFlight = 1000
	var mu sync.Mutex
	var held []*radius.Responder
	s, out := serveLogged(t, cfg, table(t, client()), radius.HandlerFunc(func(_ *radius.Request, w *radius.Responder) {
		mu.Lock()
		defer mu.Unlock()
		held = append(held, w)
	}))
	p := dial(t, s.AcctAddr())
	packet := func(round, id int) []byte {
		return request(t, radius.CodeAccountingRequest, byte(id), secret, false, func(b *attr.Builder, a [16]byte) {
			acct(attr.AcctStart)(b, a)
			b.Uint32(attr.NASPort, uint32(round))
		})
	}
	const rounds = 5
	for round := range rounds {
		for id := range 256 {
			p.send(packet(round, id))
		}
		want := min(uint64(256*(round+1)), 1000)
		until(t, "a round", func() bool {
			return s.Stats().Acct.Requests == want && s.Stats().Acct.Requests+drops(s, true, radius.DropShedAcct) == uint64(256*(round+1))
		})
	}
	if st := s.Stats(); st.InFlight != 1000 || st.Acct.Drops[radius.DropShedAcct] != rounds*256-1000 {
		t.Errorf("%d in flight, %d shed", st.InFlight, st.Acct.Drops[radius.DropShedAcct])
	}
	mu.Lock()
	replaced := 0
	for _, w := range held {
		if w.Reply(radius.CodeAccountingResponse, nil) != nil {
			replaced++
		}
	}
	mu.Unlock()
	if st := s.Stats(); replaced != 1000-256 || st.InFlight != 0 || st.ReplyCache != 256 || st.Acct.Drops[radius.DropReplaced] != uint64(replaced) {
		t.Errorf("%d replaced, %d in flight, %d replies kept", replaced, st.InFlight, st.ReplyCache)
	}
	if n, text := out.count(); n > 2 { // one for each reason: shed, replaced
		t.Errorf("%d lines:\n%s", n, text)
	}
}

// From sources that are no clients nothing is remembered and next to nothing logged.
func TestFloodFromUnknownClients(t *testing.T) {
	const n = 20_000
	clients, err := radius.NewClientTable(map[netip.Prefix]*radius.Client{netip.MustParsePrefix("192.0.2.0/24"): client()})
	if err != nil {
		t.Fatal(err)
	}
	s, out := serveLogged(t, testConfig(), clients, refuseAll(t))
	peers := make([]*peer, 16)
	for i := range peers {
		peers[i] = dial(t, s.AuthAddr())
	}
	packet := request(t, radius.CodeAccessRequest, 1, secret, true, func(b *attr.Builder, a [16]byte) {
		pap(secret)(b, a)
		for range 15 {
			b.Bytes(attr.ProxyState, make([]byte, attr.MaxValue))
		}
	})
	before := heap()
	for i := range n {
		peers[i%len(peers)].send(packet)
	}
	until(t, "each that was read is counted as unknown", func() bool {
		st := settled(t, s, n)
		return st.Auth.Drops[radius.DropUnknownClient] == st.Auth.Received && st.Auth.Received > 0
	})
	st := s.Stats()
	if grown := heap() - before; grown > 1<<20 {
		t.Errorf("the heap grew by %d octets", grown)
	}
	if st.ReplyCache != 0 || st.Clients != 0 {
		t.Errorf("%d replies and %d clients remembered", st.ReplyCache, st.Clients)
	}
	if n, text := out.count(); n != 1 {
		t.Errorf("%d lines:\n%s", n, text)
	}
}

// Who forges a NAS's address needs no secret to be rejected, and chooses by Proxy-State how long the reply is: what is kept of it is bounded
// in octets, and the NAS itself is served.
func TestFloodInTheNameOfAClient(t *testing.T) {
	const n = 8192
	cfg := testConfig()
	cfg.Queue, cfg.ReplyCacheOctets = 64, 1<<20
	s, out := serveLogged(t, cfg, table(t, &radius.Client{ID: "nas", Secret: secret, MA: radius.MAOptional}), radius.HandlerFunc(login))
	forged := request(t, radius.CodeAccessRequest, 1, []byte("no idea"), false, func(b *attr.Builder, a [16]byte) {
		pap([]byte("no idea"))(b, a)
		for range 15 {
			b.Bytes(attr.ProxyState, make([]byte, attr.MaxValue))
		}
	})
	peers := make([]*peer, 32)
	for i := range peers {
		peers[i] = dial(t, s.AuthAddr())
	}
	before := heap()
	most, queued := 0, 0
	for i := range n {
		forged[1] = byte(i / len(peers))
		binary.BigEndian.PutUint32(forged[4:], uint32(i))
		peers[i%len(peers)].send(forged)
		if i%256 == 0 {
			st := s.Stats()
			most, queued = max(most, st.ReplyCacheOctets), max(queued, st.Queued)
		}
	}
	st := settled(t, s, n)
	most = max(most, st.ReplyCacheOctets)
	if most > cfg.ReplyCacheOctets || queued > cfg.Queue {
		t.Errorf("%d octets of replies kept, at most %d; %d queued, at most %d", most, cfg.ReplyCacheOctets, queued, cfg.Queue)
	}
	if st.Auth.Rejects == 0 || st.ReplyCacheEvictions == 0 {
		t.Errorf("%d rejected, %d evicted: this was no flood", st.Auth.Rejects, st.ReplyCacheEvictions)
	}
	// Beside the cache there are the pools' buffers, as many as were in use at one time.
	if grown := heap() - before; grown > int64(cfg.ReplyCacheOctets)+2<<20 {
		t.Errorf("the heap grew by %d octets", grown)
	}
	p := dial(t, s.AuthAddr())
	if r := p.ask(request(t, radius.CodeAccessRequest, 7, secret, true, pap(secret))); r.Code() != radius.CodeAccessAccept {
		t.Errorf("the NAS itself got %v", r.Code())
	}
	if n, text := out.count(); n > 1 { // what the queue shed
		t.Errorf("%d lines:\n%s", n, text)
	}
}

// The bound in octets holds whatever the sizes of replies, also of those that take the place of others.
func TestReplyCacheIsBoundedInOctets(t *testing.T) {
	cfg := testConfig()
	cfg.ReplyCacheOctets = 512 << 10
	s := serve(t, cfg, table(t, client()), radius.HandlerFunc(login))
	peers := []*peer{dial(t, s.AcctAddr()), dial(t, s.AcctAddr()), dial(t, s.AcctAddr())}
	for round := range 3 {
		for id := range 256 {
			p := peers[(id+round)%len(peers)]
			p.ask(request(t, radius.CodeAccountingRequest, byte(id), secret, false, func(b *attr.Builder, a [16]byte) {
				acct(attr.AcctStart)(b, a)
				b.String(attr.AcctMultiSessionID, fmt.Sprint(round))
				for range (id*7 + round) % 16 {
					b.Bytes(attr.ProxyState, make([]byte, 200))
				}
			}))
			if st := s.Stats(); st.ReplyCacheOctets > cfg.ReplyCacheOctets || st.ReplyCacheOctets < 256*st.ReplyCache {
				t.Fatalf("%d octets for %d replies, at most %d", st.ReplyCacheOctets, st.ReplyCache, cfg.ReplyCacheOctets)
			}
		}
	}
	if st := s.Stats(); st.ReplyCacheEvictions == 0 || st.ReplyCache == 0 {
		t.Errorf("%d evicted, %d kept", st.ReplyCacheEvictions, st.ReplyCache)
	}
}
