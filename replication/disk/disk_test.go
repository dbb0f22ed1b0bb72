package disk

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

func layer(t *testing.T, hook Hook) *Layer {
	t.Helper()
	c := DefaultConfig()
	c.Dir, c.Hook, c.StallAfter = t.TempDir(), hook, 10*time.Millisecond
	l, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func fine() error { return nil }

func TestFirstFailureIsFinalUntilReset(t *testing.T) {
	l := layer(t, nil)
	failing := l.Failing()
	err := l.Do(Sync, "log/1.wal", func() error { return &os.PathError{Op: "sync", Path: "log/1.wal", Err: syscall.ENOSPC} })
	var e *Error
	if !errors.As(err, &e) || e.Cause() != Full || e.Error() != "disk: sync log/1.wal: no space left on device" {
		t.Fatalf("%v", err)
	}
	<-failing
	ran := false
	again := l.Do(Write, "other", func() error { ran = true; return nil })
	if ran || again != err || l.Err() != err || l.State().Cause != Full {
		t.Errorf("after a failure: ran %t, %v, state %+v", ran, again, l.State())
	}
	if err := l.Try(Write, "snapshots/1", func() error { return syscall.EIO }); !errors.As(err, &e) || e.Cause() != Failed {
		t.Errorf("tolerated: %v", err)
	}
	l.Reset()
	if err := l.Do(Write, "other", fine); err != nil || l.Err() != nil || l.State().Cause != None {
		t.Errorf("after a reset: %v, %+v", err, l.State())
	}
	select {
	case <-l.Failing():
		t.Error("fails after a reset")
	default:
	}
	if got, want := l.Stats(), (Stats{FullErrors: 1, OtherErrors: 1, Tolerated: 1, Refused: 1, Reopened: 1}); got.FullErrors != want.FullErrors ||
		got.OtherErrors != want.OtherErrors || got.Tolerated != want.Tolerated || got.Refused != want.Refused || got.Reopened != want.Reopened || got.Syncs.Total() != 1 {
		t.Errorf("counted %+v, want %+v", got, want)
	}
}

func TestStallIsSeenWhileItLasts(t *testing.T) {
	release, ended := make(chan struct{}), make(chan error)
	l := layer(t, func(_ Op, _ string, do func() error) error { <-release; return do() })
	if l.Stalled() || l.Slow(time.Hour) {
		t.Error("stalled before it began")
	}
	go func() { ended <- l.Do(Sync, "f", fine) }()
	for !l.Stalled() {
		<-time.After(time.Millisecond)
	}
	if s := l.State(); s.Cause != Stalled || !errors.Is(s.Err, ErrStalled) || s.Cause.Remedy() == "" {
		t.Errorf("%+v", s)
	}
	close(release)
	if err := <-ended; err != nil || l.Stalled() || !l.Slow(time.Hour) || l.Stats().Stalls != 1 {
		t.Errorf("afterwards: %v, stalled %t, %+v", err, l.Stalled(), l.Stats())
	}
}

func TestSettleKeepsContentAndHoles(t *testing.T) {
	l := layer(t, nil)
	path := filepath.Join(l.cfg.Dir, "f")
	want := bytes.Repeat([]byte("0123456789abcdef"), 3<<16) // more than a piece
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	_, err = f.WriteAt(want, 0)
	_, err2 := f.WriteAt([]byte("end"), 64<<20)
	if err := errors.Join(err, err2, f.Close(), l.Settle(path)); err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile(path)
	if err != nil || len(got) != 64<<20+3 || !bytes.Equal(got[:len(want)], want) || string(got[64<<20:]) != "end" {
		t.Fatalf("%d octets: %v", len(got), err)
	}
	var st syscall.Stat_t
	if err := syscall.Stat(path, &st); err != nil || st.Blocks*512 > 16<<20 {
		t.Errorf("the hole was filled: %d octets, %v", st.Blocks*512, err)
	}
	if err := errors.Join(l.Settle(filepath.Join(l.cfg.Dir, "missing")), l.SyncDir(l.cfg.Dir)); err != nil {
		t.Error(err)
	}
}

func TestProbe(t *testing.T) {
	var fail error
	l := layer(t, func(_ Op, _ string, do func() error) error { return errors.Join(do(), fail) })
	if err := l.Probe(); err != nil {
		t.Fatal(err)
	}
	if left, err := os.ReadDir(l.cfg.Dir); err != nil || len(left) != 0 {
		t.Errorf("left behind: %v %v", left, err)
	}
	if fail = syscall.EIO; !errors.Is(l.Probe(), syscall.EIO) || l.Err() != nil {
		t.Error("a failing probe passes, or counts as a failure of a file")
	}
	fail, l.cfg.ReserveBytes = nil, 1<<62
	if err := l.Probe(); !errors.Is(err, ErrReserve) {
		t.Errorf("below the reserve: %v", err)
	}
}

func TestConfigReportsEveryFault(t *testing.T) {
	err := Config{LowBytes: 1, ReserveBytes: 2}.Validate()
	for _, want := range []string{"Dir", "StallAfter", "LowBytes"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s is not named in %v", want, err)
		}
	}
}
