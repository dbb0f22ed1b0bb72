package journal

import (
	"bytes"
	"errors"
	"reflect"
	"testing"

	"meridian/internal/canon"
	"meridian/internal/rating"
)

func sampleEntry() Entry {
	return Entry{
		Region: "north", Epoch: 1, Seq: 7, At: 1_700_000_000_000_000, Kind: KindUsage, Account: "a", Subscription: "s",
		Session: SessionKey{NAS: "nas-1", ID: "0001", Start: 1_699_999_000}, Cut: 2,
		Usage: &UsageRecord{Number: 2, From: 1, To: 2, InOctets: 3, OutOctets: 4, Seconds: 1, CumulativeIn: 5, CumulativeOut: 6,
			Service: "internet", FramedIP: "10.0.0.1", Offering: "prepaid", OfferingVersion: 1, TariffHash: Hash{1},
			Before: rating.State{Quantity: 9, Charged: 2}, Slices: []rating.Slice{{Rule: "r", Quantity: 7, Amount: 3}}},
	}
}

func TestEntryRoundTrip(t *testing.T) {
	want := sampleEntry()
	got, err := DecodeEntry(want.Encode())
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Fatalf("%v\n got %+v\nwant %+v", err, got, want)
	}
}

// samplePartsEntry has every field of a record that is rated by parts.
func samplePartsEntry() Entry {
	e := sampleEntry()
	u := *e.Usage
	u.Before, u.Slices, u.CalledStation = rating.State{}, nil, "+491701234567"
	tally := rating.Tally{State: rating.State{Quantity: 1, Charged: 2}, Free: 3, Lost: 4, Covered: 5, Base: 6, FlatTo: 7, Events: 8,
		Whole: 9, Done: 10, Rem: 11, DoneRem: 12, TopUp: 13, Rule: 14, Started: true, HasUsage: true}
	u.Parts = []UsagePart{{
		Component: "data", Zone: "abroad", Start: 5, Period: 6, Before: tally,
		Draws: []Draw{{"north/1/5", 10, 5}}, Uses: []rating.Use{{Quantity: 7, From: 1, To: 2, New: true, Weight: 3}},
		Slices: []PaidSlice{{Rule: "daily", Kind: rating.KindCovered, Quantity: 7, Charged: 8, Bucket: "north/1/5"}, {Rule: "r", Amount: -3}},
	}, {Component: "time"}}
	e.Usage = &u
	return e
}

func TestEntryWithPartsRoundTrip(t *testing.T) {
	want := samplePartsEntry()
	b := want.Encode()
	got, err := DecodeEntry(b)
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Fatalf("%v\n got %+v\nwant %+v", err, got, want)
	}
	for i := range b {
		if _, err := DecodeEntry(b[:i]); !errors.Is(err, canon.ErrCorrupt) {
			t.Fatalf("cut at %d: got %v", i, err)
		}
	}
	plain := sampleEntryBytes()
	plain[0] = entryFormatParts
	if _, err := DecodeEntry(plain); !errors.Is(err, canon.ErrCorrupt) {
		t.Errorf("a record without parts in the format of those that have some: %v", err)
	}
	if got := sampleEntry().Usage.Components(); len(got) != 1 || got[0].Before.Quantity != 9 || got[0].Slices[0].Amount != 3 {
		t.Errorf("components: %+v", got)
	}
}

func TestEntryIsRefused(t *testing.T) {
	for name, change := range map[string]func(*Entry){
		"unknown kind":         func(e *Entry) { e.Kind = kindEnd },
		"no region":            func(e *Entry) { e.Region = "" },
		"seq 0":                func(e *Entry) { e.Seq = 0 },
		"negative amount":      func(e *Entry) { e.Amount = -1 },
		"charge of no bucket":  func(e *Entry) { e.Kind, e.Usage = KindCharge, nil },
		"usage without record": func(e *Entry) { e.Usage = nil },
		"record of other cut":  func(e *Entry) { e.Cut = 3 },
	} {
		e := sampleEntry()
		change(&e)
		if _, err := DecodeEntry(e.Encode()); !errors.Is(err, ErrEntry) {
			t.Errorf("%s: got %v", name, err)
		}
	}
	for i := range sampleEntryBytes() {
		if _, err := DecodeEntry(sampleEntryBytes()[:i]); !errors.Is(err, canon.ErrCorrupt) {
			t.Fatalf("cut at %d: got %v", i, err)
		}
	}
}

func sampleEntryBytes() []byte { e := sampleEntry(); return e.Encode() }

// The first version's bytes must stay what they are: they are hashed for ever.
func TestChainGolden(t *testing.T) {
	h := Chain(Chain(Hash{}, sampleEntryBytes()), []byte("next"))
	const want = "1856fbb3a888a64b0b93c807fc471f9f6fa916403661568a1163cb622ed0f6b9"
	if got := hexOf(h); got != want {
		t.Fatalf("chain changed: got %s", got)
	}
}

func hexOf(h Hash) string {
	const digits = "0123456789abcdef"
	var b bytes.Buffer
	for _, c := range h {
		b.WriteByte(digits[c>>4])
		b.WriteByte(digits[c&15])
	}
	return b.String()
}

func TestBalanced(t *testing.T) {
	ok := Transfer("payment/1", 0, "deposit", Cash, CustomerPrepaid+"a", "EUR", 5)
	if err := ok.Balanced(); err != nil {
		t.Fatal(err)
	}
	for name, p := range map[string][]Posting{
		"one side":         {{Cash, "EUR", 5}},
		"two units":        {{Cash, "EUR", 5}, {Cash, "USD", -5}},
		"overflow to zero": {{Cash, "EUR", 1 << 62}, {Cash, "EUR", 1 << 62}, {Cash, "EUR", -1 << 63}},
		"no account":       {{"", "EUR", 0}},
	} {
		j := Journal{Source: name, Postings: p}
		if err := j.Balanced(); !errors.Is(err, ErrUnbalanced) {
			t.Errorf("%s: got %v", name, err)
		}
	}
}

func FuzzDecodeEntry(f *testing.F) {
	f.Add(sampleEntryBytes())
	parts := samplePartsEntry()
	f.Add(parts.Encode())
	f.Fuzz(func(t *testing.T, b []byte) {
		e, err := DecodeEntry(b)
		if err != nil {
			return
		}
		if !bytes.Equal(e.Encode(), b) {
			t.Fatalf("an entry has two encodings: %x", b)
		}
	})
}
