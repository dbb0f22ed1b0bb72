package radius_test

import (
	"bytes"
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"meridian/radius"
	"meridian/radius/attr"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestInFlightLimit(t *testing.T) {
	cfg := testConfig()
	cfg.MaxInFlight = 10
	var mu sync.Mutex
	var held []*radius.Responder
	s := serve(t, cfg, table(t, client()), radius.HandlerFunc(func(_ *radius.Request, w *radius.Responder) {
		mu.Lock()
		defer mu.Unlock()
		held = append(held, w)
	}))
	p := dial(t, s.AcctAddr())
	// The last tenth of the places is not for interims.
	for i := range 12 {
		p.send(request(t, radius.CodeAccountingRequest, byte(i), secret, false, acct(attr.AcctInterim)))
	}
	until(t, "interims shed", func() bool { return drops(s, true, radius.DropShedInterim) == 3 })
	for i := range 4 {
		p.send(request(t, radius.CodeAccountingRequest, byte(100+i), secret, false, acct(attr.AcctStop)))
	}
	until(t, "stops shed", func() bool { return drops(s, true, radius.DropShedAcct) == 3 })
	if n := s.Stats().InFlight; n != 10 {
		t.Errorf("%d in flight, want 10", n)
	}
	mu.Lock()
	for _, w := range held {
		_ = w.Reply(radius.CodeAccountingResponse, nil)
	}
	mu.Unlock()
	for range 10 {
		p.receive()
	}
	if n := s.Stats().InFlight; n != 0 {
		t.Errorf("%d in flight after the answers", n)
	}
}

func TestStaleInQueue(t *testing.T) {
	cfg := testConfig()
	cfg.Workers, cfg.QueueMaxAge = 1, 20*time.Millisecond
	block, entered := make(chan struct{}), make(chan struct{}, 16)
	s := serve(t, cfg, table(t, client()), radius.HandlerFunc(func(req *radius.Request, w *radius.Responder) {
		entered <- struct{}{}
		<-block
		login(req, w)
	}))
	p := dial(t, s.AcctAddr())
	p.send(request(t, radius.CodeAccountingRequest, 1, secret, false, acct(attr.AcctStart)))
	<-entered
	p.send(request(t, radius.CodeAccountingRequest, 2, secret, false, acct(attr.AcctStart)))
	until(t, "the second one read", func() bool { return s.Stats().Acct.Received == 2 })
	begun := time.Now()
	until(t, "the second one too old", func() bool { return time.Since(begun) > 2*cfg.QueueMaxAge })
	close(block)
	until(t, "drop", func() bool { return drops(s, true, radius.DropStale) == 1 })
}

func TestLifecycle(t *testing.T) {
	s, err := radius.New(testConfig(), table(t, client()), radius.HandlerFunc(login), quiet())
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	if err := s.Start(ctx); err != nil {
		t.Fatal(err)
	}
	if err := s.Start(ctx); !errors.Is(err, radius.ErrStarted) {
		t.Errorf("second Start: %v", err)
	}
	taken := testConfig()
	taken.AuthAddr = s.AuthAddr()
	second, err := radius.New(taken, table(t, client()), radius.HandlerFunc(login), quiet())
	if err != nil {
		t.Fatal(err)
	}
	if err := second.Start(ctx); err == nil {
		t.Error("an address in use was taken twice")
	}
	cancel()
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	if err := s.Start(context.Background()); !errors.Is(err, radius.ErrClosed) {
		t.Errorf("Start after Close: %v", err)
	}
}

func TestCloseWaitsForAnswersAndSendsThem(t *testing.T) {
	cfg := testConfig()
	cfg.DrainTimeout = 5 * time.Second
	held := make(chan *radius.Responder, 2)
	s, err := radius.New(cfg, table(t, client()), radius.HandlerFunc(func(_ *radius.Request, w *radius.Responder) { held <- w }), quiet())
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Start(context.Background()); err != nil {
		t.Fatal(err)
	}
	p := dial(t, s.AcctAddr())
	p.send(request(t, radius.CodeAccountingRequest, 1, secret, false, acct(attr.AcctStop)))
	w := <-held
	closed := make(chan error, 1)
	go func() { closed <- s.Close() }()
	if err := w.Reply(radius.CodeAccountingResponse, nil); err != nil {
		t.Error(err)
	}
	p.receive()
	if err := <-closed; err != nil {
		t.Error(err)
	}
}

func TestReplyAfterClose(t *testing.T) {
	cfg := testConfig()
	cfg.DrainTimeout = 0
	held := make(chan *radius.Responder, 1)
	s, err := radius.New(cfg, table(t, client()), radius.HandlerFunc(func(_ *radius.Request, w *radius.Responder) { held <- w }), quiet())
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Start(context.Background()); err != nil {
		t.Fatal(err)
	}
	p := dial(t, s.AcctAddr())
	p.send(request(t, radius.CodeAccountingRequest, 1, secret, false, acct(attr.AcctStop)))
	w := <-held
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	if err := w.Reply(radius.CodeAccountingResponse, nil); !errors.Is(err, radius.ErrClosed) {
		t.Errorf("got %v, want ErrClosed", err)
	}
}

// A server that is to end by a time waits for no handler after it, however long its
// own limit is.
func TestStopByEndsTheWait(t *testing.T) {
	cfg := testConfig()
	cfg.DrainTimeout = time.Minute
	held := make(chan *radius.Responder, 1)
	s, err := radius.New(cfg, table(t, client()), radius.HandlerFunc(func(_ *radius.Request, w *radius.Responder) { held <- w }), quiet())
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Start(context.Background()); err != nil {
		t.Fatal(err)
	}
	p := dial(t, s.AcctAddr())
	p.send(request(t, radius.CodeAccountingRequest, 1, secret, false, acct(attr.AcctStop)))
	w := <-held
	s.StopBy(time.Now())
	closed := make(chan error, 1)
	go func() { closed <- s.Close() }()
	select {
	case err := <-closed:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(cfg.DrainTimeout / 2):
		t.Error("it waits for its own limit")
	}
	if err := w.Reply(radius.CodeAccountingResponse, nil); !errors.Is(err, radius.ErrClosed) {
		t.Errorf("got %v, want ErrClosed", err)
	}
}

func TestValidateReportsEverything(t *testing.T) {
	err := radius.Config{}.Validate()
	if err == nil {
		t.Fatal("the empty configuration passed")
	}
	for _, field := range []string{"AuthAddr", "ReadBuffer", "Workers", "Queue", "QueueMaxAge", "MaxInFlight", "ReplyTTL", "ReplyCacheMax", "ReplyCacheOctets", "MaxAttributes", "MaxClients"} {
		if !bytes.Contains([]byte(err.Error()), []byte(field)) {
			t.Errorf("%s is missing in: %v", field, err)
		}
	}
	if err := radius.DefaultConfig().Validate(); err != nil {
		t.Error(err)
	}
	if _, err := radius.New(radius.DefaultConfig(), nil, nil, nil); err == nil {
		t.Error("nil dependencies passed")
	}
}
