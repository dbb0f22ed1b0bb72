package command

import (
	"bytes"
	"errors"
	"flag"
	"os"
	"reflect"
	"testing"

	"meridian/internal/canon"
	"meridian/internal/feed"
)

func samples() []Command {
	m := Meta{At: 1_700_000_000_000_000, Node: "north-1"}
	return []Command{
		&Accounting{Meta: m, NAS: "n", SessionID: "s", Login: "u", Status: Interim, Event: 5, Seconds: -1, In: 1 << 40, Out: 2, Giga: true, FramedIP: "10.0.0.1", CallingStation: "aa", NASPort: "1", Cause: 10},
		&Reserve{Meta: m, NAS: "n", Key: "k", SessionID: "s", Login: "u", CallingStation: "aa", NASPort: "1"},
		&Feed{Meta: m, Rows: []feed.Row{{Number: 1, Kind: feed.KindLease, ID: "b", Version: 2, Body: []byte("{}")}}},
		&Tick{Meta: m, Clocks: []int64{1, 2, 3}},
		&Configure{Meta: m, Region: "north", Policy: DefaultPolicy()},
		&OpenEpoch{Meta: m, Epoch: 1, Previous: [32]byte{1}},
		&Acked{Meta: m, Epoch: 1, Seq: 9, Hash: [32]byte{2}},
		&SetMode{Meta: m, Mode: Connected},
		&EffectsDone{Meta: m, Done: []EffectResult{{ID: 4, Outcome: EffectNoSession}}},
		&CutAll{Meta: m, Limit: 10},
		&Audit{Meta: m},
		&SetLevel{Meta: m, Level: 2},
		&SetPolicy{Meta: m, Policy: DefaultPolicy()},
		&Fence{Meta: m, Epoch: 1, LastSeq: 9},
		&Accounting{Meta: m, NAS: "n", SessionID: "s", Login: "u", Status: Start, Event: 5, Called: "+491701234567"},
		&Reserve{Meta: m, NAS: "n", Key: "k", SessionID: "s", Login: "u", Called: "112"},
		&Feed{Meta: m, Rows: []feed.Row{
			{Number: 7, Skipped: 4, Kind: feed.KindLease, ID: "b", Version: 2, Body: []byte("{}")},
			{Number: 8, Kind: feed.KindLease, ID: "c", Version: 1, Body: []byte("{}")},
		}},
		&Event{Meta: m, ID: "e", Subscription: "s", Usage: "sms", Quantity: 2, Event: 5, Destination: "+49"},
		&SetPolicy{Meta: m, Policy: DefaultPolicy(), Before: &Policy{CutAge: 7}},
	}
}

func TestBatchRoundTrip(t *testing.T) {
	var encoded [][]byte
	for _, c := range samples() {
		encoded = append(encoded, Encode(c))
	}
	got, err := DecodeBatch(EncodeBatch(encoded))
	if err != nil || !reflect.DeepEqual(got, samples()) {
		t.Fatalf("%v: got %+v", err, got)
	}
	if len(samples()) != int(kindSetPolicyOver) {
		t.Fatalf("%d samples for %d kinds: add one for the new kind", len(samples()), kindSetPolicyOver)
	}
}

var rewrite = flag.Bool("rewrite", false, "rewrite golden files")

// firstKinds is how many kinds there were when batch-1.golden was made.
const firstKinds = int(kindAudit)

// Log entries of the first version must be read for ever.
func TestBatchGolden(t *testing.T) {
	var encoded [][]byte
	for _, c := range samples()[:firstKinds] {
		encoded = append(encoded, Encode(c))
	}
	const path = "testdata/batch-1.golden"
	if *rewrite {
		if err := os.WriteFile(path, EncodeBatch(encoded), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	got, err := DecodeBatch(want)
	if err != nil || !reflect.DeepEqual(got, samples()[:firstKinds]) {
		t.Errorf("version 1 is read as %+v, %v", got, err)
	}
	if !bytes.Equal(EncodeBatch(encoded), want) {
		t.Error("the encoding changed: give the changed command a new kind, and keep reading the old one")
	}
}

func TestDecodeRefuses(t *testing.T) {
	if _, err := Decode([]byte{99}); !errors.Is(err, ErrUnknown) {
		t.Errorf("unknown kind: %v", err)
	}
	for _, c := range samples() {
		b := Encode(c)
		for i := range b {
			if _, err := Decode(b[:i]); !errors.Is(err, canon.ErrCorrupt) {
				t.Fatalf("%T cut at %d: %v", c, i, err)
			}
		}
		if _, err := Decode(append(b, 0)); !errors.Is(err, canon.ErrCorrupt) {
			t.Errorf("%T with an octet more: %v", c, err)
		}
	}
}

func TestResultRoundTrip(t *testing.T) {
	want := Result{Code: Refused, Reason: ReasonBarred, LimitUnits: -3, Seconds: true}
	if got, err := DecodeResult(want.Encode()); err != nil || got != want {
		t.Fatalf("%+v, %v", got, err)
	}
}

func FuzzDecode(f *testing.F) {
	for _, c := range samples() {
		f.Add(Encode(c))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		c, err := Decode(b)
		if err == nil && !bytes.Equal(Encode(c), b) {
			t.Fatalf("%T has two encodings: %x", c, b)
		}
	})
}

func BenchmarkAccountingCodec(b *testing.B) {
	c := samples()[0]
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Decode(Encode(c)); err != nil {
			b.Fatal(err)
		}
	}
}
