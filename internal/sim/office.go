package sim

import (
	"context"
	"errors"
	"fmt"
	"time"

	"meridian/central"
	"meridian/central/accounts"
	centralfeed "meridian/central/feed"
	"meridian/central/payments"
	"meridian/internal/feed"
	"meridian/internal/money"
	"meridian/internal/sim/memstore"
	"meridian/internal/tariff"
	"meridian/replication/link"
	"meridian/replication/seal"
)

// office is the centre and the people who work there.
type office struct {
	w        *World
	store    *memstore.Store
	services *central.Services
	sink     link.Sink
	deadTill time.Duration // the centre is down until then
	serial   int
	deposits map[string]money.Amount
	paid     []payments.Payment
	claimed  map[string]money.Amount // taken back, by account
	orders   map[string]feed.Order
	cuts     int
}

func newOffice(w *World) (*office, error) {
	ring, err := seal.NewRing([]seal.Key{{ID: 1, Bytes: [32]byte{1, 2, 3}}})
	if err != nil {
		return nil, err
	}
	database := memstore.New()
	if w.cfg.FailCommits {
		database = memstore.NewFailingFirstCommits()
	}
	o := &office{w: w, store: database, deposits: map[string]money.Amount{}, claimed: map[string]money.Amount{}, orders: map[string]feed.Order{}}
	o.services = central.NewServices(o.store, central.Deps{
		Now: w.clock, NewID: func() string { o.serial++; return fmt.Sprintf("id-%06d", o.serial) },
		Sealer: central.Rings{"north": ring, "south": ring}, Feed: centralfeed.DefaultConfig(),
	})
	o.sink = o.services.Regions
	return o, nil
}

// survives is false when the centre dies right after what it just committed.
func (o *office) survives() bool {
	if o.w.chance(o.w.cfg.Faults.CentreCrash) {
		o.cuts++
		o.deadTill = o.w.now + o.w.upTo(20*time.Second)
		return false
	}
	return true
}

// stale delivers an old batch once more: it must change nothing.
func (o *office) stale(region string, b link.Batch) {
	if _, _, err := o.sink.Ingest(context.Background(), region, b); err != nil {
		o.w.audit.fail("an old batch: %v", err)
	}
}

// cheapAfter is from how many octets of a session on the volume offering costs half.
const cheapAfter = 300_000_000

// volume costs the same at any time of the day, by two rates.
func volume(version uint32, validFrom int64, price money.Amount) tariff.Offering {
	rate := tariff.Rate{Mode: tariff.Graduated, Tiers: []tariff.Tier{{UpTo: cheapAfter, Price: tariff.Price{Amount: price, Per: perGB}}, {Price: tariff.Price{Amount: price, Per: 2 * perGB}}}}
	day := rate
	day.Window = "day"
	return tariff.Offering{
		ID: "volume", Version: version, Name: "Volume", Currency: "EUR", ValidFrom: validFrom, Service: "internet",
		Windows:     []tariff.Window{{Name: "day", From: 6*3600 + 1800, To: 18 * 3600}},
		Usage:       []tariff.Usage{{Name: "usage", Unit: tariff.Bytes, Rates: []tariff.Rate{rate, day}}},
		Reservation: tariff.Reservation{Quota: 50_000_000, TTLSeconds: 300},
		Profile:     tariff.Profile{SessionLimit: 1, InterimSeconds: 60, UpBps: 4_000_000, DownBps: 16_000_000},
		Overrun:     tariff.Owed, OfflineAllowance: 200_000,
	}
}

// perGB is the unit of the volume offering's price, in octets.
const perGB = 1_000_000_000

// What the flat rate brings each day, in octets: the subscription's own, of which a
// part may be kept, and a pool of the account's with a limit for each.
const (
	ownBytes, keptBytes   = 60_000_000, 30_000_000
	poolBytes, childBytes = 100_000_000, 70_000_000
)

// dayPrice is what a day of the flat rate costs, in micro-units.
const dayPrice = money.Micro

func flatRate() tariff.Offering {
	return tariff.Offering{
		ID: "flat", Version: 1, Name: "Flat", Currency: "EUR", ValidFrom: epochStart.Unix() - 1, Service: "internet",
		Recurring: tariff.EachDays(dayPrice, 1),
		Usage:     tariff.PerUnit(tariff.Bytes, 0, perGB),
		Allowances: []tariff.Allowance{
			{Name: "own", Unit: tariff.Bytes, Amount: ownBytes, Priority: -2, Every: &tariff.Period{Unit: tariff.Day, Count: 1}, Rollover: &tariff.Rollover{Max: keptBytes, Add: true}},
			{Name: "pool", Unit: tariff.Bytes, Amount: poolBytes, Priority: -1, Every: &tariff.Period{Unit: tariff.Day, Count: 1}, Anchor: tariff.Calendar,
				Shared: &tariff.Shared{Pool: "family", PerChild: childBytes}},
		},
		Profile: tariff.Profile{SessionLimit: 2, InterimSeconds: 60}, Overrun: tariff.Absorbed,
	}
}

// open founds the centre, the region and its subscribers.
func (w *World) open() error {
	o, err := newOffice(w)
	if err != nil {
		return err
	}
	w.office = o
	ctx := context.Background()
	var errs []error
	for _, r := range w.regions {
		_, err = o.services.Registry.Create(ctx, r.name)
		errs = append(errs, err)
	}
	_, err = o.services.Catalog.Publish(ctx, []tariff.Offering{volume(0, epochStart.Unix()-1, 5*money.Micro), flatRate()})
	errs = append(errs, err)
	for i, r := range w.regions {
		_, err = o.services.Accounts.RegisterNAS(ctx, accounts.NewNAS{ID: r.nas, Region: r.name, Address: fmt.Sprintf("127.0.2.%d", i+1), Vendor: "generic", Secret: "s3cret-of-nas"})
		errs = append(errs, err)
	}
	_, err = o.services.Accounts.CreateCustomer(ctx, accounts.NewCustomer{ID: "cust", Kind: "individual", Name: "Customer"})
	errs = append(errs, err)
	for i := range w.cfg.Subscribers {
		p := newSubscriber(w, i)
		w.people = append(w.people, p)
		if _, open := o.deposits[p.account]; !open {
			_, err = o.services.Accounts.OpenAccount(ctx, accounts.NewAccount{ID: p.account, Customer: "cust", Currency: "EUR"})
			errs = append(errs, err)
		}
		_, err = o.services.Accounts.Subscribe(ctx, accounts.NewSubscription{ID: p.id, Account: p.account, Home: p.region.name, Login: p.login, Password: "password-of-" + p.login, Offering: p.offering})
		errs = append(errs, err)
		o.deposit(p, money.Amount(w.rng.IntN(3*money.Micro)+1))
	}
	if err := errors.Join(errs...); err != nil {
		return err
	}
	for _, r := range w.regions {
		r.elect()
		w.every(time.Second, 10*time.Minute, r.second)
		w.every(250*time.Millisecond, 5*time.Minute, r.step)
	}
	w.every(500*time.Millisecond, 5*time.Minute, o.sequence)
	w.every(7*time.Second, time.Hour, o.business)
	w.every(97*time.Second, 11*time.Hour, w.audit.midway)
	for _, p := range w.people {
		w.after(time.Second+w.upTo(20*time.Second), p.act)
	}
	return nil
}

func (o *office) sequence() {
	if _, err := o.services.Sequencer.Step(context.Background()); err != nil {
		o.w.audit.fail("sequencer: %v", err)
	}
}

// deposit pays in, sometimes twice with one key.
func (o *office) deposit(p *subscriber, amount money.Amount) {
	o.serial++
	d := payments.Deposit{Key: fmt.Sprintf("pay-%d", o.serial), Account: p.account, Amount: amount, Currency: "EUR", Method: "bank"}
	received := o.w.paying(p.account, amount)
	for i := range 1 + o.w.rng.IntN(2) {
		paid, err := o.services.Payments.Deposit(context.Background(), d)
		if err != nil {
			o.w.audit.fail("deposit: %v", err)
			return
		}
		if i == 0 {
			o.paid = append(o.paid, paid)
		}
	}
	received()
	o.deposits[p.account] += amount
}

// chargeback takes a payment back, whole or in part, whatever became of the money.
func (o *office) chargeback() {
	i := o.w.rng.IntN(len(o.paid))
	left := &o.paid[i]
	if left.Amount == 0 {
		return
	}
	taken := left.Amount
	if o.w.rng.IntN(2) == 0 {
		taken = 1 + money.Amount(o.w.rng.Int64N(int64(taken)))
	}
	if _, err := o.services.Payments.Chargeback(context.Background(), payments.Taken{Payment: left.ID, Amount: taken, Reason: "the bank took it back"}); err != nil {
		o.w.audit.fail("chargeback: %v", err)
		return
	}
	left.Amount -= taken
	o.claimed[left.Account] += taken
}

// business is what people do at the centre while the region runs.
func (o *office) business() {
	if o.w.calm || len(o.w.people) == 0 {
		return
	}
	p := o.w.people[o.w.rng.IntN(len(o.w.people))]
	switch o.w.rng.IntN(9) {
	case 8:
		o.chargeback()
	case 0, 1, 2, 3:
		o.deposit(p, money.Amount(o.w.rng.IntN(2*money.Micro)+1))
	case 4:
		price := money.Amount(1+o.w.rng.IntN(9)) * money.Micro
		if _, err := o.services.Catalog.Publish(context.Background(), []tariff.Offering{volume(0, o.w.unix()+int64(o.w.rng.IntN(30)), price)}); err != nil {
			o.w.audit.fail("price change: %v", err)
		}
	default:
		order := feed.Order{Subscription: p.id, Action: feed.ActionDebit, Bucket: p.account + "/cash", Amount: money.Amount(o.w.rng.IntN(money.Micro) + 1)}
		switch o.w.rng.IntN(6) {
		case 0, 1:
			order = feed.Order{Subscription: p.id, Action: []feed.Action{feed.ActionBar, feed.ActionUnbar}[o.w.rng.IntN(2)]}
		case 2:
			order = feed.Order{Subscription: p.id, Action: feed.ActionChange, Offering: []string{"volume", "flat"}[o.w.rng.IntN(2)]}
		}
		switch o.w.rng.IntN(6) {
		case 0, 1:
			order.NotBefore = o.w.unix() + int64(o.w.rng.IntN(60))
		case 2:
			order.Expires = o.w.unix() + int64(o.w.rng.IntN(60))
		}
		placed, err := o.services.Orders.Place(context.Background(), order)
		if err != nil {
			o.w.audit.fail("order: %v", err)
			return
		}
		o.orders[placed.ID] = placed.Order
	}
}
