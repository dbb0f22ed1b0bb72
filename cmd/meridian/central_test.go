package main

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"

	"meridian/central/store"
)

// A centre that was told to stop while it started has not failed; one that could not
// start says what to look at.
func TestCentreToldToStopWhileItStarts(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	failure := errors.Join(store.ErrUnavailable, context.Canceled)
	if err := notStarted(ctx, slog.New(slog.DiscardHandler), failure); err == nil || !strings.Contains(err.Error(), "store_url") {
		t.Errorf("not told to stop: %v", err)
	}
	cancel()
	if err := notStarted(ctx, slog.New(slog.DiscardHandler), failure); err != nil {
		t.Errorf("told to stop: %v", err)
	}
}
