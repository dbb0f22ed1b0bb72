package sim

import (
	"context"
	"fmt"
	"math/big"
	"strconv"
	"strings"

	"meridian/internal/feed"
	"meridian/internal/journal"
	"meridian/internal/tariff"
	"meridian/internal/verify"
)

// books are what the auditor reads out of the regions' ledgers at the centre.
type books struct {
	entries          uint64
	charged, overrun int64
	quarantine       int
	given            int
	used             map[priced]int64 // octets
	taken            map[priced]int64 // charges and overrun
	stretch          map[journal.SessionKey]priced
	seen             map[journal.SessionKey]uint64 // octets
	spent            map[string]int64              // by account
	debited          map[string]int64              // by order
	answer           map[string]string             // by order
	barred           map[string]bool               // subscriptions, by the orders executed
	offering         map[string]string             // the same, where one changed it
	paidFrom         map[string]int64              // subscriptions, start of the newest period
	served           map[string]int64              // debited at the centre for claims, by account
	lent, repaid     map[string]int64              // by epochs that ended: claimed, and of that served, by account
	volume           map[string]*allowance         // by bucket
}

// priced is a stretch of a session that one version of an offering prices: it is
// rounded once.
type priced struct {
	session  journal.SessionKey
	number   int // of the stretch in its session
	offering string
	version  uint32
}

// read reads all ledgers and holds them against what was truly used, paid and
// ordered.
func (a *auditor) read(offerings []*tariff.Offering) (*books, error) {
	b := &books{
		used: map[priced]int64{}, taken: map[priced]int64{}, stretch: map[journal.SessionKey]priced{}, seen: map[journal.SessionKey]uint64{},
		spent: map[string]int64{}, debited: map[string]int64{}, answer: map[string]string{}, barred: map[string]bool{}, offering: map[string]string{}, paidFrom: map[string]int64{}, served: map[string]int64{}, lent: map[string]int64{}, repaid: map[string]int64{}, volume: map[string]*allowance{},
	}
	for _, r := range a.w.regions {
		err := a.w.office.store.Reader().Entries(context.Background(), r.name, func(_, _ uint64, raw []byte, _ journal.Hash) error {
			e, err := journal.DecodeEntry(raw)
			if err != nil {
				return err
			}
			b.entries++
			return a.take(b, &e)
		})
		if err != nil {
			return nil, err
		}
	}
	if err := a.usage(b, offerings); err != nil {
		return nil, err
	}
	if err := a.orders(b); err != nil {
		return nil, err
	}
	return b, a.accounts(b)
}

// take follows one entry.
func (a *auditor) take(b *books, e *journal.Entry) error {
	if e.Unit == tariffBytes {
		return b.allowance(e)
	}
	if e.Kind.Spends() {
		b.spent[e.Account] += e.Amount
		b.charged += e.Amount
	}
	switch e.Kind {
	case journal.KindUsage:
		at := b.stretch[e.Session]
		if at.offering != e.Usage.Offering || at.version != e.Usage.OfferingVersion {
			at = priced{e.Session, at.number + 1, e.Usage.Offering, e.Usage.OfferingVersion}
			b.stretch[e.Session] = at
		}
		octets := e.Usage.InOctets + e.Usage.OutOctets
		b.used[at] += int64(octets)
		b.seen[e.Session] += octets
	case journal.KindCharge:
		b.taken[b.stretch[e.Session]] += e.Amount
	case journal.KindOverrun:
		b.taken[b.stretch[e.Session]] += e.Amount
		b.overrun += e.Amount
	case journal.KindReversed:
		b.taken[b.stretch[e.Session]] -= e.Amount
	case journal.KindRefund:
		b.taken[b.stretch[e.Session]] -= e.Amount
	case journal.KindOrderDebit:
		b.debited[e.Ref] += e.Amount
	case journal.KindOrder:
		b.answer[e.Ref] = e.Detail
		if o := a.w.office.orders[e.Ref]; e.Detail == "executed" {
			if at := e.At / 1_000_000; at < o.NotBefore || o.Expires != 0 && at >= o.Expires {
				return fmt.Errorf("order %s was carried out at %d: not before %d, it expires at %d", e.Ref, at, o.NotBefore, o.Expires)
			}
			switch o.Action {
			case feed.ActionBar, feed.ActionUnbar:
				b.barred[o.Subscription] = o.Action == feed.ActionBar
			case feed.ActionChange:
				b.offering[o.Subscription] = o.Offering
			}
		}
	case journal.KindQuarantine:
		b.quarantine++
	case journal.KindRecurring:
		return a.period(b, e)
	}
	return nil
}

const tariffBytes = journal.Unit(tariff.Bytes)

// allowance is what the naive auditor knows of a bucket of octets.
type allowance struct {
	name string
	left int64
	from string           // period, as its entries name it
	by   map[string]int64 // used since it was given, by subscription
}

// allowance follows a bucket of octets: given once for a period, never more than
// the offering says, never below nothing, and no child above its limit. What was
// used in a period may be cut in the next: its end may see up to twice as much.
func (b *books) allowance(e *journal.Entry) error {
	v := b.volume[e.Bucket]
	if v == nil {
		v = &allowance{name: e.Detail, by: map[string]int64{}}
		b.volume[e.Bucket] = v
	}
	period := e.Ref[strings.LastIndexByte(e.Ref, '/')+1:]
	switch e.Kind {
	case journal.KindGiven:
		most := int64(poolBytes)
		if v.name == "own" {
			most = ownBytes
		}
		if e.Amount > most || len(period) < len(v.from) || len(period) == len(v.from) && period <= v.from {
			return fmt.Errorf("bucket %s (%s): %d were given for period %s, after period %s; the offering gives %d", e.Bucket, v.name, e.Amount, period, v.from, most)
		}
		v.left += e.Amount
		v.from, v.by = period, map[string]int64{}
		if v.name == "own" && v.left > 2*(ownBytes+keptBytes) {
			return fmt.Errorf("bucket %s: %d are left after %d were given and %d may be kept", e.Bucket, v.left, e.Amount, keptBytes)
		}
		b.given++
	case journal.KindCharge, journal.KindExpired:
		if v.left -= e.Amount; v.left < 0 {
			return fmt.Errorf("bucket %s (%s): %d more octets are spent than were given", e.Bucket, v.name, -v.left)
		}
		if v.by[e.Subscription] += e.Amount; e.Kind == journal.KindCharge && v.name == "pool" && v.by[e.Subscription] > 2*childBytes {
			return fmt.Errorf("bucket %s: subscription %s has %d octets of the pool, the limit is %d a period", e.Bucket, e.Subscription, v.by[e.Subscription], childBytes)
		}
	default:
		return fmt.Errorf("bucket %s of octets: an entry of kind %s", e.Bucket, e.Kind)
	}
	return nil
}

// day is the length of the flat rate's period, in seconds.
const day = 86400

// period takes a fee: whole, and no sooner than the period before has ended.
func (a *auditor) period(b *books, e *journal.Entry) error {
	from := e.Ref[strings.LastIndexByte(e.Ref, '/')+1:]
	start, err := strconv.ParseInt(from, 10, 64)
	if err != nil {
		return fmt.Errorf("fee of period %q: %w", e.Ref, err)
	}
	before, paid := b.paidFrom[e.Subscription]
	if paid && start < before+day {
		return fmt.Errorf("subscription %s paid for a day from %d, and again from %d", e.Subscription, before, start)
	}
	if e.Amount != dayPrice {
		return fmt.Errorf("subscription %s paid %d for a day, the price is %d", e.Subscription, e.Amount, dayPrice)
	}
	b.paidFrom[e.Subscription] = start
	return nil
}

// usage prices every session a second time: quantity × price ÷ per, rounded down
// once, in big integers.
func (a *auditor) usage(b *books, offerings []*tariff.Offering) error {
	for key, l := range a.lives {
		if truth := l.in + l.out; l.stopped && !l.ended && b.seen[key] != truth {
			return fmt.Errorf("session %s used %d octets, the ledger has %d", key, truth, b.seen[key])
		}
	}
	price := map[uint32]*tariff.Offering{}
	for _, o := range offerings {
		if o.ID == "volume" {
			price[o.Version] = o
		}
	}
	for k, quantity := range b.used {
		if k.offering != "volume" {
			if k.offering == "flat" && b.taken[k] != 0 {
				return fmt.Errorf("session %s by offering %s: %d was taken for usage that costs nothing", k.session, k.offering, b.taken[k])
			}
			continue
		}
		u := price[k.version].Usage[0].Rates[0].Tiers[0].Price
		halves := quantity + min(quantity, cheapAfter) // octets at half the price
		want := new(big.Int).Mul(big.NewInt(halves), big.NewInt(int64(u.Amount)))
		want.Quo(want, big.NewInt(2*u.Per))
		if want.Int64() != b.taken[k] {
			return fmt.Errorf("session %s by version %d: %d octets are worth %s, %d was taken", k.session, k.version, quantity, want, b.taken[k])
		}
	}
	return nil
}

// orders checks that each was answered, and that a debit took what it said or
// nothing.
func (a *auditor) orders(b *books) error {
	for id, o := range a.w.office.orders {
		want := int64(0)
		if b.answer[id] == "executed" && o.Action == feed.ActionDebit {
			want = int64(o.Amount)
		}
		if b.answer[id] == "" || b.debited[id] != want {
			return fmt.Errorf("order %s (%s of %d) was answered %q and took %d", id, o.Action, o.Amount, b.answer[id], b.debited[id])
		}
	}
	return nil
}

// accounts compares what was paid in and spent with the centre's rows.
func (a *auditor) accounts(b *books) error {
	byLease := map[string]int64{}
	err := a.w.office.store.Reader().Buckets(context.Background(), func(c verify.CentreBucket) error {
		if c.Unit == tariffBytes {
			return nil
		}
		for _, l := range c.Leases {
			byLease[c.Account] += l.S
		}
		b.served[c.Account] += c.Debited
		for _, claim := range c.Claims {
			if strings.HasPrefix(claim.ID, "debt/") {
				b.lent[c.Account] += claim.Amount
				b.repaid[c.Account] += claim.Served
			}
		}
		if claimed := a.w.office.claimed[c.Account]; c.Debited > int64(claimed)+b.lent[c.Account] {
			return fmt.Errorf("account %s had %s taken back, the centre debited %d", c.Account, claimed, c.Debited)
		}
		if paid := a.w.office.deposits[c.Account]; c.Credited != int64(paid) {
			return fmt.Errorf("account %s paid in %s, the centre credited %d", c.Account, paid, c.Credited)
		}
		return nil
	})
	if err != nil {
		return err
	}
	for account, n := range b.spent {
		if byLease[account] != n {
			return fmt.Errorf("account %s spent %d by its entries, %d by its lease", account, n, byLease[account])
		}
	}
	return nil
}
