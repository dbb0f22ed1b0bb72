package verify_test

import (
	"bytes"
	"errors"
	"reflect"
	"strings"
	"testing"

	"meridian/internal/verify"
)

func sampleRecords() []verify.WitnessRecord {
	start := &verify.WitnessAcct{NAS: "nas-1", ID: "0001", Start: 1000, Status: verify.StatusStart, Event: 1000}
	interim := &verify.WitnessAcct{NAS: "nas-1", ID: "0001", Start: 1000, Status: verify.StatusInterim, Event: 1060, Seconds: 60, In: 10, Out: 1 << 40}
	acked := *interim
	acked.Start, acked.N = 1029, 2 // a clock 29 s off is the same session
	stop := &verify.WitnessAcct{NAS: "nas-1", ID: "0001", Start: 1031, Status: verify.StatusStop, Event: 1131, Seconds: -1, In: 3}
	return []verify.WitnessRecord{
		{Auth: &verify.WitnessAuth{Login: "before \"any\" phase", Result: verify.AuthReject}},
		{Phase: "online"},
		{Auth: &verify.WitnessAuth{Login: "user000001", Result: verify.AuthAccept}},
		{Sent: start}, {Acked: start}, {Sent: interim}, {Acked: &acked},
		{Phase: "link_cut"},
		{Auth: &verify.WitnessAuth{Login: "user000002", Result: verify.AuthTimeout}},
		{Sent: stop}, {Timeout: stop},
		{Acked: &verify.WitnessAcct{NAS: "nas-1", Status: verify.StatusOn, Event: 1200}},
		{Phase: "online"},
		{Auth: &verify.WitnessAuth{Login: "user000001", Result: verify.AuthAccept}},
	}
}

func encodeWitness() []byte {
	var b []byte
	for _, r := range sampleRecords() {
		b = verify.AppendRecord(b, r)
	}
	return b
}

func TestWitnessGolden(t *testing.T) { golden(t, "witness.jsonl", encodeWitness()) }

func TestWitnessIsFolded(t *testing.T) {
	w, err := verify.ReadWitness(bytes.NewReader(encodeWitness()))
	if err != nil {
		t.Fatal(err)
	}
	if len(w.Sessions) != 2 || w.Torn || w.Lines != 14 {
		t.Fatalf("%d sessions, torn %v, %d lines", len(w.Sessions), w.Torn, w.Lines)
	}
	counters := verify.Counters{In: 10, Out: 1 << 40, Seconds: 60}
	if s := w.Sessions[0]; s.Sent != counters || s.Acked != counters || s.Acks != 3 || s.Stopped || s.LastAcked != 1060 {
		t.Errorf("first session %+v", s)
	}
	// 31 s from the first start: another session, whose length the region counts itself.
	if s := w.Sessions[1]; s.Sent != (verify.Counters{In: 3, Seconds: 100}) || s.Acks != 0 {
		t.Errorf("second session %+v", s)
	}
	for name, want := range map[string]verify.WitnessPhase{
		"":         {Rejects: 1},
		"online":   {Name: "online", Accepts: 2, Acked: 3, AckedSinceTimeout: 3},
		"link_cut": {Name: "link_cut", AuthTimeouts: 1, AcctTimeouts: 1, Acked: 1, AckedSinceTimeout: 1},
	} {
		if got := w.Phase(name); got == nil || *got != want {
			t.Errorf("phase %q is %+v, want %+v", name, got, want)
		}
	}
	if w.Phase("drained") != nil {
		t.Error("a phase that is not there was found")
	}
}

func TestTornWitness(t *testing.T) {
	whole := encodeWitness()
	lines := bytes.SplitAfter(whole, []byte("\n"))
	for cut := range whole {
		w, err := verify.ReadWitness(bytes.NewReader(whole[:cut]))
		if err != nil {
			t.Fatalf("cut at %d: %v", cut, err)
		}
		want, torn := int64(0), cut > 0 && whole[cut-1] != '\n'
		for n, l := 0, 0; l < len(lines) && n+len(lines[l]) <= cut; l++ {
			n += len(lines[l])
			if len(lines[l]) > 0 {
				want++
			}
		}
		if w.Lines != want || w.Torn != torn {
			t.Fatalf("cut at %d: %d lines, torn %v; want %d, %v", cut, w.Lines, w.Torn, want, torn)
		}
	}
}

func TestFaultyWitnessNamesTheLine(t *testing.T) {
	for name, line := range map[string]string{
		"not JSON":        `{"phase":`,
		"two objects":     `{"phase":"a"}{"phase":"b"}`,
		"nothing set":     `{}`,
		"two things set":  `{"phase":"a","auth":{"login":"x","result":"accept"}}`,
		"unknown field":   `{"phase":"a","mood":"good"}`,
		"unknown status":  `{"sent":{"nas":"n","id":"i","status":"begin"}}`,
		"no NAS":          `{"sent":{"id":"i","status":"start"}}`,
		"unknown result":  `{"auth":{"login":"x","result":"maybe"}}`,
		"negative octets": `{"sent":{"nas":"n","id":"i","status":"stop","in":-1}}`,
		"a fraction":      `{"sent":{"nas":"n","id":"i","status":"stop","seconds":1.5}}`,
		"too long":        `{"phase":"` + strings.Repeat("x", 70_000) + `"}`,
	} {
		_, err := verify.ReadWitness(strings.NewReader("{\"phase\":\"online\"}\n\n" + line + "\n{\"phase\":\"z\"}\n"))
		if !errors.Is(err, verify.ErrWitness) || !strings.Contains(err.Error(), "line 3") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

type brokenReader struct{}

func (brokenReader) Read([]byte) (int, error) { return 0, errors.New("disk error") }

func TestUnreadableWitness(t *testing.T) {
	if _, err := verify.ReadWitness(brokenReader{}); err == nil || errors.Is(err, verify.ErrWitness) {
		t.Fatalf("got %v", err)
	}
}

// A witness that is read has one meaning: folding what its own lines encode again
// gives the same.
func FuzzReadWitness(f *testing.F) {
	f.Add(encodeWitness())
	f.Add([]byte(`{"phase":"online"}`))
	f.Add([]byte("{\"sent\":{\"nas\":\"\\u0000\",\"status\":\"on\"}}\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		w, err := verify.ReadWitness(bytes.NewReader(b))
		if err != nil {
			if !errors.Is(err, verify.ErrWitness) {
				t.Fatal(err)
			}
			return
		}
		again, err := verify.ReadWitness(bytes.NewReader(append(b[:bytes.LastIndexByte(b, '\n')+1:bytes.LastIndexByte(b, '\n')+1], "\n\n"...)))
		if err != nil || again.Lines != w.Lines || !reflect.DeepEqual(again.Sessions, w.Sessions) || !reflect.DeepEqual(again.Phases, w.Phases) {
			t.Fatalf("%v\n got %+v\nwant %+v", err, again, w)
		}
		for _, s := range w.Sessions {
			if s.Acked.In > s.Sent.In || s.Acked.Out > s.Sent.Out || s.Acked.Seconds > s.Sent.Seconds {
				t.Fatalf("more acknowledged than sent: %+v", s)
			}
		}
	})
}
