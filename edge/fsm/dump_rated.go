package fsm

import (
	"meridian/edge/balance"
	"meridian/internal/canon"
	"meridian/internal/charging"
	"meridian/internal/journal"
	"meridian/internal/money"
)

// appendRated writes how a session is rated that is not plain.
func appendRated(w *canon.Writer, x *rated) {
	w.Bool(x != nil)
	if x == nil {
		return
	}
	w.Uvarint(uint64(len(x.parts)))
	for i := range x.parts {
		p := &x.parts[i]
		w.String(p.component)
		w.Varint(p.start)
		w.String(p.zoneName)
		w.Varint(p.period)
		w.Bool(p.begun)
		journal.AppendTally(w, &p.tally)
		journal.AppendTally(w, &p.before)
		appendLedger(w, p.owed, p.payers)
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
	x := &rated{}
	for n := r.Count(42); n > 0; n-- {
		p := ratedPart{component: t.one(r.String()), start: r.Varint(), zoneName: t.one(r.String()), period: r.Varint(), begun: r.Bool(), tally: journal.ReadTally(r), before: journal.ReadTally(r)}
		p.owed, p.payers = readLedger(r)
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

// appendLedger writes who bears what a price that may fall has charged.
func appendLedger(w *canon.Writer, owed money.Amount, payers []charging.Payer) {
	w.Varint(int64(owed))
	w.Uvarint(uint64(len(payers)))
	for i := range payers {
		p := &payers[i]
		w.String(p.Bucket)
		w.Varint(int64(p.Amount))
		w.Bool(p.Given)
		w.Varint(p.Since)
		w.Bool(p.Loan)
	}
}

func readLedger(r *canon.Reader) (owed money.Amount, payers []charging.Payer) {
	owed = money.Amount(r.Varint())
	for n := r.Count(5); n > 0; n-- {
		payers = append(payers, charging.Payer{Bucket: r.String(), Amount: money.Amount(r.Varint()), Given: r.Bool(), Since: r.Varint(), Loan: r.Bool()})
	}
	return owed, payers
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
