package fsm

import (
	"slices"

	"meridian/edge/session"
	"meridian/internal/charging"
	"meridian/internal/journal"
	"meridian/internal/money"
	"meridian/internal/rating"
	"meridian/internal/verify"
)

// rated is how a session is rated whose offering is more than one plain price. It
// is not there for others: most sessions cost no memory for it.
type rated struct {
	parts []ratedPart // by version.meters
	back  []back      // what the cut gives back that follows in the same command: not part of the state
	freed bool        // money became free in this command: nor is this
}

// ratedPart is the state of one usage component of a session.
type ratedPart struct {
	component string
	start     int64 // rating.Context.Start
	zone      int   // of the destination, in the component: rating.Context.Zone
	zoneName  string
	period    int64 // start of the period over which it is counted; 0 = by session
	begun     bool  // counted by period: the session has begun in it
	tally     rating.Tally
	draws     []charging.Draw
	owed      money.Amount // who bears the tally's charge, where the price may fall: charging.Ledger
	payers    []charging.Payer
	before    rating.Tally // tally and draws at the last cut
	drawn     []charging.Draw
	uses      []rating.Use // since then
	slices    []journal.PaidSlice
}

// mostUses is how many reports a cut may have before it is written early.
const mostUses = 64

// begin makes the state by which a version rates what comes after before, from where
// another version of the offering has left the session, if one rated it; nil for a
// plain one, unless it matters to it that the session has begun.
func (v *version) begin(sess *Session, before session.Meter, old *version) *rated {
	if v.plain() && (old == nil || len(v.meters) == 0 || !v.plan.Initial(v.meters[0])) {
		return nil
	}
	x := &rated{parts: make([]ratedPart, len(v.meters))}
	for i := range x.parts {
		p := &x.parts[i]
		p.component, p.start = v.Usage[v.meters[i]].Name, sess.Key.Start+before.Seconds
		p.zone, _ = v.plan.Zone(v.meters[i], sess.Called)
		p.zoneName = v.plan.ZoneName(v.meters[i], p.zone)
		if old != nil {
			p.tally = v.plan.Continue(v.meters[i], old.tallyOf(sess, p.component))
			p.before = p.tally
		}
	}
	return x
}

// tallyOf is where a session stands by a component, zero where it has not rated by it.
func (v *version) tallyOf(sess *Session, component string) rating.Tally {
	if x := sess.rated; x != nil {
		for i := range x.parts {
			if x.parts[i].component == component {
				return x.parts[i].tally
			}
		}
		return rating.Tally{}
	}
	if len(v.meters) == 0 || v.Usage[v.meters[0]].Name != component {
		return rating.Tally{}
	}
	t, err := v.plan.Resume(rating.Context{Component: v.meters[0], Start: sess.Key.Start}, sess.Rating)
	if err != nil {
		return rating.Tally{}
	}
	return t
}

// full tells whether a part has as many reports as a record may have.
func (x *rated) full() bool {
	return slices.ContainsFunc(x.parts, func(p ratedPart) bool { return len(p.uses) >= mostUses })
}

// note keeps a report, and what it came to, for the next cut.
func (p *ratedPart) note(u rating.Use, priced []rating.Priced, w *charging.Wallet, windowed bool) {
	if n := len(p.uses); n > 0 && !windowed && !u.New && p.uses[n-1].To == u.From {
		p.uses[n-1].To = u.To
		p.uses[n-1].Quantity += u.Quantity
	} else {
		p.uses = append(p.uses, u)
	}
	for i := range priced {
		x := &priced[i]
		s := journal.PaidSlice{Rule: x.Rule, Kind: x.Kind, Quantity: x.Quantity, Charged: x.Charged, Amount: x.Amount}
		if s.Kind == rating.KindCovered {
			s.Bucket = named(w, x.Rule)
		}
		if n := len(p.slices); n > 0 && s.Kind != rating.KindFee {
			if last := &p.slices[n-1]; last.Rule == s.Rule && last.Kind == s.Kind && last.Bucket == s.Bucket {
				last.Quantity += s.Quantity
				last.Charged += s.Charged
				last.Amount += s.Amount
				continue
			}
		}
		p.slices = append(p.slices, s)
	}
}

// named is the id of the bucket that has an allowance's name; "" for what a step
// that was paid before has covered.
func named(w *charging.Wallet, allowance string) string {
	for _, b := range w.Buckets {
		if b.Name == allowance {
			return b.ID
		}
	}
	return ""
}

// record is what a usage record says of the parts.
func (x *rated) record(o *version) []journal.UsagePart {
	out := make([]journal.UsagePart, 0, len(x.parts))
	for i := range x.parts {
		p := &x.parts[i]
		if len(p.uses) == 0 {
			continue
		}
		out = append(out, journal.UsagePart{
			Component: p.component, Zone: p.zoneName, Start: p.start, Period: p.period, Before: p.before,
			Draws: drawsOf(p.drawn), Uses: p.uses, Slices: p.slices,
		})
	}
	return out
}

func drawsOf(draws []charging.Draw) (out []journal.Draw) {
	for _, d := range draws {
		out = append(out, journal.Draw(d))
	}
	return out
}

// cutParts writes what the cut gives back, and begins the next.
func (s *State) cutParts(sess *Session, o *version, base journal.Entry) {
	x := sess.rated
	s.emitBack(x, o, base)
	for i := range x.parts {
		p := &x.parts[i]
		p.before, p.drawn, p.uses, p.slices = p.tally, slices.Clone(p.draws), nil, nil
	}
}

// parts is what a report says of the parts.
func (sess *Session) parts() (out []verify.EdgePart) {
	if sess.rated == nil {
		return nil
	}
	for i := range sess.rated.parts {
		p := &sess.rated.parts[i]
		if p.period != 0 && len(p.uses) == 0 { // others may have gone on
			continue
		}
		e := verify.EdgePart{Period: p.period, Component: p.component, Rated: p.tally.State, CutBefore: p.before.State}
		for _, u := range p.uses {
			e.Uncut += u.Quantity
		}
		out = append(out, e)
	}
	return out
}
