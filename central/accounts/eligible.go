package accounts

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"meridian/central/fault"
	"meridian/central/store"
	"meridian/internal/tariff"
)

// Buyer is who takes an offering, and where. Holds are the offerings of the account's
// other subscriptions that are not terminated.
type Buyer struct {
	Account string
	Kind    CustomerKind
	Segment string
	Home    string
	Channel string // of the sale, "" = not said
	Holds   []tariff.Offering
}

// Eligible reports, under a field, why an offering may not be sold to a buyer at an
// instant (Unix seconds): its regions, the dates of its sale, customer types,
// segments and channels, that a company's own price is that company's, and the
// offerings that have to be held with it, or must not be, whichever of the two says so.
func Eligible(c *fault.Collector, field string, o *tariff.Offering, b *Buyer, now int64) {
	e := &o.Eligibility
	date := func(at int64) string { return time.Unix(at, 0).UTC().Format(time.RFC3339) }
	among := func(list []string, value, what, remedy string) {
		c.Need(len(list) == 0 || slices.Contains(list, value), field, o.ID, what, remedy+strings.Join(list, ", ")+", or choose another offering")
	}
	among(e.Regions, b.Home, "the offering is not sold in region "+b.Home, "sell it in ")
	c.Need(now >= e.From, field, o.ID, "the sale of the offering begins at "+date(e.From), "wait, or choose another offering")
	c.Need(e.Until == 0 || now < e.Until, field, o.ID, "the sale of the offering ended at "+date(e.Until), "choose another offering")
	c.Need(o.Company == "" || o.Company == b.Account, field, o.ID, "the offering is the price of account "+o.Company+" alone", "choose offering "+o.PriceOf)
	kind := tariff.Person
	if b.Kind == Company {
		kind = tariff.Company
	}
	among(e.CustomerTypes, kind, "the offering is not sold to a customer of type "+kind, "sell it to ")
	among(e.Segments, b.Segment, "the offering is not sold to customers of segment "+cmp.Or(b.Segment, "(none)"), "sell it to ")
	among(e.Channels, b.Channel, "the offering is not sold in channel "+cmp.Or(b.Channel, "(not said)"), "sell it, and say so in channel, in ")
	holds := func(id string) bool {
		return slices.ContainsFunc(b.Holds, func(h tariff.Offering) bool { return h.ID == id })
	}
	for _, id := range o.Requires {
		c.Need(holds(id), field, o.ID, "the offering needs offering "+id, "subscribe the account to "+id+" first")
	}
	for i := range b.Holds {
		h := &b.Holds[i]
		c.Need(!slices.Contains(o.Excludes, h.ID) && !slices.Contains(h.Excludes, o.ID), field, o.ID, "the offering cannot be held with offering "+h.ID, "end that first, or choose another offering")
	}
}

// BuyerTx reads who an account's customer is and what it holds, but for one
// subscription ("" = none), for a sale in a region and channel.
func BuyerTx(ctx context.Context, tx store.Tx, st Store, catalog Catalog, account, home, channel, but string) (*Buyer, error) {
	b := &Buyer{Account: account, Home: home, Channel: channel}
	found, err := st.Accounts(ctx, []string{account})
	if err != nil {
		return nil, fmt.Errorf("read account %s: %w", account, err)
	}
	if len(found) == 1 {
		people, err := st.Customers(ctx, []string{found[0].Customer})
		if err != nil {
			return nil, fmt.Errorf("read customer %s: %w", found[0].Customer, err)
		}
		if len(people) == 1 {
			b.Kind, b.Segment = people[0].Kind, people[0].Segment
		}
	}
	subs, err := st.SubscriptionsOf(ctx, account)
	if err != nil {
		return nil, fmt.Errorf("read the subscriptions of account %s: %w", account, err)
	}
	for i := range subs {
		if subs[i].Terminated || subs[i].ID == but {
			continue
		}
		o, err := catalog.Latest(ctx, tx, "offering", subs[i].Offering)
		if err != nil {
			return nil, err
		}
		b.Holds = append(b.Holds, o)
	}
	return b, nil
}
