package aaa

import (
	"context"
	"fmt"
	"net/netip"
	"sync/atomic"
	"testing"
	"time"

	"meridian/edge/command"
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

// timed measures what the handler itself takes, apart from server and client.
type timed struct {
	*Handler
	spent atomic.Int64
}

func (h *timed) ServeRADIUS(req *radius.Request, w *radius.Responder) {
	began := time.Now()
	h.Handler.ServeRADIUS(req, w)
	h.spent.Add(int64(time.Since(began)))
}

// drive sends b.N requests, at most so many in flight, and waits for the replies.
func drive(b *testing.B, h *timed, to func(*radius.Server) netip.AddrPort, code radius.Code, want radius.Code, fill func(i int, bl *attr.Builder, authenticator [16]byte)) {
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
	b.ReportMetric(float64(h.spent.Load())/float64(b.N), "handler-ns/op")
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "req/s")
}

// BenchmarkAuthorizePAP logs 10 000 flat-rate subscribers in, in turn, through the
// handler behind a real server; client and server share the machine.
func BenchmarkAuthorizePAP(b *testing.B) {
	const subscribers = 10_000
	r := newRegion(b)
	entities := []any{r.nas(nasID, nasAddr, vendor.Mikrotik, ""), flat("flat", 2)}
	logins, passwords := make([]string, subscribers), make([][]byte, subscribers)
	for i := range subscribers {
		logins[i] = fmt.Sprintf("user%06d", i)
		passwords[i] = []byte("pw-" + logins[i])
		entities = append(entities, r.subscriber(logins[i], "flat"))
	}
	r.feed(entities...)
	h := &timed{Handler: newHandler(b, r, testConfig())}
	drive(b, h, (*radius.Server).AuthAddr, radius.CodeAccessRequest, radius.CodeAccessAccept, func(i int, bl *attr.Builder, a [16]byte) {
		bl.String(attr.UserName, logins[i%subscribers])
		bl.UserPassword(passwords[i%subscribers], []byte(secret), a)
		bl.Uint32(attr.NASPort, uint32(i))
	})
	if n := len(r.taken()); n != 0 {
		b.Fatalf("%d commands for logins that need none", n)
	}
}

// BenchmarkAccountingInterim acknowledges interims of 10 000 sessions with a log
// that answers at once.
func BenchmarkAccountingInterim(b *testing.B) {
	const sessions = 10_000
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
	ids := make([]string, sessions)
	for i := range ids {
		ids[i] = fmt.Sprintf("%08x", i)
	}
	h := &timed{Handler: handler}
	drive(b, h, (*radius.Server).AcctAddr, radius.CodeAccountingRequest, radius.CodeAccountingResponse, func(i int, bl *attr.Builder, _ [16]byte) {
		bl.Uint32(attr.AcctStatusType, uint32(attr.AcctInterim))
		bl.String(attr.AcctSessionID, ids[i%sessions])
		bl.String(attr.UserName, "user000001")
		bl.Time(attr.EventTimestamp, at(int64(i/sessions)))
		bl.Uint32(attr.AcctSessionTime, uint32(i/sessions))
		bl.Octets64(attr.AcctInputOctets, attr.AcctInputGigawords, uint64(i), true)
		bl.Octets64(attr.AcctOutputOctets, attr.AcctOutputGigawords, uint64(i), true)
		bl.Bytes(attr.FramedIPAddress, []byte{10, 0, 0, 1})
		bl.String(attr.CallingStationID, "00:11:22:33:44:55")
	})
	if log.taken.Load() < uint64(b.N) {
		b.Fatalf("%d commands for %d reports", log.taken.Load(), b.N)
	}
}
