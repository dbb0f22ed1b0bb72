package plant

import (
	"errors"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

func launched(t *testing.T, script string) *Process {
	t.Helper()
	p, err := launch("/bin/sh", "test", filepath.Join(t.TempDir(), "log"), "-c", script)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := p.Kill(); err != nil {
			t.Error(err)
		}
	})
	return p
}

func TestStopAndKill(t *testing.T) {
	p := launched(t, "trap 'exit 0' TERM; echo ready; while :; do sleep 0.01; done")
	for deadline := time.Now().Add(10 * time.Second); tail(p.log, 1) != "ready"; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("the process did not begin")
		}
	}
	if p.Exited() || p.failed() {
		t.Error("a running process is said to have ended")
	}
	if err := p.Stop(10 * time.Second); err != nil || !p.Exited() {
		t.Errorf("stop: %v", err)
	}
	if err := p.Stop(time.Second); err != nil {
		t.Errorf("stop once more: %v", err)
	}

	deaf := launched(t, "trap '' TERM; echo ready; while :; do sleep 0.01; done")
	for deadline := time.Now().Add(10 * time.Second); tail(deaf.log, 1) != "ready"; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("the process did not begin")
		}
	}
	if err := deaf.Stop(50 * time.Millisecond); err == nil || !strings.Contains(err.Error(), "killed") || !deaf.Exited() {
		t.Errorf("a process that does not end: %v", err)
	}
	if deaf.failed() {
		t.Error("a process that was killed is said to have failed by itself")
	}
}

func TestEndingShowsTheLog(t *testing.T) {
	p := launched(t, "echo first; echo 'the reason' >&2; exit 7")
	<-p.Done()
	err := p.ending()
	if !p.failed() || !strings.Contains(err.Error(), "exit status 7") || !strings.Contains(err.Error(), "the reason") {
		t.Errorf("%v: want status and log", err)
	}
	if err := p.signal(syscall.SIGTERM); err != nil {
		t.Errorf("a signal to a process that has ended: %v", err)
	}
	if err := p.Stop(time.Second); err != nil {
		t.Errorf("what was told is told again: %v", err)
	}
	silent := launched(t, "exit 7")
	<-silent.Done()
	if err := silent.Stop(time.Second); err == nil || errors.Is(err, syscall.ESRCH) {
		t.Errorf("stopping a process that failed says so: %v", err)
	}
}

func TestLaunchSaysWhatIsMissing(t *testing.T) {
	if _, err := launch("/does/not/exist", "centre", filepath.Join(t.TempDir(), "log")); err == nil || !strings.Contains(err.Error(), "centre") {
		t.Errorf("%v", err)
	}
}
