// Package orders asks the home edge of a subscription to change it or to charge
// it, and keeps what the home answered.
//
// It owns orders and the projection of executed ones onto the centre's copy of
// the subscription. It executes nothing: an order takes effect when the home
// says so, in the home's log order.
package orders

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"time"

	"meridian/central/accounts"
	"meridian/central/buckets"
	"meridian/central/fault"
	"meridian/central/feed"
	"meridian/central/store"
	feedrow "meridian/internal/feed"
	"meridian/internal/tariff"
)

// Deps are what the service works with.
type Deps struct {
	Runner   store.Runner
	Stores   func(store.Tx) Store
	Accounts func(store.Tx) accounts.Store
	Catalog  accounts.Catalog
	Feed     accounts.Feed
	Epoch    func(ctx context.Context, tx store.Tx, region string) (uint64, error) // the present one of a region
	Now      func() time.Time
	NewID    func() string
}

// Service places orders and takes their answers. It is safe for concurrent use.
type Service struct {
	Deps
	newest atomic.Int64 // instant given to an order last, Unix microseconds
}

// New builds the service.
func New(d Deps) *Service { return &Service{Deps: d} }

const (
	maxReason  = 200
	maxInstant = 253402300799 // the last second of the year 9999, in Unix seconds
)

// instant is now in Unix microseconds, and later than any given before: orders go
// to the home by it, so no two of this process share one.
func (s *Service) instant() int64 {
	for {
		before := s.newest.Load()
		at := max(s.Now().UnixMicro(), before+1)
		if s.newest.CompareAndSwap(before, at) {
			return at
		}
	}
}

// Place is PlaceTx in a transaction of its own.
func (s *Service) Place(ctx context.Context, in feedrow.Order) (Order, error) {
	return store.Run(ctx, s.Runner, "orders.place", func(ctx context.Context, tx store.Tx) (Order, error) {
		return s.PlaceTx(ctx, tx, in)
	})
}

// PlaceTx stores an order and sends it to the subscription's home. An empty ID
// is chosen here; a debit without a bucket takes the account's money. Orders of a
// region reach it in the order of PlacedAt, as far as they wait together.
func (s *Service) PlaceTx(ctx context.Context, tx store.Tx, in feedrow.Order) (Order, error) {
	return s.PlaceInTx(ctx, tx, in, "")
}

// PlaceInTx is PlaceTx for an order that was taken in a channel of sale.
func (s *Service) PlaceInTx(ctx context.Context, tx store.Tx, in feedrow.Order, channel string) (Order, error) {
	if in.ID == "" {
		in.ID = s.NewID()
	}
	found, err := s.Accounts(tx).Subscriptions(ctx, []string{in.Subscription})
	if err != nil {
		return Order{}, fmt.Errorf("read subscription %s: %w", in.Subscription, err)
	}
	if len(found) == 0 {
		return Order{}, fault.Missing("subscription", in.Subscription, "the subscription", "name one that exists")
	}
	sub := found[0]
	if in.Action == feedrow.ActionDebit && in.Bucket == "" {
		in.Bucket = buckets.CashID(sub.Account)
	}
	if err := check(in, sub); err != nil {
		return Order{}, err
	}
	if in.Action == feedrow.ActionChange {
		if err := s.checkOffering(ctx, tx, in.Offering, &sub, channel); err != nil {
			return Order{}, err
		}
	}
	if in.Epoch, err = s.Epoch(ctx, tx, sub.Home); err != nil {
		return Order{}, fmt.Errorf("read the epoch of region %s: %w", sub.Home, err)
	}
	o := Order{Order: in, Account: sub.Account, Region: sub.Home, PlacedAt: s.instant(), Status: Open}
	if err := s.Stores(tx).Insert(ctx, o); errors.Is(err, store.ErrExists) {
		return Order{}, fault.New(fault.Exists, "id", in.ID, "the order exists already", "choose another id")
	} else if err != nil {
		return Order{}, fmt.Errorf("store order %s: %w", in.ID, err)
	}
	row, err := feed.NewChange(sub.Home, feedrow.KindOrder, in.ID, uint64(o.PlacedAt), &in)
	if err != nil {
		return Order{}, err
	}
	return o, s.Feed.Append(ctx, tx, row)
}

// checkOffering tells why a subscription may not change to an offering: what is asked
// when it is sold anew.
func (s *Service) checkOffering(ctx context.Context, tx store.Tx, offering string, sub *accounts.Subscription, channel string) error {
	account := sub.Account
	o, err := s.Catalog.Latest(ctx, tx, "offering", offering)
	if err != nil {
		return err
	}
	found, err := s.Accounts(tx).Accounts(ctx, []string{account})
	if err != nil {
		return fmt.Errorf("read account %s: %w", account, err)
	}
	if len(found) == 1 && found[0].Currency != o.Currency {
		return fault.Bad("offering", offering, fmt.Sprintf("the offering is priced in %s, the account is kept in %s", o.Currency, found[0].Currency),
			"choose an offering in the account's currency")
	}
	b, err := accounts.BuyerTx(ctx, tx, s.Accounts(tx), s.Catalog, account, sub.Home, channel, sub.ID)
	if err != nil {
		return err
	}
	var c fault.Collector
	accounts.Eligible(&c, "offering", &o, b, s.Now().Unix())
	return c.Err()
}

// check is what an order must satisfy, given the subscription as the centre
// knows it; the home decides again when it executes.
func check(in feedrow.Order, sub accounts.Subscription) error {
	var c fault.Collector
	switch in.Action {
	case feedrow.ActionBar, feedrow.ActionUnbar, feedrow.ActionTerminate:
		c.Need(in.Offering == "", "offering", in.Offering, "this action changes no offering", "leave it out")
		c.Need(in.Amount == 0, "amount", in.Amount.String(), "this action debits nothing", "leave it out")
	case feedrow.ActionChange:
		c.Need(in.Offering != "", "offering", "", "no offering is named", "name the new offering")
		c.Need(in.Amount == 0, "amount", in.Amount.String(), "this action debits nothing", "leave it out")
	case feedrow.ActionDebit:
		c.Need(in.Amount > 0, "amount", in.Amount.String(), "a debit must be more than zero", `write e.g. "5.00"`)
		c.Need(in.Amount <= tariff.MaxPrice, "amount", in.Amount.String(), "the debit is too large", "debit at most "+tariff.MaxPrice.String())
		c.Need(in.Bucket == buckets.CashID(sub.Account), "bucket", in.Bucket, "the bucket is not the account's", "leave it out to debit the account's money")
	default:
		c.Need(false, "action", string(in.Action), "this is no action", "use bar, unbar, change_offering, terminate or debit")
	}
	c.Need(len(in.ID) <= 64, "id", in.ID, "the id is too long", "use at most 64 characters")
	c.Need(in.NotBefore >= 0 && in.NotBefore <= maxInstant, "not_before", fmt.Sprint(in.NotBefore), "this is no instant", "write Unix seconds, up to the year 9999")
	c.Need(in.Expires <= maxInstant, "expires", fmt.Sprint(in.Expires), "this is no instant", "write Unix seconds, up to the year 9999, or 0 for never")
	c.Need(in.Expires == 0 || in.Expires > in.NotBefore, "expires", fmt.Sprint(in.Expires), "the order would end before it may begin", "use a later instant, or 0 for never")
	c.Need(len(in.Reason) <= maxReason, "reason", in.Reason, "the reason is too long", fmt.Sprintf("use at most %d octets", maxReason))
	if sub.Terminated {
		c.Add(fault.New(fault.Conflict, "subscription", sub.ID, "the subscription is terminated", "name one that is served"))
	}
	return c.Err()
}

// EndOpen refuses a region's open orders: the epoch that they were placed in has ended.
func (s *Service) EndOpen(ctx context.Context, tx store.Tx, region, detail string) error {
	if err := s.Stores(tx).RefuseOpen(ctx, region, detail, s.Now().UnixMicro()); err != nil {
		return fmt.Errorf("refuse the open orders of region %s: %w", region, err)
	}
	return nil
}

// Answered records what a region's entries say about orders and carries executed
// ones over to the centre's copy of the subscription. Answers about orders that
// are unknown, of another region, or answered before are returned, not recorded.
func (s *Service) Answered(ctx context.Context, tx store.Tx, region string, answers []Answer) ([]Answer, error) {
	if len(answers) == 0 {
		return nil, nil
	}
	ids := make([]string, len(answers))
	for i, a := range answers {
		ids[i] = a.Order
	}
	slices.Sort(ids)
	found, err := s.Stores(tx).Get(ctx, slices.Compact(ids))
	if err != nil {
		return nil, fmt.Errorf("read %d orders: %w", len(ids), err)
	}
	open := make(map[string]*Order, len(found))
	for i := range found {
		if o := &found[i]; o.Status == Open && o.Region == region {
			open[o.ID] = o
		}
	}
	var take, odd []Answer
	var executed []*Order
	for _, a := range answers {
		o := open[a.Order]
		if o == nil {
			odd = append(odd, a)
			continue
		}
		delete(open, a.Order)
		take = append(take, a)
		if a.Status == Executed {
			executed = append(executed, o)
		}
	}
	if len(take) > 0 {
		if err := s.Stores(tx).SetAnswers(ctx, take); err != nil {
			return nil, fmt.Errorf("record %d answers: %w", len(take), err)
		}
	}
	return odd, s.project(ctx, tx, executed)
}

func (s *Service) project(ctx context.Context, tx store.Tx, executed []*Order) error {
	var ids []string
	for _, o := range executed {
		if o.Action != feedrow.ActionDebit {
			ids = append(ids, o.Subscription)
		}
	}
	if len(ids) == 0 {
		return nil
	}
	slices.Sort(ids)
	subs, err := s.Accounts(tx).Subscriptions(ctx, slices.Compact(ids))
	if err != nil {
		return fmt.Errorf("read %d subscriptions: %w", len(ids), err)
	}
	for _, o := range executed {
		for i := range subs {
			if subs[i].ID == o.Subscription {
				Apply(&subs[i], &o.Order)
			}
		}
	}
	if err := s.Accounts(tx).SaveState(ctx, subs); err != nil {
		return fmt.Errorf("save %d subscriptions: %w", len(subs), err)
	}
	return nil
}

// Apply changes the centre's copy of a subscription as an executed order did.
func Apply(sub *accounts.Subscription, o *feedrow.Order) {
	switch o.Action {
	case feedrow.ActionBar:
		sub.Barred = true
	case feedrow.ActionUnbar:
		sub.Barred = false
	case feedrow.ActionTerminate:
		sub.Terminated = true
	case feedrow.ActionChange:
		sub.Offering = o.Offering
	case feedrow.ActionDebit:
	}
}
