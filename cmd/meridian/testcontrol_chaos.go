//go:build chaos

package main

import (
	"bufio"
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"meridian/edge"
	"meridian/replication/disk"
)

// testControlSocket names the unix socket on which a node of the chaos build
// takes faults.
const testControlSocket = "CHAOS_CONTROL_SOCKET"

// testFaults are the faults that are on.
type testFaults struct {
	offset atomic.Int64 // of the clock, nanoseconds

	mu   sync.Mutex
	disk string        // ok, fail or hang
	over chan struct{} // closed when the disk's fault changes
}

// testControl lets a test put this node's clock wrong and make its disk fail or
// hang. The product is built without it.
func testControl(cfg *edge.Config) error {
	path := os.Getenv(testControlSocket)
	if path == "" {
		return nil
	}
	if err := os.Remove(path); err != nil && !os.IsNotExist(err) {
		return err
	}
	l, err := net.Listen("unix", path)
	if err != nil {
		return fmt.Errorf("%s: %w", testControlSocket, err)
	}
	f := &testFaults{disk: "ok", over: make(chan struct{})}
	cfg.ClockOffset = func() time.Duration { return time.Duration(f.offset.Load()) }
	cfg.Disk.Hook = f.hook
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go f.serve(c)
		}
	}()
	return nil
}

// serve obeys one line at a time: "clock DURATION", "disk ok|fail|hang".
func (f *testFaults) serve(c net.Conn) {
	defer c.Close()
	for s := bufio.NewScanner(c); s.Scan(); {
		if _, err := fmt.Fprintln(c, f.obey(s.Text())); err != nil {
			return
		}
	}
}

func (f *testFaults) obey(line string) string {
	what, value, _ := strings.Cut(line, " ")
	switch {
	case what == "clock":
		d, err := time.ParseDuration(value)
		if err != nil {
			return "clock: " + strconv.Quote(value) + ": give a duration"
		}
		f.offset.Store(int64(d))
	case what == "disk" && (value == "ok" || value == "fail" || value == "hang"):
		f.mu.Lock()
		f.disk = value
		close(f.over)
		f.over = make(chan struct{})
		f.mu.Unlock()
	default:
		return strconv.Quote(line) + ": say clock DURATION or disk ok|fail|hang"
	}
	return "ok"
}

// hook fails or holds up what must reach the disk; a write into the kernel's
// memory goes through, as with a disk that is broken.
func (f *testFaults) hook(op disk.Op, path string, do func() error) error {
	if op != disk.Sync && op != disk.Commit {
		return do()
	}
	for {
		f.mu.Lock()
		state, over := f.disk, f.over
		f.mu.Unlock()
		switch state {
		case "fail":
			return &os.PathError{Op: "fsync", Path: path, Err: syscall.EIO}
		case "hang":
			<-over
		default:
			return do()
		}
	}
}
