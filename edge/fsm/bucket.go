package fsm

import (
	"cmp"
	"slices"

	"meridian/edge/balance"
	"meridian/internal/journal"
)

// makeBucket makes a bucket of the account's at this region, named by the entry
// that is written next: that entry is the caller's, and raises T.
func (s *State) makeBucket(account string, unit journal.Unit, priority int, made balance.Made) *balance.Bucket {
	b := &balance.Bucket{ID: journal.BucketName(s.Region, s.Epoch, s.Seq+1), Account: account, Unit: unit, Priority: priority, Made: &made}
	s.beforeBucket(b)
	s.buckets.put(b)
	s.fileBucket(b)
	return b
}

// spends tells whether fees may be paid from a bucket, and refunds go to it: it is
// money, and no allowance.
func spends(b *balance.Bucket, unit journal.Unit, now int64) bool {
	return b.Unit == unit && (b.Expires == 0 || b.Expires > now) && (b.Made == nil || b.Made.Allowance == "")
}

// refund gives money back by an entry: to a bucket, or, without one, to the
// account's money that has no end, so that nothing which came from money for good
// ends with a bonus; where there is none, to one that is made for it.
func (s *State) refund(b *balance.Bucket, e journal.Entry) {
	if b == nil {
		usable := s.usable(e.Account, e.Unit)
		if i := slices.IndexFunc(usable, func(b *balance.Bucket) bool { return b.Expires == 0 }); i >= 0 {
			b = usable[i]
		} else {
			b = s.makeBucket(e.Account, e.Unit, 0, balance.Made{})
		}
	}
	s.beforeBucket(b)
	b.Take(e.Amount)
	e.Bucket = b.ID
	s.emit(e)
}

// longest is the account's money that lasts longest, nil when there is none: what a
// fee gives back goes there.
func (s *State) longest(account string, unit journal.Unit) *balance.Bucket {
	usable := s.usable(account, unit)
	if len(usable) == 0 {
		return nil
	}
	return slices.MaxFunc(usable, func(a, b *balance.Bucket) int {
		return cmp.Compare(uint64(a.Expires)-1, uint64(b.Expires)-1) // 0 = never: the largest
	})
}
