package accounts

import (
	"context"
	"fmt"

	"meridian/central/buckets"
	"meridian/central/fault"
	"meridian/central/feed"
	"meridian/central/store"
	feedrow "meridian/internal/feed"
	"meridian/internal/mschap"
	"meridian/internal/tariff"
)

// Subscribe is SubscribeTx for one, in a transaction of its own.
func (s *Service) Subscribe(ctx context.Context, in NewSubscription) (Subscription, error) {
	return one(ctx, s.Runner, "accounts.subscribe", in, s.SubscribeTx)
}

// SubscribeTx creates subscriptions. The first of an account makes its region
// the home of the account's money and leases all of it there; later ones must be
// at home in the same region.
func (s *Service) SubscribeTx(ctx context.Context, tx store.Tx, in []NewSubscription) ([]Subscription, error) {
	var c fault.Collector
	for i := range in {
		in[i].ID = s.id(in[i].ID)
		s.rules.subscription(&c, len(in), i, in[i])
	}
	if err := c.Err(); err != nil {
		return nil, err
	}
	known, err := s.references(ctx, tx, in)
	if err != nil {
		return nil, err
	}
	out := make([]Subscription, len(in))
	rows := make([]feed.Change, 0, 2*len(in))
	for i, n := range in {
		if err := s.eligible(ctx, tx, known, &c, len(in), i, n); err != nil {
			return nil, err
		}
		if err := known.admit(&c, len(in), i, n); err != nil {
			return nil, err
		}
		password, hash, err := s.sealPassword(n.Home, n.ID, n.Password)
		if err != nil {
			return nil, err
		}
		out[i] = Subscription{ID: n.ID, Account: n.Account, Home: n.Home, Login: n.Login, Password: password, NTHash: hash,
			Offering: n.Offering, Version: 1, CreatedAt: s.Now().UnixMicro()}
		row, err := rowOf(out[i])
		if err != nil {
			return nil, err
		}
		rows = append(rows, row)
	}
	if err := c.Err(); err != nil {
		return nil, err
	}
	if err := s.Stores(tx).InsertSubscriptions(ctx, out); err != nil {
		return nil, exists(err, "the subscription or login", "id", out[0].ID)
	}
	leaseRows, err := known.save(ctx, s.Buckets(tx))
	if err != nil {
		return nil, err
	}
	return out, s.Feed.Append(ctx, tx, append(rows, leaseRows...)...)
}

// sealPassword seals a password and its NT hash with the home's key.
func (s *Service) sealPassword(home, id, clear string) (password, hash []byte, err error) {
	password, err = s.Sealer.Seal(home, []byte(clear), []byte(feedrow.PasswordAAD(id)))
	if err != nil {
		return nil, nil, fmt.Errorf("seal the password of subscription %s: %w", id, err)
	}
	nt, err := mschap.NTHash(clear)
	if err != nil {
		return nil, nil, fmt.Errorf("hash the password of subscription %s: %w", id, err)
	}
	hash, err = s.Sealer.Seal(home, nt[:], []byte(feedrow.NTHashAAD(id)))
	if err != nil {
		return nil, nil, fmt.Errorf("seal the NT hash of subscription %s: %w", id, err)
	}
	return password, hash, nil
}

// references are what subscriptions name, read once for a whole batch.
type references struct {
	accounts  map[string]Account
	taken     map[string]bool
	offerings map[string]tariff.Offering
	epochs    map[string]uint64
	states    []buckets.State
	byBucket  map[string]int
	changed   map[string]bool
	buyers    map[string]*Buyer // by account
}

func (s *Service) references(ctx context.Context, tx store.Tx, in []NewSubscription) (*references, error) {
	k := &references{accounts: map[string]Account{}, taken: map[string]bool{}, offerings: map[string]tariff.Offering{},
		epochs: map[string]uint64{}, byBucket: map[string]int{}, changed: map[string]bool{}, buyers: map[string]*Buyer{}}
	var c fault.Collector
	ids, cash, logins := make([]string, len(in)), make([]string, len(in)), make([]string, len(in))
	for i, n := range in {
		ids[i], cash[i], logins[i] = n.Account, buckets.CashID(n.Account), n.Login
		if _, ok := k.offerings[n.Offering]; !ok {
			o, err := s.Catalog.Latest(ctx, tx, Path(len(in), i, "offering"), n.Offering)
			k.offerings[n.Offering] = o
			c.Add(err)
		}
		if _, ok := k.epochs[n.Home]; !ok {
			epoch, err := s.Regions.Epoch(ctx, tx, Path(len(in), i, "home"), n.Home)
			k.epochs[n.Home] = epoch
			c.Add(err)
		}
	}
	if err := c.Err(); err != nil {
		return nil, err
	}
	found, err := s.Stores(tx).Accounts(ctx, ids)
	if err != nil {
		return nil, fmt.Errorf("read accounts: %w", err)
	}
	for _, a := range found {
		k.accounts[a.ID] = a
	}
	taken, err := s.Stores(tx).LoginsTaken(ctx, logins)
	if err != nil {
		return nil, fmt.Errorf("read logins: %w", err)
	}
	for _, l := range taken {
		k.taken[l] = true
	}
	k.states, err = s.Buckets(tx).Load(ctx, cash)
	if err != nil {
		return nil, fmt.Errorf("read money buckets: %w", err)
	}
	for i := range k.states {
		k.byBucket[k.states[i].ID] = i
	}
	return k, nil
}

// admit checks the i-th request against what it refers to and leases the
// account's money to its home. Faults of the request go to c.
func (k *references) admit(c *fault.Collector, n, i int, in NewSubscription) error {
	account, ok := k.accounts[in.Account]
	at, hasBucket := k.byBucket[buckets.CashID(in.Account)]
	if !ok || !hasBucket {
		c.Add(fault.Missing(Path(n, i, "account"), in.Account, "the account", "open it first"))
		return nil
	}
	if k.taken[in.Login] {
		c.Add(fault.New(fault.Exists, Path(n, i, "login"), in.Login, "the login is taken", "choose another"))
		return nil
	}
	k.taken[in.Login] = true
	offering := k.offerings[in.Offering]
	c.Need(offering.Currency == account.Currency, Path(n, i, "offering"), in.Offering,
		fmt.Sprintf("the offering is priced in %s, the account is kept in %s", offering.Currency, account.Currency),
		"choose an offering in the account's currency, or open an account in the offering's")
	state := &k.states[at]
	if state.Home != "" && state.Home != in.Home {
		c.Add(fault.New(fault.Conflict, Path(n, i, "home"), in.Home, "the account's money is at home in region "+state.Home,
			"subscribe there, or open another account"))
		return nil
	}
	return k.lease(state, in.Home, int64(offering.OfflineAllowance))
}

// eligible checks whether the i-th offering may be sold to its account, which holds
// what stands before it in the request too.
func (s *Service) eligible(ctx context.Context, tx store.Tx, k *references, c *fault.Collector, n, i int, in NewSubscription) error {
	if _, known := k.accounts[in.Account]; !known {
		return nil // admit says so
	}
	o := k.offerings[in.Offering]
	b := k.buyers[in.Account]
	asks := len(o.Eligibility.CustomerTypes)+len(o.Eligibility.Segments) > 0
	at, has := k.byBucket[buckets.CashID(in.Account)]
	switch {
	case b == nil && !asks && has && k.states[at].Home == "": // its first subscription: it holds nothing
		b = &Buyer{Account: in.Account}
	case b == nil || asks && b.Kind == "":
		read, err := BuyerTx(ctx, tx, s.Stores(tx), s.Catalog, in.Account, in.Home, in.Channel, "")
		if err != nil {
			return err
		}
		if b != nil {
			read.Holds = b.Holds
		}
		b = read
	}
	k.buyers[in.Account] = b
	b.Home, b.Channel = in.Home, in.Channel
	Eligible(c, Path(n, i, "offering"), &o, b, s.Now().Unix())
	b.Holds = append(b.Holds, o)
	return nil
}

// lease makes region the home and grants it all that is unleased.
func (k *references) lease(state *buckets.State, region string, allowance int64) error {
	l, opened := state.Open(region, k.epochs[region])
	state.Home = region
	if opened {
		free, err := state.Unleased()
		if err != nil {
			return err
		}
		if _, err := state.Grant(l, free); err != nil {
			return err
		}
	}
	if opened || allowance > state.Allowance {
		k.changed[state.ID] = true
	}
	state.Allowance = max(state.Allowance, allowance)
	return nil
}

// save writes the buckets and leases that changed and returns their feed rows.
func (k *references) save(ctx context.Context, st buckets.Store) ([]feed.Change, error) {
	var rows []feed.Change
	var changed []buckets.Bucket
	var leases []buckets.Lease
	for i := range k.states {
		state := &k.states[i]
		if !k.changed[state.ID] {
			continue
		}
		l := state.Lease(state.Home, k.epochs[state.Home])
		row, err := state.Announce(l)
		if err != nil {
			return nil, err
		}
		rows, changed, leases = append(rows, row), append(changed, state.Bucket), append(leases, *l)
	}
	if len(changed) == 0 {
		return nil, nil
	}
	if err := st.SaveBuckets(ctx, changed); err != nil {
		return nil, fmt.Errorf("save %d buckets: %w", len(changed), err)
	}
	if err := st.SaveLeases(ctx, leases); err != nil {
		return nil, fmt.Errorf("save %d leases: %w", len(leases), err)
	}
	return rows, nil
}
