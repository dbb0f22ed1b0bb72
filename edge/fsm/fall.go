package fsm

import (
	"slices"

	"meridian/edge/balance"
	"meridian/internal/charging"
	"meridian/internal/journal"
	"meridian/internal/rating"
)

// back is what a price that fell gives back by an entry: to a bucket (nil = the
// account's money, which may have to be made), or of the overrun of a component.
type back struct {
	bucket *balance.Bucket
	amount int64
	lapsed bool   // the bucket is an allowance whose time is over: it expires at once
	rule   string // of the overrun; "" = money that was paid
}

// giveBack returns what a debit gave back: first what the session has taken from the
// bucket since its last cut, then by entries of the cut that follows.
func (s *State) giveBack(sess *Session, o *version, i int, r *charging.Result) {
	for _, x := range r.Payments {
		if x.Amount < 0 {
			s.unpay(sess, s.buckets.get(x.Bucket), -x.Amount)
		}
	}
	x := sess.rated
	for _, lost := range r.Lapsed {
		x.back = append(x.back, back{bucket: s.buckets.get(lost.Bucket), amount: lost.Amount, lapsed: true})
	}
	if r.Overrun < 0 {
		x.back = append(x.back, back{amount: -int64(r.Overrun), rule: rating.Rule(o.Offering, &o.Usage[o.meters[i]])})
	}
}

func (s *State) unpay(sess *Session, b *balance.Bucket, amount int64) {
	sess.rated.freed = true
	for i := range sess.Pending {
		p := &sess.Pending[i]
		if b == nil || p.Bucket != b.ID {
			continue
		}
		n := min(p.Amount, amount)
		s.beforeBucket(b)
		b.Uncharge(n)
		p.Amount -= n
		if b.Made != nil && b.Made.Pool != "" {
			b.Made.Use(sess.Subscription, -n)
		}
		amount -= n
	}
	if amount > 0 {
		sess.rated.back = append(sess.rated.back, back{bucket: b, amount: amount})
	}
}

// of is how much of what is given back, and can be spent, is the bucket's.
func of(list []back, b *balance.Bucket) (n int64) {
	for i := range list {
		if x := &list[i]; x.bucket == b && !x.lapsed && x.rule == "" {
			n += x.amount
		}
	}
	return n
}

// spend pays out of what another component of the report gives back to the bucket:
// the entries of the cut say what is left of it. It returns how much that is.
func (x *rated) spend(b *balance.Bucket, amount int64) (n int64) {
	if x == nil {
		return 0
	}
	for i := range x.back {
		if k := &x.back[i]; k.bucket == b && !k.lapsed && k.rule == "" && amount > n {
			part := min(amount-n, k.amount)
			k.amount -= part
			n += part
		}
	}
	x.back = slices.DeleteFunc(x.back, func(k back) bool { return k.amount == 0 })
	return n
}

// emitBack writes what a cut gives back. What an allowance had paid whose time is
// over is given back and expires in one: nobody has it, and the usage cost less.
func (s *State) emitBack(x *rated, o *version, base journal.Entry) {
	base.Unit = journal.Unit(o.Currency)
	for i := range x.back {
		e, b := base, &x.back[i]
		e.Amount = b.amount
		if b.rule != "" {
			e.Kind, e.Ref, e.Detail = journal.KindReversed, b.rule, string(o.Overrun)
			s.emit(e)
			continue
		}
		if b.bucket != nil && b.bucket.Made != nil && b.bucket.Made.Pool != "" && !b.lapsed {
			s.beforeBucket(b.bucket)
			b.bucket.Made.Use(base.Subscription, -b.amount)
		}
		e.Kind = journal.KindRefund
		s.refund(b.bucket, e)
	}
	for i := range x.back {
		if b := &x.back[i]; b.lapsed {
			s.lapse(b.bucket, base.Subscription, b.amount)
		}
	}
	x.back = nil
}
