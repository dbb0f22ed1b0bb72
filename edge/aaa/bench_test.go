package aaa

import (
	"context"
	"fmt"
	"net/netip"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"meridian/edge/command"
	"meridian/internal/mschap"
	"meridian/radius"
	"meridian/radius/attr"
	"meridian/radius/radtest"
	"meridian/radius/vendor"
)

// instantLog takes accounting at once: what is left is the way from packet to
// command and back.
type instantLog struct {
	*region
	taken atomic.Uint64
}

func (l *instantLog) Propose(_ command.Command, done func(command.Result, error)) {
	l.taken.Add(1)
	done(command.Result{}, nil)
}

// cpu is the processor time of this process: on a machine that others use too,
// elapsed time says little.
func cpu(b *testing.B) time.Duration {
	b.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// drive sends b.N requests, at most so many in flight, and waits for the replies.
func drive(b *testing.B, h *Handler, to func(*radius.Server) netip.AddrPort, code radius.Code, want radius.Code, fill func(i int, bl *attr.Builder, authenticator [16]byte)) {
	const inFlight = 256
	srv := newServer(b, h, h)
	cfg := radtest.DefaultExchangerConfig()
	cfg.Local = netip.MustParseAddr(nasAddr)
	x, err := radtest.NewExchanger(cfg)
	if err != nil {
		b.Fatal(err)
	}
	if err := x.Start(context.Background()); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { x.Close() })
	places := make(chan struct{}, inFlight)
	var failed atomic.Int64
	b.ReportAllocs()
	b.ResetTimer()
	before := cpu(b)
	for i := range b.N {
		places <- struct{}{}
		err := x.Go(radtest.Exchange{Code: code, To: to(srv), Secret: []byte(secret), MA: code == radius.CodeAccessRequest,
			Fill: func(bl *attr.Builder, a [16]byte) { fill(i, bl, a) }}, func(r radtest.Reply) {
			if r.Err != nil || r.Code != want {
				failed.Add(1)
			}
			<-places
		})
		if err != nil {
			b.Fatal(err)
		}
	}
	for range inFlight {
		places <- struct{}{}
	}
	b.StopTimer()
	if failed.Load() != 0 {
		b.Fatalf("%d of %d requests failed", failed.Load(), b.N)
	}
	b.ReportMetric(float64((cpu(b)-before).Nanoseconds())/float64(b.N), "cpu-ns/op") // client and server together
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "req/s")
}

// benchLogins is how many flat-rate subscribers log in, in turn.
const benchLogins = 10_000

// loginBench is a handler with flat-rate subscribers and what each of them sends.
func loginBench(b *testing.B) (h *Handler, r *region, fill map[string]func(i int, bl *attr.Builder, a [16]byte)) {
	r = newRegion(b)
	entities := []any{r.nas(nasID, nasAddr, vendor.Mikrotik, ""), flat("flat", 2)}
	logins, passwords, responses := make([]string, benchLogins), make([][]byte, benchLogins), make([]attr.MSCHAP2, benchLogins)
	for i := range benchLogins {
		logins[i] = fmt.Sprintf("user%06d", i)
		passwords[i] = []byte("pw-" + logins[i])
		entities = append(entities, r.subscriber(logins[i], "flat"))
		hash, err := mschap.NTHash(string(passwords[i]))
		if err != nil {
			b.Fatal(err)
		}
		m := attr.MSCHAP2{Identifier: byte(i), Challenge: [16]byte{byte(i)}, PeerChallenge: [16]byte{15: byte(i)}}
		m.Response = mschap.New(hash).Expect(mschap.NewChallenge(m.PeerChallenge, m.Challenge, []byte(logins[i])))
		responses[i] = m
	}
	r.feed(entities...)
	common := func(i int, bl *attr.Builder) {
		bl.String(attr.UserName, logins[i%benchLogins])
		bl.Uint32(attr.NASPort, uint32(i))
	}
	return newHandler(b, r, testConfig()), r, map[string]func(i int, bl *attr.Builder, a [16]byte){
		"PAP": func(i int, bl *attr.Builder, a [16]byte) {
			common(i, bl)
			bl.UserPassword(passwords[i%benchLogins], []byte(secret), a)
		},
		"CHAP": func(i int, bl *attr.Builder, a [16]byte) {
			common(i, bl)
			bl.CHAP(1, passwords[i%benchLogins], nil, a)
		},
		"MSCHAP2": func(i int, bl *attr.Builder, _ [16]byte) {
			common(i, bl)
			bl.MSCHAP2Request(responses[i%benchLogins])
		},
	}
}

// BenchmarkAuthorize logs subscribers in through the handler behind a real server;
// client and server share the machine.
func BenchmarkAuthorize(b *testing.B) {
	for _, method := range []string{"PAP", "CHAP", "MSCHAP2"} {
		b.Run(method, func(b *testing.B) {
			h, r, fill := loginBench(b)
			drive(b, h, (*radius.Server).AuthAddr, radius.CodeAccessRequest, radius.CodeAccessAccept, fill[method])
			if n := len(r.taken()); n != 0 {
				b.Fatalf("%d commands for logins that need none", n)
			}
		})
	}
}

// BenchmarkDecide is BenchmarkAuthorize without sockets, queues and duplicates:
// from a datagram's octets to its reply's, on one goroutine.
func BenchmarkDecide(b *testing.B) {
	for _, method := range []string{"PAP", "CHAP", "MSCHAP2"} {
		b.Run(method, func(b *testing.B) {
			h, _, fill := loginBench(b)
			packets := make([][]byte, benchLogins)
			for i := range packets {
				var bl attr.Builder
				fill[method](i, &bl, fuzzAuthenticator)
				list, err := bl.List()
				if err != nil {
					b.Fatal(err)
				}
				if packets[i], err = radius.AppendRequest(nil, radius.CodeAccessRequest, byte(i), fuzzAuthenticator, list, []byte(secret), true); err != nil {
					b.Fatal(err)
				}
			}
			client, source := &radius.Client{ID: nasID, Vendor: vendor.Mikrotik, Secret: []byte(secret)}, netip.MustParseAddrPort(nasAddr+":5")
			accepted, i := 0, 0
			one := func() {
				radius.Direct(h, client, false, source, packets[i%benchLogins], time.Now(), func(a radius.Answer) {
					if !a.Dropped && radius.Code(a.Packet[0]) == radius.CodeAccessAccept {
						accepted++
					}
				})
				i++
			}
			for range benchLogins {
				one() // opens every credential
			}
			b.ReportAllocs()
			before := cpu(b)
			for b.Loop() {
				one()
			}
			b.ReportMetric(float64((cpu(b)-before).Nanoseconds())/float64(b.N), "cpu-ns/op")
			if accepted != i {
				b.Fatalf("%d of %d accepted", accepted, i)
			}
		})
	}
}

// BenchmarkReport is BenchmarkAccountingInterim without sockets, queues and
// duplicates.
func BenchmarkReport(b *testing.B) {
	r := newRegion(b)
	log := &instantLog{region: r}
	h, err := New(testConfig(), log, r, quiet())
	if err != nil {
		b.Fatal(err)
	}
	list := attributes(b, func(bl *attr.Builder) { fillInterim(7, "00000007", bl) })
	packet, err := radius.AppendRequest(nil, radius.CodeAccountingRequest, 1, [16]byte{}, list, []byte(secret), false)
	if err != nil {
		b.Fatal(err)
	}
	client, source := &radius.Client{ID: nasID, Vendor: vendor.Mikrotik, Secret: []byte(secret)}, netip.MustParseAddrPort(nasAddr+":5")
	b.ReportAllocs()
	before := cpu(b)
	for b.Loop() {
		radius.Direct(h, client, true, source, packet, time.Now(), func(a radius.Answer) {
			if a.Dropped {
				b.Fatal(a.Reason)
			}
		})
	}
	b.ReportMetric(float64((cpu(b)-before).Nanoseconds())/float64(b.N), "cpu-ns/op")
}

// fillInterim is what a NAS reports each interval.
func fillInterim(i int, id string, bl *attr.Builder) {
	bl.Uint32(attr.AcctStatusType, uint32(attr.AcctInterim))
	bl.String(attr.AcctSessionID, id)
	bl.String(attr.UserName, "user000001")
	bl.Time(attr.EventTimestamp, at(int64(i/benchSessions)))
	bl.Uint32(attr.AcctSessionTime, uint32(i/benchSessions))
	bl.Octets64(attr.AcctInputOctets, attr.AcctInputGigawords, uint64(i), true)
	bl.Octets64(attr.AcctOutputOctets, attr.AcctOutputGigawords, uint64(i), true)
	bl.Bytes(attr.FramedIPAddress, []byte{10, 0, 0, 1})
	bl.String(attr.CallingStationID, "00:11:22:33:44:55")
}

const benchSessions = 10_000

// BenchmarkAccountingInterim acknowledges interims of 10 000 sessions with a log
// that answers at once.
func BenchmarkAccountingInterim(b *testing.B) {
	r := newRegion(b)
	r.feed(r.nas(nasID, nasAddr, vendor.Mikrotik, ""))
	log := &instantLog{region: r}
	handler, err := New(testConfig(), log, r, quiet())
	if err != nil {
		b.Fatal(err)
	}
	if err := handler.Start(context.Background()); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { handler.Close() })
	ids := make([]string, benchSessions)
	for i := range ids {
		ids[i] = fmt.Sprintf("%08x", i)
	}
	drive(b, handler, (*radius.Server).AcctAddr, radius.CodeAccountingRequest, radius.CodeAccountingResponse, func(i int, bl *attr.Builder, _ [16]byte) {
		fillInterim(i, ids[i%benchSessions], bl)
	})
	if log.taken.Load() < uint64(b.N) {
		b.Fatalf("%d commands for %d reports", log.taken.Load(), b.N)
	}
}
