package cockroach_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"meridian/central"
	"meridian/central/accounts"
	"meridian/central/cockroach"
	"meridian/central/feed"
	"meridian/central/payments"
	"meridian/central/store"
	"meridian/central/store/storetest"
	"meridian/internal/journal"
	"meridian/internal/tariff"
	"meridian/replication/seal"
)

// benchAccounts is over how many accounts of a region the entries are spread.
const benchAccounts = 500

// BenchmarkIngest takes in batches of 1000 charges, from one region and from two
// at once. entries/s is the sum over regions.
func BenchmarkIngest(b *testing.B) {
	for _, regions := range []int{1, 2} {
		b.Run(fmt.Sprintf("regions=%d", regions), func(b *testing.B) { benchIngest(b, regions) })
	}
}

func benchIngest(b *testing.B, regions int) {
	db := migrated(b, cockroach.DefaultConfig())
	ring, err := seal.NewRing([]seal.Key{{ID: 1, Bytes: [32]byte{1}}})
	if err != nil {
		b.Fatal(err)
	}
	rings := central.Rings{}
	n := 0
	sv := central.NewServices(db, central.Deps{Now: time.Now, NewID: func() string { n++; return fmt.Sprint("id-", n) }, Sealer: rings, Feed: feed.DefaultConfig()})
	if _, err := sv.Catalog.Publish(b.Context(), []tariff.Offering{storetest.Offering("prepaid")}); err != nil {
		b.Fatal(err)
	}
	edges := make([]*storetest.Edge, regions)
	for r := range edges {
		name := fmt.Sprint("region-", r)
		rings[name] = ring
		if _, err := sv.Registry.Create(b.Context(), name); err != nil {
			b.Fatal(err)
		}
		if err := benchSubscribers(b.Context(), db, sv, name); err != nil {
			b.Fatal(err)
		}
		edges[r] = benchEdge(name, b.N)
	}
	retries := db.Stats().Retries.Load()
	b.ResetTimer()
	var wg sync.WaitGroup
	for _, e := range edges {
		wg.Go(func() {
			for i := range uint64(b.N) {
				if _, refused, err := sv.Regions.Ingest(b.Context(), e.Region, e.Batch(1+1000*i, 1000+1000*i)); err != nil || refused != nil {
					b.Errorf("%v, %v", refused, err)
					return
				}
			}
		})
	}
	wg.Wait()
	b.StopTimer()
	b.ReportMetric(float64(b.N*1000*regions)/b.Elapsed().Seconds(), "entries/s")
	b.ReportMetric(float64(db.Stats().Retries.Load()-retries)/float64(b.N*regions), "retries/batch")
}

func benchSubscribers(ctx context.Context, db *cockroach.DB, sv *central.Services, region string) error {
	var customers []accounts.NewCustomer
	var opened []accounts.NewAccount
	var subs []accounts.NewSubscription
	var deposits []payments.Deposit
	for i := range benchAccounts {
		id := fmt.Sprintf("%s-%d", region, i)
		customers = append(customers, accounts.NewCustomer{ID: "c-" + id, Kind: accounts.Individual, Name: id})
		opened = append(opened, accounts.NewAccount{ID: "a-" + id, Customer: "c-" + id, Currency: "EUR"})
		subs = append(subs, accounts.NewSubscription{ID: "s-" + id, Account: "a-" + id, Home: region, Login: id, Password: "pw", Offering: "prepaid"})
		deposits = append(deposits, payments.Deposit{Key: id, Account: "a-" + id, Amount: 1e12, Currency: "EUR", Method: "bank"})
	}
	return db.Do(ctx, "prepare", func(ctx context.Context, tx store.Tx) error {
		if _, err := sv.Accounts.CreateCustomersTx(ctx, tx, customers); err != nil {
			return err
		}
		if _, err := sv.Accounts.OpenAccountsTx(ctx, tx, opened); err != nil {
			return err
		}
		if _, err := sv.Accounts.SubscribeTx(ctx, tx, subs); err != nil {
			return err
		}
		_, err := sv.Payments.DepositsTx(ctx, tx, deposits)
		return err
	})
}

// benchEdge makes batches of 1000 entries: a usage record and its charge by turns.
func benchEdge(region string, batches int) *storetest.Edge {
	e := storetest.NewEdge(region)
	for i := range batches * 500 {
		name := fmt.Sprintf("%s-%d", region, i%benchAccounts)
		usage := storetest.Usage(name, 1e6)
		charge := storetest.Charge(name, 1000)
		charge.Kind = journal.KindCharge
		e.Add(usage, charge)
	}
	return e
}
