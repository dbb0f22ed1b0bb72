package journal

import (
	"meridian/internal/canon"
	"meridian/internal/money"
	"meridian/internal/rating"
)

// UsagePart is what one usage component came to in a cut: from Before, by the
// reports in Uses, to the Slices. With the offering's plan it can be rated again,
// by the same prices or by others, without anything else of the session.
type UsagePart struct {
	Component string // usage component of the offering
	Zone      string // of the destination, "" = none
	Start     int64  // Unix seconds: rating.Context.Start
	Period    int64  // start of the period over which it is counted, Unix seconds; 0 = counted by session

	Before rating.Tally // at the beginning of the cut
	Draws  []Draw       // then: what allowances with a factor had paid, in the order of their first payment

	Uses   []rating.Use // reports, in order
	Slices []PaidSlice  // in the order in which they were rated; equal neighbours are one
}

// Draw is what a bucket has paid of a session: counts of usage, and counts of its
// own that were taken for them.
type Draw struct {
	Bucket string
	Counts int64
	Taken  int64
}

// PaidSlice is a priced piece of usage and what paid for it. Of what money pays for
// (Bucket "") the charges of the cut name the buckets.
type PaidSlice struct {
	Rule     string
	Kind     rating.Kind
	Quantity int64        // counts of usage
	Charged  int64        // counts in whole steps
	Amount   money.Amount // negative where a volume tier made usage cheaper
	Bucket   string       // allowance that paid
}

// Components gives the record's rating by component, whichever form it has. The
// component's name of a record without parts is that of the slices' rule: "".
func (u *UsageRecord) Components() []UsagePart {
	if len(u.Parts) > 0 || len(u.Slices) == 0 && u.Before == (rating.State{}) {
		return u.Parts
	}
	p := UsagePart{Before: rating.Tally{State: u.Before}}
	for _, x := range u.Slices {
		p.Slices = append(p.Slices, PaidSlice{Rule: x.Rule, Kind: rating.KindUsage, Quantity: x.Quantity, Charged: x.Quantity, Amount: x.Amount})
	}
	return []UsagePart{p}
}

func appendUsageParts(w *canon.Writer, parts []UsagePart) {
	w.Uvarint(uint64(len(parts)))
	for i := range parts {
		p := &parts[i]
		w.String(p.Component)
		w.String(p.Zone)
		w.Varint(p.Start)
		w.Varint(p.Period)
		AppendTally(w, &p.Before)
		AppendDraws(w, p.Draws)
		AppendUses(w, p.Uses)
		AppendPaid(w, p.Slices)
	}
}

func readUsageParts(r *canon.Reader) []UsagePart {
	n := r.Count(23)
	if n == 0 {
		r.Fail("a usage record of this format has parts")
		return nil
	}
	parts := make([]UsagePart, n)
	for i := range parts {
		p := &parts[i]
		p.Component, p.Zone, p.Start, p.Period = r.String(), r.String(), r.Varint(), r.Varint()
		p.Before, p.Draws, p.Uses, p.Slices = ReadTally(r), ReadDraws(r), ReadUses(r), ReadPaid(r)
	}
	return parts
}

// AppendTally writes a rating tally canonically.
func AppendTally(w *canon.Writer, t *rating.Tally) {
	AppendState(w, t.State)
	for _, v := range [...]int64{t.Free, t.Lost, t.Covered, t.Base, t.FlatTo, t.Events, int64(t.Whole), int64(t.Done), int64(t.TopUp), int64(t.Rule)} {
		w.Varint(v)
	}
	w.Uvarint(t.Rem)
	w.Uvarint(t.DoneRem)
	w.Bool(t.Started)
	w.Bool(t.HasUsage)
}

// ReadTally reads what AppendTally wrote.
func ReadTally(r *canon.Reader) rating.Tally {
	t := rating.Tally{State: ReadState(r)}
	for _, p := range [...]*int64{&t.Free, &t.Lost, &t.Covered, &t.Base, &t.FlatTo, &t.Events} {
		*p = r.Varint()
	}
	t.Whole, t.Done, t.TopUp = money.Amount(r.Varint()), money.Amount(r.Varint()), money.Amount(r.Varint())
	rule := r.Varint()
	if t.Rule = int32(rule); int64(t.Rule) != rule {
		r.Fail("rule %d is past 32 bits", rule)
	}
	t.Rem, t.DoneRem = r.Uvarint(), r.Uvarint()
	t.Started, t.HasUsage = r.Bool(), r.Bool()
	return t
}

// AppendDraws writes draws canonically.
func AppendDraws(w *canon.Writer, draws []Draw) {
	w.Uvarint(uint64(len(draws)))
	for _, d := range draws {
		w.String(d.Bucket)
		w.Varint(d.Counts)
		w.Varint(d.Taken)
	}
}

// ReadDraws reads what AppendDraws wrote.
func ReadDraws(r *canon.Reader) []Draw {
	n := r.Count(3)
	if n == 0 {
		return nil
	}
	out := make([]Draw, n)
	for i := range out {
		out[i] = Draw{Bucket: r.String(), Counts: r.Varint(), Taken: r.Varint()}
	}
	return out
}

// AppendUses writes pieces of usage canonically.
func AppendUses(w *canon.Writer, uses []rating.Use) {
	w.Uvarint(uint64(len(uses)))
	for _, u := range uses {
		for _, v := range [...]int64{u.Quantity, u.From, u.To, u.Weight} {
			w.Varint(v)
		}
		w.Bool(u.New)
	}
}

// ReadUses reads what AppendUses wrote.
func ReadUses(r *canon.Reader) []rating.Use {
	n := r.Count(5)
	if n == 0 {
		return nil
	}
	out := make([]rating.Use, n)
	for i := range out {
		out[i] = rating.Use{Quantity: r.Varint(), From: r.Varint(), To: r.Varint(), Weight: r.Varint(), New: r.Bool()}
	}
	return out
}

// AppendPaid writes paid slices canonically.
func AppendPaid(w *canon.Writer, slices []PaidSlice) {
	w.Uvarint(uint64(len(slices)))
	for i := range slices {
		s := &slices[i]
		w.String(s.Rule)
		w.Byte(byte(s.Kind))
		w.Varint(s.Quantity)
		w.Varint(s.Charged)
		w.Varint(int64(s.Amount))
		w.String(s.Bucket)
	}
}

// ReadPaid reads what AppendPaid wrote.
func ReadPaid(r *canon.Reader) []PaidSlice {
	n := r.Count(6)
	if n == 0 {
		return nil
	}
	out := make([]PaidSlice, n)
	for i := range out {
		s := &out[i]
		s.Rule = r.String()
		if s.Kind = rating.Kind(r.Byte()); s.Kind > rating.KindCovered {
			r.Fail("slice kind %d is not known", s.Kind)
		}
		s.Quantity, s.Charged, s.Amount, s.Bucket = r.Varint(), r.Varint(), money.Amount(r.Varint()), r.String()
	}
	return out
}
