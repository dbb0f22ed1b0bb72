package audit

import (
	"context"
	"fmt"

	"meridian/internal/journal"
	"meridian/internal/verify"
)

// Tally compares, session by session, what the client saw acknowledged with what
// is recorded. It is the short answer; the checks give the reasons.
type Tally struct {
	Entries      int64 // in the centre's ledger
	Sessions     int64 // of the witness, with an acknowledged report
	Lost         int64 // of them, not recorded up to what was acknowledged
	ChargedTwice int64 // recorded beyond what was ever sent, or a usage record twice
}

type heard struct{ in, out uint64 }

func (h *heard) raise(in, out uint64) { h.in, h.out = max(h.in, in), max(h.out, out) }

type sessionName struct{ nas, id string }

type tallier struct {
	Tally
	seen    map[sessionName]map[int64]*heard // by start
	records map[recordName]struct{}
}

type recordName struct {
	session journal.SessionKey
	number  uint32
}

func count(ctx context.Context, centre verify.CentreReader, reports []verify.EdgeReport, w *verify.Witness) (Tally, error) {
	t := &tallier{seen: map[sessionName]map[int64]*heard{}, records: map[recordName]struct{}{}}
	regions, err := centre.Regions(ctx)
	if err != nil {
		return t.Tally, err
	}
	for _, r := range regions {
		err := centre.Entries(ctx, r.Name, func(_, _ uint64, raw []byte, _ journal.Hash) error {
			t.Entries++
			return t.entry(raw, true)
		})
		if err != nil {
			return t.Tally, fmt.Errorf("ledger of region %s: %w", r.Name, err)
		}
	}
	for _, r := range reports {
		for i := range r.Entries {
			// The centre may have it by now; only a copy in one ledger is a fault.
			if err := t.entry(r.Entries[i].Raw, false); err != nil {
				return t.Tally, err
			}
		}
		for i := range r.Sessions {
			s := &r.Sessions[i]
			t.at(s.Key).raise(s.In, s.Out)
		}
	}
	if w != nil {
		t.compare(w)
	}
	return t.Tally, nil
}

func (t *tallier) at(k journal.SessionKey) *heard {
	name := sessionName{k.NAS, k.ID}
	if t.seen[name] == nil {
		t.seen[name] = map[int64]*heard{}
	}
	if t.seen[name][k.Start] == nil {
		t.seen[name][k.Start] = &heard{}
	}
	return t.seen[name][k.Start]
}

func (t *tallier) entry(raw []byte, stored bool) error {
	e, err := journal.DecodeEntry(raw)
	if err != nil || e.Usage == nil {
		return nil // the checks name an entry that cannot be read
	}
	t.at(e.Session).raise(e.Usage.CumulativeIn, e.Usage.CumulativeOut)
	if !stored || e.Kind != journal.KindUsage {
		return nil
	}
	name := recordName{e.Session, e.Usage.Number}
	if _, twice := t.records[name]; twice {
		t.ChargedTwice++
	}
	t.records[name] = struct{}{}
	return nil
}

// sameStart is how far two computed starts of one session may lie apart, in
// seconds (design §6).
const sameStart = 30

func (t *tallier) compare(w *verify.Witness) {
	for _, s := range w.Sessions {
		if s.Acks == 0 {
			continue
		}
		t.Sessions++
		var best *heard
		for start, h := range t.seen[sessionName{s.Key.NAS, s.Key.ID}] {
			if d := start - s.Key.Start; d <= sameStart && d >= -sameStart && (best == nil || h.in+h.out > best.in+best.out) {
				best = h
			}
		}
		switch {
		case best == nil, best.in < s.Acked.In, best.out < s.Acked.Out:
			t.Lost++
		case best.in > s.Sent.In, best.out > s.Sent.Out:
			t.ChargedTwice++
		}
	}
}
