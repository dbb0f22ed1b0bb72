package fsm

import (
	"slices"

	"meridian/edge/balance"
	"meridian/internal/journal"
)

// makeBucket makes a bucket of the account's at this region, named by the entry
// that is written next: that entry is the caller's, and raises T.
func (s *State) makeBucket(account string, unit journal.Unit, priority int, made balance.Made) *balance.Bucket {
	b := &balance.Bucket{ID: journal.BucketName(s.Region, s.Epoch, s.Seq+1), Account: account, Unit: unit, Priority: priority, Made: &made}
	s.beforeBucket(b)
	s.buckets[b.ID] = b
	s.fileBucket(b)
	return b
}

// fileBucket puts a bucket in its place in the account's charging order.
func (s *State) fileBucket(b *balance.Bucket) {
	list := append(s.byAccount[b.Account], b)
	slices.SortFunc(list, balance.Before)
	s.byAccount[b.Account] = list
}

// refund gives money back by an entry: to the first bucket that is not expired, or
// else to one that is made for it.
func (s *State) refund(e journal.Entry) {
	var b *balance.Bucket
	if usable := s.usable(e.Account, e.Unit); len(usable) > 0 {
		b = usable[0]
	} else {
		b = s.makeBucket(e.Account, e.Unit, 0, balance.Made{})
	}
	s.beforeBucket(b)
	b.Take(e.Amount)
	e.Bucket = b.ID
	s.emit(e)
}
