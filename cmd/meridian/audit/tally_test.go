package audit

import (
	"context"
	"testing"

	"meridian/internal/journal"
	"meridian/internal/verify"
)

// books is a centre with one region and nothing but entries.
type books struct {
	verify.CentreReader
	entries [][]byte
}

func (b *books) Regions(context.Context) ([]verify.Region, error) {
	return []verify.Region{{Name: "north", Epoch: 1}}, nil
}

func (b *books) Entries(_ context.Context, _ string, fn func(epoch, seq uint64, raw []byte, hash journal.Hash) error) error {
	for i, raw := range b.entries {
		if err := fn(1, uint64(i+1), raw, journal.Hash{}); err != nil {
			return err
		}
	}
	return nil
}

func entry(kind journal.Kind, id string, start int64, number uint32, in, out uint64) []byte {
	e := journal.Entry{
		Region: "north", Epoch: 1, Seq: 1, Kind: kind, Session: journal.SessionKey{NAS: "nas-1", ID: id, Start: start},
		Cut: number, Usage: &journal.UsageRecord{Number: number, CumulativeIn: in, CumulativeOut: out},
	}
	return e.Encode()
}

func TestTally(t *testing.T) {
	acked := func(w *verify.Witness, id string, in, out uint64) {
		a := verify.WitnessAcct{NAS: "nas-1", ID: id, Start: 1000, Status: verify.StatusInterim, Event: 1010, Seconds: 10, In: in, Out: out}
		w.Add(verify.WitnessRecord{Sent: &a})
		w.Add(verify.WitnessRecord{Acked: &a})
	}
	live := func(id string, in, out uint64) verify.EdgeSession {
		return verify.EdgeSession{Key: journal.SessionKey{NAS: "nas-1", ID: id, Start: 1000}, In: in, Out: out}
	}
	for _, c := range []struct {
		name        string
		stored      [][]byte
		waiting     [][]byte
		sessions    []verify.EdgeSession
		lost, twice int64
	}{
		{name: "in the ledger", stored: [][]byte{entry(journal.KindUsage, "a", 1000, 1, 5, 6)}},
		{name: "start computed a little later", stored: [][]byte{entry(journal.KindUsage, "a", 1030, 1, 5, 6)}},
		{name: "on its way", waiting: [][]byte{entry(journal.KindUsage, "a", 1000, 1, 5, 6)}},
		{name: "quarantined", stored: [][]byte{entry(journal.KindQuarantine, "a", 1000, 0, 5, 6)}},
		{name: "live", sessions: []verify.EdgeSession{live("a", 5, 6)}},
		{name: "partly live", stored: [][]byte{entry(journal.KindUsage, "a", 1000, 1, 1, 1)}, sessions: []verify.EdgeSession{live("a", 5, 6)}},
		{name: "at the centre and still at the edge", stored: [][]byte{entry(journal.KindUsage, "a", 1000, 1, 5, 6)}, waiting: [][]byte{entry(journal.KindUsage, "a", 1000, 1, 5, 6)}},
		{name: "nowhere", lost: 1},
		{name: "another session", stored: [][]byte{entry(journal.KindUsage, "b", 1000, 1, 5, 6)}, lost: 1},
		{name: "another start", stored: [][]byte{entry(journal.KindUsage, "a", 1031, 1, 5, 6)}, lost: 1},
		{name: "an octet short", stored: [][]byte{entry(journal.KindUsage, "a", 1000, 1, 5, 5)}, lost: 1},
		{name: "an octet too much", stored: [][]byte{entry(journal.KindUsage, "a", 1000, 1, 5, 7)}, twice: 1},
		{name: "record twice", stored: [][]byte{entry(journal.KindUsage, "a", 1000, 1, 5, 6), entry(journal.KindUsage, "a", 1000, 1, 5, 6)}, twice: 1},
	} {
		w := &verify.Witness{}
		acked(w, "a", 5, 6)
		r := verify.EdgeReport{Node: "north-1", Region: "north", Sessions: c.sessions}
		for i, raw := range c.waiting {
			r.Entries = append(r.Entries, verify.RawEntry{Seq: uint64(i + 1), Raw: raw})
		}
		got, err := count(t.Context(), &books{entries: c.stored}, []verify.EdgeReport{r}, w)
		want := Tally{Entries: int64(len(c.stored)), Sessions: 1, Lost: c.lost, ChargedTwice: c.twice}
		if err != nil || got != want {
			t.Errorf("%s: %+v, %v, want %+v", c.name, got, err, want)
		}
	}
}
