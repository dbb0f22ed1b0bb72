package fsm

import (
	"cmp"
	"slices"

	"meridian/edge/balance"
)

// account is what a region has of an account: its buckets of money and its pools,
// in charging order, and its subscriptions by id.
type account struct {
	id      string
	buckets []*balance.Bucket
	subs    []*Subscription
}

// account returns an account's entry, which is made if there is none.
func (s *State) account(id string) *account {
	a := s.accounts.get(id)
	if a == nil {
		a = &account{id: id}
		s.accounts.put(a)
	}
	return a
}

// bucketsOf are an account's buckets in charging order, without those that are one
// subscription's alone.
func (s *State) bucketsOf(id string) []*balance.Bucket {
	if a := s.accounts.get(id); a != nil {
		return a.buckets
	}
	return nil
}

// subscriptionsOf are an account's subscriptions by id.
func (s *State) subscriptionsOf(id string) []*Subscription {
	if a := s.accounts.get(id); a != nil {
		return a.subs
	}
	return nil
}

// share has a session hold the texts that its subscription holds already.
func (s *State) share(sess *Session) {
	sess.Key.NAS, sess.Offering = s.words.one(sess.Key.NAS), s.words.one(sess.Offering)
	sub := s.subscriptions.get(sess.Subscription)
	if sub == nil {
		return
	}
	sess.Subscription = sub.ID
	if sess.Account == sub.Account {
		sess.Account = sub.Account
	}
	if sess.Login == sub.Login {
		sess.Login = sub.Login
	}
}

// indexAccount files a subscription under its account, by id: periods of one
// account are charged in that order, on a replica that was restored too.
func (s *State) indexAccount(sub *Subscription) {
	a := s.account(sub.Account)
	sub.Account = a.id // one text for all
	at, _ := slices.BinarySearchFunc(a.subs, sub.ID, func(o *Subscription, id string) int { return cmp.Compare(o.ID, id) })
	if a.subs == nil {
		a.subs = make([]*Subscription, 0, 1)
	}
	a.subs = slices.Insert(a.subs, at, sub)
}

// fileBucket puts a bucket in its place in charging order: with its account's, or
// with its subscription's if it is that one's alone. A company's account may have
// thousands of those, and no other subscription ever asks them.
func (s *State) fileBucket(b *balance.Bucket) {
	if b.Made != nil && b.Made.Subscription != "" {
		list := append(s.own[b.Made.Subscription], b)
		slices.SortFunc(list, balance.Before)
		s.own[b.Made.Subscription] = list
		return
	}
	a := s.account(b.Account)
	b.Account = a.id
	list := make([]*balance.Bucket, 0, len(a.buckets)+1) // few, and they stay for long
	a.buckets = append(append(list, a.buckets...), b)
	slices.SortFunc(a.buckets, balance.Before)
}
