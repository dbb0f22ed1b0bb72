package fsm

import (
	"meridian/edge/balance"
	"meridian/internal/canon"
	"meridian/internal/charging"
	"meridian/internal/journal"
)

// appendRated writes how a session is rated that is not plain.
func appendRated(w *canon.Writer, x *rated) {
	w.Bool(x != nil)
	if x == nil {
		return
	}
	w.Varint(x.refund)
	w.Uvarint(uint64(len(x.parts)))
	for i := range x.parts {
		p := &x.parts[i]
		w.String(p.component)
		w.Varint(p.start)
		w.String(p.zoneName)
		journal.AppendTally(w, &p.tally)
		journal.AppendTally(w, &p.before)
		journal.AppendDraws(w, drawsOf(p.draws))
		journal.AppendDraws(w, drawsOf(p.drawn))
		journal.AppendUses(w, p.uses)
		journal.AppendPaid(w, p.slices)
	}
}

func readRated(r *canon.Reader, t *texts) *rated {
	if !r.Bool() {
		return nil
	}
	x := &rated{refund: r.Varint()}
	for n := r.Count(38); n > 0; n-- {
		p := ratedPart{component: t.one(r.String()), start: r.Varint(), zoneName: t.one(r.String()), tally: journal.ReadTally(r), before: journal.ReadTally(r)}
		p.draws, p.drawn = readDraws(r), readDraws(r)
		p.uses, p.slices = journal.ReadUses(r), journal.ReadPaid(r)
		for i := range p.slices {
			p.slices[i].Rule = t.one(p.slices[i].Rule)
		}
		x.parts = append(x.parts, p)
	}
	return x
}

func readDraws(r *canon.Reader) (out []charging.Draw) {
	for _, d := range journal.ReadDraws(r) {
		out = append(out, charging.Draw(d))
	}
	return out
}

// appendMade writes what is known of a bucket that was made here.
func appendMade(w *canon.Writer, m *balance.Made) {
	w.Bool(m != nil)
	if m == nil {
		return
	}
	for _, v := range [...]string{m.Allowance, m.Subscription, m.Pool} {
		w.String(v)
	}
	for _, v := range [...]int64{m.First, m.From, m.Given} {
		w.Varint(v)
	}
	w.Uvarint(uint64(len(m.Fired)))
	for _, name := range m.Fired {
		w.String(name)
	}
	w.Uvarint(uint64(len(m.Children)))
	for _, c := range m.Children {
		w.String(c.Subscription)
		w.Varint(c.Used)
	}
}

func readMade(r *canon.Reader, t *texts) *balance.Made {
	if !r.Bool() {
		return nil
	}
	m := &balance.Made{Allowance: t.one(r.String()), Subscription: r.String(), Pool: t.one(r.String()), First: r.Varint(), From: r.Varint(), Given: r.Varint()}
	for n := r.Count(1); n > 0; n-- {
		m.Fired = append(m.Fired, t.one(r.String()))
	}
	for n := r.Count(2); n > 0; n-- {
		m.Children = append(m.Children, balance.Child{Subscription: r.String(), Used: r.Varint()})
	}
	return m
}
