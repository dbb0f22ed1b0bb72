package plant

import (
	"errors"
	"io"
	"net"
	"os"
	"testing"
	"time"
)

// echo answers every connection with what it gets, until the test ends.
func echo(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				_, _ = io.Copy(c, c)
			}()
		}
	}()
	return l.Addr().String()
}

func newRelay(t *testing.T, target string) *Relay {
	t.Helper()
	r, err := NewRelay(t.Context(), "127.0.0.1:0", target)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := r.Close(); err != nil {
			t.Error(err)
		}
	})
	return r
}

func dial(t *testing.T, r *Relay) net.Conn {
	t.Helper()
	c, err := net.Dial("tcp", r.listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

func say(t *testing.T, c net.Conn, text string) {
	t.Helper()
	if _, err := c.Write([]byte(text)); err != nil {
		t.Fatal(err)
	}
}

func hear(t *testing.T, c net.Conn, want string, within time.Duration) error {
	t.Helper()
	if err := c.SetReadDeadline(time.Now().Add(within)); err != nil {
		t.Fatal(err)
	}
	got := make([]byte, len(want))
	_, err := io.ReadFull(c, got)
	if err == nil && string(got) != want {
		t.Fatalf("heard %q, want %q", got, want)
	}
	return err
}

func TestRelayIsABlackHoleWhileCut(t *testing.T) {
	r := newRelay(t, echo(t))
	old := dial(t, r)
	say(t, old, "before")
	if err := hear(t, old, "before", 5*time.Second); err != nil {
		t.Fatal(err)
	}
	r.Cut()
	r.Cut() // once is enough
	say(t, old, "during")
	fresh := dial(t, r)
	say(t, fresh, "fresh")
	for name, c := range map[string]net.Conn{"old": old, "fresh": fresh} {
		// Silence, and neither an end nor a reset.
		if err := hear(t, c, "x", 100*time.Millisecond); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("%s connection while cut: %v, want silence", name, err)
		}
	}
	r.Restore()
	r.Restore()
	if err := hear(t, old, "during", 5*time.Second); err != nil {
		t.Errorf("old connection afterwards: %v", err)
	}
	if err := hear(t, fresh, "fresh", 5*time.Second); err != nil {
		t.Errorf("fresh connection afterwards: %v", err)
	}
	if n := r.Copied.Load(); n < uint64(2*len("beforeduringfresh")) {
		t.Errorf("%d octets were counted", n)
	}
}

func TestRelayPassesTheEndOn(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	r := newRelay(t, l.Addr().String())
	down := dial(t, r)
	up, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	r.Cut()
	up.Close()
	if err := hear(t, down, "x", 100*time.Millisecond); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("while cut the end must not show: %v", err)
	}
	r.Restore()
	if err := hear(t, down, "x", 5*time.Second); !errors.Is(err, io.EOF) {
		t.Errorf("the end of the other side: %v, want EOF", err)
	}
}
