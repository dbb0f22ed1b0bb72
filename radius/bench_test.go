package radius_test

import (
	"net/netip"
	"sync"
	"syscall"
	"testing"
	"time"

	"meridian/radius"
	"meridian/radius/attr"
	"meridian/radius/radtest"
)

// cpu is the processor time of this process, server and load together.
func cpu(b *testing.B) time.Duration {
	b.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// drive runs a closed loop with 512 requests in flight over real sockets; every reply is verified.
func drive(b *testing.B, e radtest.Exchange, acct bool) {
	cfg := testConfig()
	cfg.ReadBuffer = 16 << 20
	s := serve(b, cfg, table(b, client()), radius.HandlerFunc(login))
	e.Secret, e.To = secret, s.AuthAddr()
	if acct {
		e.To = s.AcctAddr()
	}
	xc := radtest.DefaultExchangerConfig()
	xc.Local = netip.MustParseAddr("127.0.3.1")
	x, err := radtest.NewExchanger(xc)
	if err != nil {
		b.Fatal(err)
	}
	if err := x.Start(b.Context()); err != nil {
		b.Fatal(err)
	}
	defer x.Close()
	slots := make(chan struct{}, 512)
	var wait sync.WaitGroup
	b.ReportAllocs()
	b.ResetTimer()
	before := cpu(b)
	for b.Loop() {
		slots <- struct{}{}
		wait.Add(1)
		if err := x.Go(e, func(r radtest.Reply) {
			if r.Err != nil || r.Code == radius.CodeAccessReject {
				b.Errorf("%v, %v", r.Code, r.Err)
			}
			<-slots
			wait.Done()
		}); err != nil {
			b.Fatal(err)
		}
	}
	wait.Wait()
	b.ReportMetric(float64((cpu(b)-before).Microseconds())/float64(b.N), "cpu-us/op")
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "req/s")
}

func BenchmarkPAP(b *testing.B) {
	drive(b, radtest.Exchange{Code: radius.CodeAccessRequest, MA: true, Fill: pap(secret)}, false)
}

func BenchmarkCHAP(b *testing.B) {
	drive(b, radtest.Exchange{Code: radius.CodeAccessRequest, MA: true, Fill: func(b *attr.Builder, a [16]byte) {
		b.String(attr.UserName, "flopsy")
		b.CHAP(1, []byte("arctangent"), nil, a)
	}}, false)
}

func BenchmarkAccounting(b *testing.B) {
	drive(b, radtest.Exchange{Code: radius.CodeAccountingRequest, Fill: func(b *attr.Builder, a [16]byte) {
		acct(attr.AcctInterim)(b, a)
		b.Bytes(attr.Class, a[:]) // each request is another one
		b.Octets64(attr.AcctInputOctets, attr.AcctInputGigawords, 5<<32, true)
	}}, true)
}

func BenchmarkVerifyMessageAuthenticator(b *testing.B) {
	p, err := radius.Parse(request(b, radius.CodeAccessRequest, 1, secret, true, pap(secret)))
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if err := p.VerifyMessageAuthenticator(secret, p.Authenticator()); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkAppendResponse(b *testing.B) {
	p, err := radius.Parse(request(b, radius.CodeAccessRequest, 1, secret, true, pap(secret)))
	if err != nil {
		b.Fatal(err)
	}
	buf := make([]byte, 0, 256)
	b.ReportAllocs()
	for b.Loop() {
		if buf, err = radius.AppendResponse(buf[:0], p, radius.CodeAccessAccept, nil, secret, true); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkDecodeAccounting(b *testing.B) {
	p, err := radius.Parse(request(b, radius.CodeAccountingRequest, 1, secret, false, acct(attr.AcctInterim)))
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := p.Attributes().Accounting(); err != nil {
			b.Fatal(err)
		}
	}
}
