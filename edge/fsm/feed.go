package fsm

import (
	"fmt"
	"slices"

	"meridian/edge/balance"
	"meridian/edge/command"
	"meridian/internal/feed"
	"meridian/internal/invariant"
	"meridian/internal/journal"
	"meridian/internal/tariff"
)

// applyFeed takes rows in number order: the next number only, or the one behind those
// that the centre left out, and an entity version it already has is passed over. Rows were decoded once before they were
// proposed; one that this replica cannot read stops it, since it cannot know what
// its peers did.
func (s *State) applyFeed(c *command.Feed) command.Result {
	res := command.Result{Code: command.Repeated}
	for i := range c.Rows {
		row := &c.Rows[i]
		if row.Number <= s.FeedVersion {
			continue
		}
		if row.Number <= row.Skipped || row.Number-row.Skipped != s.FeedVersion+1 || s.Epoch == 0 {
			return command.Result{Code: command.OutOfOrder}
		}
		entity, err := row.Decode()
		invariant.Check(err == nil, "feed row in the log: %v", err)
		if o, ok := entity.(*tariff.Offering); ok && len(s.Lacks(o)) > 0 {
			return command.Result{Code: command.OutOfOrder}
		}
		s.FeedVersion = row.Number
		s.FeedApplied += row.Skipped + 1
		res = command.Result{}
		if s.newer(row) {
			s.applyEntity(entity, row.Version)
		}
	}
	return res
}

// newer tells whether a row says something that is not known here yet. An order
// has no version before it, nor has what an epoch begins with.
func (s *State) newer(row *feed.Row) bool {
	switch row.Kind {
	case feed.KindOrder, feed.KindService, feed.KindEpoch:
		return true
	case feed.KindLease:
		b := s.buckets.get(row.ID)
		return b == nil || b.Row < row.Version
	case feed.KindSubscription:
		sub := s.subscriptions.get(row.ID)
		return sub == nil || sub.Row < row.Version
	}
	k := entityKey{row.Kind, row.ID}
	if s.versions[k] >= row.Version {
		return false
	}
	s.versions[k] = row.Version
	return true
}

func (s *State) applyEntity(entity any, ver uint64) {
	switch e := entity.(type) {
	case *tariff.Offering:
		list := append(s.offerings[e.ID], newVersion(e, s.env()))
		slices.SortFunc(list, func(a, b *version) int { return int(a.Version) - int(b.Version) })
		s.offerings[e.ID] = list
	case *tariff.Table:
		s.addTable(e)
	case *feed.NAS:
		n := s.nas[e.ID]
		if n == nil {
			n = &NAS{open: map[journal.SessionKey]*Session{}}
			s.nas[e.ID] = n
		}
		n.NAS = *e
	case *feed.Subscription:
		s.applySubscription(e, ver)
	case *feed.Lease:
		s.applyLease(e, ver)
	case *feed.Operator:
		s.operators[e.ID] = e
	case *feed.Order:
		s.applyOrder(*e)
	case *feed.Service:
		s.applyService(e)
	case *feed.Epoch:
		s.applyEpochRow(e)
	}
}

func (s *State) applySubscription(row *feed.Subscription, ver uint64) {
	s.beforeSubscription(&Subscription{Subscription: *row})
	s.beforeSubscription(s.logins.get(row.Login)) // which loses its login
	sub := s.subscriptions.get(row.ID)
	if sub == nil {
		sub = &Subscription{Offering: s.words.one(row.Offering), Version: 1}
	} else {
		if s.logins.get(sub.Login) == sub {
			s.logins.remove(sub.Login)
		}
		a := s.account(sub.Account)
		a.subs = slices.DeleteFunc(a.subs, func(o *Subscription) bool { return o == sub })
	}
	sub.Subscription, sub.Row = *row, ver
	sub.Subscription.Offering = s.words.one(row.Offering)
	s.subscriptions.put(sub)
	s.indexAccount(sub)
	s.logins.put(sub)
	if row.Terminated {
		s.terminate(sub)
	}
	s.renewSoon(sub)
}

func (s *State) applyLease(l *feed.Lease, ver uint64) {
	b := s.buckets.get(l.Bucket)
	if b != nil {
		s.beforeBucket(b)
		b.Row = ver
	}
	if l.Epoch != s.Epoch {
		return
	}
	if b == nil {
		b = &balance.Bucket{ID: l.Bucket, Account: l.Account, Unit: journal.Unit(s.words.one(string(l.Unit))), Row: ver}
		s.beforeBucket(b)
		s.buckets.put(b)
		s.fileBucket(b)
	}
	given := b.Made != nil && b.Made.Allowance != "" // its rank and its end are the offering's, which the centre does not keep
	if !given {
		b.Priority, b.Expires = l.Priority, l.ExpiresAt
		slices.SortFunc(s.bucketsOf(l.Account), balance.Before)
	}
	err := b.Grant(l.Granted, l.ReclaimTo, l.Allowance)
	invariant.Check(err == nil, "%v", err)
	if b.G >= b.Wanted {
		delete(s.wanting, b.ID)
	}
	s.settle(b)
	for _, sub := range s.subscriptionsOf(l.Account) {
		if given && (b.Made.Subscription == "" || b.Made.Subscription == sub.ID) {
			s.expire(sub, b, s.seconds()) // what came back of one that is over goes as the rest of it
		}
		if sub.Lapsed || sub.PaidUntil == 0 {
			s.renewSoon(sub)
		}
	}
}

// applyOrder executes an order, or keeps it until it may be executed.
func (s *State) applyOrder(o feed.Order) {
	if _, queued := s.waiting[o.ID]; queued || s.answered[o.ID] || max(o.Epoch, 1) != s.Epoch {
		return
	}
	if s.Gathering {
		o.NotBefore = max(o.NotBefore, s.seconds()+1)
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
	if sub := s.subscriptions.get(o.Subscription); sub != nil {
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
	sub := s.subscriptions.get(o.Subscription)
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
		sub.Previous, sub.Since, sub.Offering, sub.Held = sub.Offering, s.seconds(), o.Offering, to.Version
		s.renewSoon(sub)
	case feed.ActionDebit:
		b := s.buckets.get(o.Bucket)
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
