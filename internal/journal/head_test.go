package journal_test

import (
	"bytes"
	"encoding/hex"
	"errors"
	"strings"
	"testing"

	"meridian/internal/canon"
	"meridian/internal/journal"
)

func someHead() journal.Head {
	return journal.Head{Region: "north", Node: "north-2", Epoch: 1, Seq: 57, Hash: journal.Hash{1, 2}, Index: 900, At: 1_760_000_000_000_000,
		StateForm: 1, StatePart: 3, StateParts: 8, State: journal.Hash{9}}
}

// The canonical bytes are what nodes sign: they never change within a format.
func TestHeadBytesAreFixed(t *testing.T) {
	h := someHead()
	const want = "01056e6f727468076e6f7274682d3201390102000000000000000000000000000000000000000000000000000000000000" +
		"84078080f0ecbdada006010308" + "0900000000000000000000000000000000000000000000000000000000000000"
	if got := hex.EncodeToString(h.Encode()); got != want {
		t.Errorf("bytes are\n%s, want\n%s", got, want)
	}
	if m := h.Message(); !bytes.HasPrefix(m, []byte("meridian/signed-head/1\x00")) || !bytes.HasSuffix(m, h.Encode()) {
		t.Errorf("message is %q", m)
	}
	s := journal.SignedHead{Head: h, Certificate: []byte{1}, Signature: []byte{2}}
	back, err := journal.DecodeSignedHead(s.Encode())
	if err != nil || back.Head != h || !bytes.Equal(back.Certificate, s.Certificate) || !bytes.Equal(back.Signature, s.Signature) {
		t.Errorf("%+v %v", back, err)
	}
}

func TestHeadsThatAreRefused(t *testing.T) {
	for name, change := range map[string]func(h *journal.Head){
		"no region": func(h *journal.Head) { h.Region = "" }, "long node": func(h *journal.Head) { h.Node = strings.Repeat("n", 64) },
		"no epoch": func(h *journal.Head) { h.Epoch = 0 }, "no entry": func(h *journal.Head) { h.Seq = 0 },
		"no index": func(h *journal.Head) { h.Index = 0 }, "part beyond": func(h *journal.Head) { h.StatePart = 8 },
		"huge seq": func(h *journal.Head) { h.Seq = 1 << 63 },
	} {
		h := someHead()
		change(&h)
		if _, err := journal.DecodeHead(h.Encode()); !errors.Is(err, journal.ErrHead) {
			t.Errorf("%s: %v", name, err)
		}
	}
	s := journal.SignedHead{Head: someHead(), Certificate: make([]byte, 5000), Signature: []byte{1}}
	if _, err := journal.DecodeSignedHead(s.Encode()); !errors.Is(err, journal.ErrHead) {
		t.Errorf("long certificate: %v", err)
	}
}

func TestWhichHeadsAgree(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(h *journal.Head)
		same   bool
	}{
		{"another node", func(h *journal.Head) { h.Node = "north-1" }, true},
		{"another hash", func(h *journal.Head) { h.Hash[0] ^= 1 }, false},
		{"another seq", func(h *journal.Head) { h.Seq++ }, false},
		{"another time", func(h *journal.Head) { h.At++ }, false},
		{"another state", func(h *journal.Head) { h.State[0] ^= 1 }, false},
		{"no state hash", func(h *journal.Head) { h.StateForm, h.StatePart, h.StateParts, h.State = 0, 0, 0, journal.Hash{} }, true},
		{"state of another software version", func(h *journal.Head) { h.StateForm, h.State = 2, journal.Hash{} }, true},
		{"another part", func(h *journal.Head) { h.StatePart = 2 }, false},
	} {
		a, b := someHead(), someHead()
		c.change(&b)
		if a.Same(&b) != c.same || b.Same(&a) != c.same {
			t.Errorf("%s: same is %v", c.name, !c.same)
		}
	}
}

// Whatever is decoded encodes to the same bytes: two spellings of one head would
// be two heads to a signature.
func FuzzSignedHead(f *testing.F) {
	s := journal.SignedHead{Head: someHead(), Certificate: []byte{1, 2}, Signature: []byte{3}}
	f.Add(s.Encode())
	f.Add([]byte{1})
	f.Fuzz(func(t *testing.T, b []byte) {
		got, err := journal.DecodeSignedHead(b)
		if err != nil {
			if !errors.Is(err, canon.ErrCorrupt) && !errors.Is(err, journal.ErrHead) {
				t.Fatalf("error of an unknown kind: %v", err)
			}
			return
		}
		if !bytes.Equal(got.Encode(), b) {
			t.Fatalf("%x decodes and encodes to %x", b, got.Encode())
		}
	})
}
