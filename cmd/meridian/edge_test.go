package main

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"

	"meridian/cmd/meridian/exitcode"
	"meridian/edge"
)

// scripted is a node that tells when it serves.
type scripted struct {
	serves chan struct{}
	start  error
	closed int
}

func (s *scripted) Start(context.Context) error {
	close(s.serves)
	return s.start
}

func (s *scripted) Close() error {
	s.closed++
	return nil
}

// A node whose large state is still being read ends when it is asked to, not when
// it has read all.
func TestAskedToStopWhileTheNodeOpens(t *testing.T) {
	ctx, stop := context.WithCancel(t.Context())
	forever := make(chan struct{})
	defer close(forever)
	var log bytes.Buffer
	cfg := edge.DefaultConfig()
	cfg.Logger = slog.New(slog.NewTextHandler(&log, nil))
	err := serveNode(ctx, cfg, func() (runner, error) {
		stop() // the signal comes while the state is read
		<-forever
		return nil, errors.New("never")
	})
	if err != nil || exitcode.Of(err) != exitcode.Done || !strings.Contains(log.String(), "asked to stop while") {
		t.Errorf("%v, log: %s", err, &log)
	}
}

func TestNodeIsClosedWhenAskedAndWhenItsStartFails(t *testing.T) {
	cfg := edge.DefaultConfig()
	ctx, stop := context.WithCancel(t.Context())
	n := &scripted{serves: make(chan struct{})}
	go func() {
		<-n.serves
		stop()
	}()
	if err := serveNode(ctx, cfg, func() (runner, error) { return n, nil }); err != nil || n.closed != 1 {
		t.Errorf("asked to stop: %v, closed %d times", err, n.closed)
	}
	fails := &scripted{serves: make(chan struct{}), start: errors.New("taken")}
	if err := serveNode(t.Context(), cfg, func() (runner, error) { return fails, nil }); exitcode.Of(err) != exitcode.Unreachable || fails.closed != 1 {
		t.Errorf("start fails: %v, closed %d times", err, fails.closed)
	}
	if err := serveNode(t.Context(), cfg, func() (runner, error) { return nil, errors.New("locked") }); exitcode.Of(err) != exitcode.Unreachable {
		t.Errorf("open fails: %v", err)
	}
}
