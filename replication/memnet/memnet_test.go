package memnet

import (
	"errors"
	"io"
	"net"
	"os"
	"testing"
	"testing/synctest"
	"time"
)

func connect(t *testing.T, n *Network) (near *Conn, far net.Conn) {
	t.Helper()
	l, err := n.Listen("a")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	c, err := n.Dial(t.Context(), "a")
	if err != nil {
		t.Fatal(err)
	}
	far, err = l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	return c.(*Conn), far
}

func TestCutAfterExactlySoManyBytes(t *testing.T) {
	near, far := connect(t, New())
	near.CutAfter(5, -1)
	if n, err := near.Write([]byte("abc")); n != 3 || err != nil {
		t.Fatal(n, err)
	}
	if _, err := far.Write([]byte("on its way")); err != nil {
		t.Fatal(err)
	}
	if n, err := near.Write([]byte("defg")); n != 2 || !errors.Is(err, ErrReset) {
		t.Errorf("the write that is cut: %d, %v", n, err)
	}
	if got, err := io.ReadAll(far); string(got) != "abcde" || !errors.Is(err, ErrReset) {
		t.Errorf("received %q, %v", got, err)
	}
	if _, err := near.Read(make([]byte, 9)); !errors.Is(err, ErrReset) {
		t.Errorf("the way back: %v", err)
	}
	if sent, received := near.Passed(); sent != 5 || received != 10 {
		t.Errorf("passed %d and %d bytes", sent, received)
	}
}

func TestCloseEndsTheOtherSide(t *testing.T) {
	near, far := connect(t, New())
	if _, err := near.Write([]byte("last words")); err != nil {
		t.Fatal(err)
	}
	near.Close()
	if got, err := io.ReadAll(far); string(got) != "last words" || err != nil {
		t.Errorf("received %q, %v", got, err)
	}
	if _, err := far.Write([]byte("x")); !errors.Is(err, ErrReset) {
		t.Errorf("write to a closed side: %v", err)
	}
}

func TestFrozenIsOpenAndSilent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		near, far := connect(t, New())
		near.Freeze()
		if _, err := near.Write([]byte("heartbeat")); err != nil {
			t.Errorf("write: %v", err)
		}
		far.SetReadDeadline(time.Now().Add(time.Hour))
		if n, err := far.Read(make([]byte, 9)); n != 0 || !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("read %d, %v", n, err)
		}
		near.Cut()
		if _, err := far.Read(make([]byte, 9)); !errors.Is(err, ErrReset) {
			t.Errorf("after the cut: %v", err)
		}
	})
}

func TestNobodyListens(t *testing.T) {
	n := New()
	if _, err := n.Dial(t.Context(), "nowhere"); err == nil {
		t.Error("connected")
	}
	l, err := n.Listen("a")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := n.Listen("a"); err == nil {
		t.Error("an address was taken twice")
	}
	l.Close()
	if _, err := n.Dial(t.Context(), "a"); err == nil {
		t.Error("connected to a closed listener")
	}
}
