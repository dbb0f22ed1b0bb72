package contract

import (
	"meridian/internal/canon"
	"meridian/internal/money"
)

// format is the first octet of an encoded state.
const format = 1

// Append writes the state in canonical form. A contract that was not activated is
// a single octet.
func (s *State) Append(w *canon.Writer) {
	if s.Activated == 0 {
		w.Byte(0)
		return
	}
	w.Byte(format)
	for _, v := range [...]int64{s.Activated, s.Since, s.Bought, int64(s.Once), s.Paused, s.Ended, s.Rest} {
		w.Varint(v)
	}
	w.Uvarint(uint64(len(s.Parts)))
	for i := range s.Parts {
		x := &s.Parts[i]
		w.String(x.Component)
		for _, v := range [...]int64{x.Anchor, x.Next, x.From, x.To, int64(x.Paid)} {
			w.Varint(v)
		}
	}
	w.Uvarint(uint64(len(s.Uses)))
	for i := range s.Uses {
		x := &s.Uses[i]
		w.String(x.Promotion)
		w.String(x.Component)
		w.Varint(x.Periods)
		w.Varint(x.Times)
	}
}

// Read reads what Append wrote; text makes names that come again one.
func Read(r *canon.Reader, text func(string) string) State {
	var s State
	switch f := r.Byte(); f {
	case 0:
		return s
	case format:
	default:
		r.Fail("contract format %d is not known", f)
		return s
	}
	once := int64(0)
	for _, p := range [...]*int64{&s.Activated, &s.Since, &s.Bought, &once, &s.Paused, &s.Ended, &s.Rest} {
		*p = r.Varint()
	}
	if s.Once = int(once); once < 0 || once > 1<<16 || s.Activated == 0 {
		r.Fail("contract activated at %d with %d one-time charges", s.Activated, once)
	}
	for n := r.Count(6); n > 0; n-- {
		x := Part{Component: text(r.String())}
		paid := int64(0)
		for _, p := range [...]*int64{&x.Anchor, &x.Next, &x.From, &x.To, &paid} {
			*p = r.Varint()
		}
		x.Paid = money.Amount(paid)
		s.Parts = append(s.Parts, x)
	}
	n := r.Count(4)
	if n > MaxUses {
		r.Fail("%d uses of promotions, at most %d", n, MaxUses)
	}
	for ; n > 0 && r.Err() == nil; n-- {
		s.Uses = append(s.Uses, Use{Promotion: text(r.String()), Component: text(r.String()), Periods: r.Varint(), Times: r.Varint()})
	}
	return s
}
