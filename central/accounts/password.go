package accounts

import (
	"context"
	"fmt"

	"meridian/central/fault"
	"meridian/central/feed"
	"meridian/central/store"
	feedrow "meridian/internal/feed"
)

// NewPassword asks for another password of a subscription. It is in clear text here
// and nowhere else.
type NewPassword struct{ Subscription, Password string }

// SetPassword is SetPasswordTx in a transaction of its own; it returns what is in
// force now.
func (s *Service) SetPassword(ctx context.Context, in NewPassword) (Subscription, error) {
	return store.Run(ctx, s.Runner, "accounts.set_password", func(ctx context.Context, tx store.Tx) (Subscription, error) {
		_, after, err := s.SetPasswordTx(ctx, tx, in)
		return after, err
	})
}

// SetPasswordTx seals a new password and its NT hash for the subscription's home and
// feeds it there. It is in force when the region has applied the row; sessions go on.
func (s *Service) SetPasswordTx(ctx context.Context, tx store.Tx, in NewPassword) (before, after Subscription, err error) {
	var c fault.Collector
	s.rules.checkID(&c, "subscription", in.Subscription)
	checkPassword(&c, "password", in.Password)
	if err := c.Err(); err != nil {
		return before, after, err
	}
	if before, err = s.Subscription(ctx, tx, "subscription", in.Subscription); err != nil {
		return before, after, err
	}
	if before.Terminated {
		return before, after, fault.New(fault.Conflict, "subscription", before.ID, "the subscription has ended", "subscribe anew")
	}
	after = before
	after.Version++
	if after.Password, after.NTHash, err = s.sealPassword(after.Home, after.ID, in.Password); err != nil {
		return before, after, err
	}
	if err := s.Stores(tx).SavePassword(ctx, after); err != nil {
		return before, after, fmt.Errorf("store the password of subscription %s: %w", after.ID, err)
	}
	row, err := rowOf(after)
	if err != nil {
		return before, after, err
	}
	return before, after, s.Feed.Append(ctx, tx, row)
}

// rowOf is the subscription's row in its home's feed.
func rowOf(s Subscription) (feed.Change, error) {
	return feed.NewChange(s.Home, feedrow.KindSubscription, s.ID, s.Version, &feedrow.Subscription{
		ID: s.ID, Account: s.Account, Login: s.Login, Password: s.Password, NTHash: s.NTHash, Offering: s.Offering, Terminated: s.Terminated})
}
