package radius_test

import (
	"bytes"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"meridian/radius"
	"meridian/radius/attr"
)

func TestDuplicates(t *testing.T) {
	release := make(chan struct{})
	var calls atomic.Int64
	var wait sync.WaitGroup
	s := serve(t, testConfig(), table(t, client()), radius.HandlerFunc(func(req *radius.Request, w *radius.Responder) {
		n := byte(calls.Add(1))
		wait.Go(func() {
			<-release
			_ = w.Reply(radius.CodeAccountingResponse, attr.List{byte(attr.Class), 3, n})
		})
	}))
	defer wait.Wait()
	p := dial(t, s.AcctAddr())
	packet := request(t, radius.CodeAccountingRequest, 7, secret, false, acct(attr.AcctStart))
	p.send(packet)
	p.send(packet)
	until(t, "the copy dropped while the first is handled", func() bool { return drops(s, true, radius.DropInProgress) == 1 })
	p.nothing()
	close(release)
	first := p.receive()
	p.send(packet)
	if again := p.receive(); !bytes.Equal(first, again) {
		t.Errorf("the cached reply differs\n%x\n%x", first, again)
	}
	if calls.Load() != 1 {
		t.Errorf("the handler was called %d times", calls.Load())
	}
	// The same identifier with another authenticator is another request.
	other := p.ask(request(t, radius.CodeAccountingRequest, 7, secret, false, acct(attr.AcctStop)))
	if v := other.Attributes().Bytes(attr.Class); calls.Load() != 2 || !bytes.Equal(v, []byte{2}) {
		t.Errorf("calls %d, reply of call %v", calls.Load(), v)
	}
	// The same request from another port is another request too.
	if v := dial(t, s.AcctAddr()).ask(packet).Attributes().Bytes(attr.Class); !bytes.Equal(v, []byte{3}) {
		t.Errorf("from another port: reply of call %v", v)
	}
	if st := s.Stats(); st.Acct.Resent != 1 || st.ReplyCache != 2 {
		t.Errorf("resent %d, cached %d", st.Acct.Resent, st.ReplyCache)
	}
}

func TestIdentifierReusedWhileInProgress(t *testing.T) {
	held := make(chan *radius.Responder, 2)
	s := serve(t, testConfig(), table(t, client()), radius.HandlerFunc(func(_ *radius.Request, w *radius.Responder) { held <- w }))
	p := dial(t, s.AcctAddr())
	p.send(request(t, radius.CodeAccountingRequest, 7, secret, false, acct(attr.AcctStart)))
	old := <-held
	stop := request(t, radius.CodeAccountingRequest, 7, secret, false, acct(attr.AcctStop))
	p.send(stop)
	young := <-held
	if err := old.Reply(radius.CodeAccountingResponse, nil); !errors.Is(err, radius.ErrReplaced) {
		t.Errorf("the old one's reply: %v", err)
	}
	if err := young.Reply(radius.CodeAccountingResponse, nil); err != nil {
		t.Error(err)
	}
	r, err := radius.Parse(p.receive())
	if err != nil || r.VerifyResponse(secret, [16]byte(stop[4:20])) != nil {
		t.Errorf("the reply is not to the new request: %v", err)
	}
	p.nothing()
	if n := drops(s, true, radius.DropReplaced); n != 1 {
		t.Errorf("replaced %d", n)
	}
}

func TestDroppedRequestIsNewAgain(t *testing.T) {
	var calls atomic.Int64
	s := serve(t, testConfig(), table(t, client()), radius.HandlerFunc(func(req *radius.Request, w *radius.Responder) {
		if calls.Add(1) == 1 {
			w.Drop(radius.DropUnavailable)
			w.Drop(radius.DropUnavailable)
			return
		}
		login(req, w)
	}))
	p := dial(t, s.AcctAddr())
	packet := request(t, radius.CodeAccountingRequest, 7, secret, false, acct(attr.AcctStart))
	p.send(packet)
	until(t, "drop", func() bool { return drops(s, true, radius.DropUnavailable) == 1 })
	if r := p.ask(packet); r.Code() != radius.CodeAccountingResponse {
		t.Errorf("got %v", r.Code())
	}
}

func TestReplyFaults(t *testing.T) {
	for _, c := range []struct {
		name  string
		code  radius.Code
		attrs attr.List
		want  error
	}{
		{"accept to accounting", radius.CodeAccessAccept, nil, radius.ErrReplyCode},
		{"malformed attributes", radius.CodeAccountingResponse, attr.List{1}, attr.ErrMalformed},
		{"own Proxy-State", radius.CodeAccountingResponse, attr.List{33, 2}, radius.ErrAttributesOwned},
	} {
		t.Run(c.name, func(t *testing.T) {
			faults := make(chan error, 2)
			s := serve(t, testConfig(), table(t, client()), radius.HandlerFunc(func(_ *radius.Request, w *radius.Responder) {
				faults <- w.Reply(c.code, c.attrs)
				faults <- w.Reply(radius.CodeAccountingResponse, nil)
			}))
			p := dial(t, s.AcctAddr())
			p.send(request(t, radius.CodeAccountingRequest, 7, secret, false, acct(attr.AcctStart)))
			if err := <-faults; !errors.Is(err, c.want) {
				t.Errorf("%v, want %v", err, c.want)
			}
			if err := <-faults; !errors.Is(err, radius.ErrAnswered) {
				t.Errorf("second call: %v", err)
			}
			p.nothing()
			if st := s.Stats(); st.Acct.Drops[radius.DropBadReply] != 1 || st.InFlight != 0 {
				t.Errorf("bad replies %d, in flight %d", st.Acct.Drops[radius.DropBadReply], st.InFlight)
			}
		})
	}
}

func TestReplyCacheExpiresAndIsBounded(t *testing.T) {
	cfg := testConfig()
	cfg.ReplyTTL, cfg.ReplyCacheMax = 100*time.Millisecond, 64
	s := serve(t, cfg, table(t, client()), radius.HandlerFunc(login))
	p := dial(t, s.AcctAddr())
	for i := range 250 {
		p.ask(request(t, radius.CodeAccountingRequest, byte(i), secret, false, acct(attr.AcctStart)))
		if n := s.Stats().ReplyCache; n > 64 {
			t.Fatalf("%d replies kept, at most 64", n)
		}
	}
	if s.Stats().ReplyCacheEvictions == 0 {
		t.Error("nothing was evicted")
	}
	until(t, "expiry without traffic", func() bool { return s.Stats().ReplyCache == 0 })
	packet := request(t, radius.CodeAccountingRequest, 249, secret, false, acct(attr.AcctStart))
	p.ask(packet)
	if st := s.Stats(); st.Acct.Requests != 251 || st.Acct.Resent != 0 {
		t.Errorf("after expiry a retransmission is new: requests %d, resent %d", st.Acct.Requests, st.Acct.Resent)
	}
}
