package fsm

import (
	"cmp"
	"fmt"
	"slices"

	"meridian/edge/balance"
	"meridian/edge/command"
	"meridian/internal/feed"
	"meridian/internal/invariant"
	"meridian/internal/journal"
	"meridian/internal/tariff"
)

// applyFeed takes rows in number order: the next number only, and an entity
// version it already has is passed over. Rows were decoded once before they were
// proposed; one that this replica cannot read stops it, since it cannot know what
// its peers did.
func (s *State) applyFeed(c *command.Feed) command.Result {
	res := command.Result{Code: command.Repeated}
	for i := range c.Rows {
		row := &c.Rows[i]
		if row.Number <= s.FeedVersion {
			continue
		}
		if row.Number != s.FeedVersion+1 || s.Epoch == 0 {
			return command.Result{Code: command.OutOfOrder}
		}
		entity, err := row.Decode()
		invariant.Check(err == nil, "feed row in the log: %v", err)
		s.FeedVersion++
		s.FeedApplied++
		res = command.Result{}
		if k := (entityKey{row.Kind, row.ID}); row.Kind != feed.KindOrder {
			if s.versions[k] >= row.Version {
				continue
			}
			s.beforeVersion(k)
			s.versions[k] = row.Version
		}
		s.applyEntity(entity)
	}
	return res
}

func (s *State) applyEntity(entity any) {
	switch e := entity.(type) {
	case *tariff.Offering:
		list := append(s.offerings[e.ID], newVersion(e))
		slices.SortFunc(list, func(a, b *version) int { return int(a.Version) - int(b.Version) })
		s.offerings[e.ID] = list
	case *feed.NAS:
		n := s.nas[e.ID]
		if n == nil {
			n = &NAS{open: map[journal.SessionKey]*Session{}}
			s.nas[e.ID] = n
		}
		n.NAS = *e
	case *feed.Subscription:
		s.applySubscription(e)
	case *feed.Lease:
		s.applyLease(e)
	case *feed.Operator:
		s.operators[e.ID] = e
	case *feed.Order:
		s.applyOrder(*e)
	}
}

func (s *State) applySubscription(row *feed.Subscription) {
	s.beforeSubscription(&Subscription{Subscription: *row})
	s.beforeSubscription(s.logins[row.Login]) // which loses its login
	sub := s.subscriptions[row.ID]
	if sub == nil {
		sub = &Subscription{Offering: row.Offering, Version: 1}
		s.subscriptions[row.ID] = sub
	} else {
		if s.logins[sub.Login] == sub {
			delete(s.logins, sub.Login)
		}
		s.accountSubs[sub.Account] = slices.DeleteFunc(s.accountSubs[sub.Account], func(o *Subscription) bool { return o == sub })
	}
	sub.Subscription = *row
	s.indexAccount(sub)
	s.logins[row.Login] = sub
	if row.Terminated {
		s.terminate(sub)
	}
	s.renewSoon(sub)
}

// indexAccount files a subscription under its account, by id: periods of one
// account are charged in that order, on a replica that was restored too.
func (s *State) indexAccount(sub *Subscription) {
	list := s.accountSubs[sub.Account]
	at, _ := slices.BinarySearchFunc(list, sub.ID, func(o *Subscription, id string) int { return cmp.Compare(o.ID, id) })
	s.accountSubs[sub.Account] = slices.Insert(list, at, sub)
}

func (s *State) applyLease(l *feed.Lease) {
	if l.Epoch != s.Epoch {
		return
	}
	b := s.buckets[l.Bucket]
	if b == nil {
		b = &balance.Bucket{ID: l.Bucket, Account: l.Account, Unit: l.Unit}
		s.beforeBucket(b)
		s.buckets[l.Bucket] = b
		s.byAccount[l.Account] = append(s.byAccount[l.Account], b)
	}
	s.beforeBucket(b)
	b.Priority, b.Expires = l.Priority, l.ExpiresAt
	slices.SortFunc(s.byAccount[l.Account], balance.Before)
	err := b.Grant(l.Granted, l.ReclaimTo, l.Allowance)
	invariant.Check(err == nil, "%v", err)
	if b.G >= b.Wanted {
		delete(s.wanting, b.ID)
	}
	s.settle(b)
	for _, sub := range s.accountSubs[l.Account] {
		if sub.Lapsed || sub.PaidUntil == 0 {
			s.renewSoon(sub)
		}
	}
}

// applyOrder executes an order, or keeps it until it may be executed.
func (s *State) applyOrder(o feed.Order) {
	if _, queued := s.waiting[o.ID]; queued || s.answered[o.ID] {
		return
	}
	if o.NotBefore > s.seconds() {
		s.beforeOrder(o.ID)
		s.waiting[o.ID] = o
		s.wakeOrder(o.ID, o.NotBefore)
		return
	}
	s.executeOrder(o)
}

// executeOrder carries an order out or refuses it, and answers with an entry.
func (s *State) executeOrder(o feed.Order) {
	outcome := s.tryOrder(&o)
	detail := "executed"
	if outcome != "" {
		detail = "refused: " + outcome
	}
	account := ""
	if sub := s.subscriptions[o.Subscription]; sub != nil {
		account = sub.Account
	}
	s.emit(journal.Entry{Kind: journal.KindOrder, Account: account, Subscription: o.Subscription, Ref: o.ID, Detail: detail})
	s.remember(o.ID)
}

func (s *State) remember(order string) {
	if len(s.answeredLog) >= maxOrders {
		delete(s.answered, s.answeredLog[0])
		s.answeredLog = s.answeredLog[1:]
	}
	s.answered[order] = true
	s.answeredLog = append(s.answeredLog, order)
}

// tryOrder returns why an order cannot be executed, or "" when it was.
func (s *State) tryOrder(o *feed.Order) string {
	sub := s.subscriptions[o.Subscription]
	switch {
	case sub == nil:
		return "subscription is not served here"
	case o.Expires != 0 && o.Expires <= s.seconds():
		return "expired"
	case o.IfVersion != 0 && o.IfVersion != sub.Version:
		return fmt.Sprintf("service state is at version %d", sub.Version)
	case sub.Terminated && o.Action != feed.ActionDebit:
		return "subscription is terminated"
	}
	s.beforeSubscription(sub)
	switch o.Action {
	case feed.ActionBar:
		sub.Barred = true
		sub.Contract.Pause(s.seconds())
		s.disconnectAll(sub)
	case feed.ActionUnbar:
		sub.Barred = false
		s.resume(sub)
	case feed.ActionTerminate:
		s.terminate(sub)
	case feed.ActionChange:
		to := s.offeringAt(o.Offering, s.seconds())
		switch {
		case to == nil:
			return "offering " + o.Offering + " is not valid here now"
		case sub.Contract.Bought == s.seconds() && sub.Previous != "":
			return "the offering was changed this very second"
		}
		s.changeContract(sub, to)
		sub.Previous, sub.Since, sub.Offering = sub.Offering, s.seconds(), o.Offering
		s.renewSoon(sub)
	case feed.ActionDebit:
		b := s.buckets[o.Bucket]
		if b == nil || b.Account != sub.Account || o.Amount < 0 {
			return "bucket " + o.Bucket + " is not leased here for this account"
		}
		if b.Available() < int64(o.Amount) {
			return "available balance is " + fmt.Sprint(b.Available()) + " micro-units"
		}
		s.beforeBucket(b)
		b.Cut(b.Charge(int64(o.Amount)))
		s.emit(journal.Entry{Kind: journal.KindOrderDebit, Account: b.Account, Subscription: sub.ID, Bucket: b.ID, Unit: b.Unit, Amount: int64(o.Amount), Ref: o.ID})
	default:
		return "action " + string(o.Action) + " is not known here"
	}
	sub.Version++
	return ""
}

func (s *State) terminate(sub *Subscription) {
	if !sub.Terminated {
		s.beforeSubscription(sub)
		s.endContract(sub)
		sub.Terminated = true
		s.disconnectAll(sub)
	}
}

func (s *State) disconnectAll(sub *Subscription) {
	for _, sess := range sub.open {
		s.disconnect(sess)
	}
}
