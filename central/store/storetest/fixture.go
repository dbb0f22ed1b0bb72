// Package storetest is the contract that every backend of the centre keeps: the
// real services run over it, and what they leave behind is checked. The database
// and the memory store pass the same tests.
//
// It owns the tests and a small stand-in for a region's edge. It starts no
// database.
package storetest

import (
	"context"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"meridian/central"
	"meridian/central/accounts"
	"meridian/central/feed"
	"meridian/central/payments"
	"meridian/internal/journal"
	"meridian/internal/money"
	"meridian/internal/tariff"
	"meridian/internal/verify"
	"meridian/replication/identity"
	"meridian/replication/link"
	"meridian/replication/seal"
)

// Opener gives an empty, migrated backend for one test, and how verify reads it.
type Opener func(t *testing.T) (central.Backend, func() verify.CentreReader)

// World is a centre with one region, north, and one offering.
type World struct {
	*central.Services
	T       *testing.T
	Ctx     context.Context
	Backend central.Backend
	Reader  func() verify.CentreReader
	Rings   central.Rings
	CA      *identity.CA
	clock   atomic.Int64
	ids     atomic.Int64
}

// start is when the tests begin: 2026-11-21 00:00 UTC, in microseconds.
const start = 1_795_219_200_000_000

// NewWorld opens a backend and sets the world up.
func NewWorld(t *testing.T, open Opener) *World {
	t.Helper()
	w := bare(t, open)
	w.Region("north")
	if _, err := w.Catalog.Publish(w.Ctx, []tariff.Offering{Offering("prepaid")}); err != nil {
		t.Fatal(err)
	}
	return w
}

func bare(t *testing.T, open Opener) *World {
	t.Helper()
	b, reader := open(t)
	ca, err := identity.NewCA("storetest", time.UnixMicro(start), 24*time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	verifier, err := identity.NewVerifier(ca.Certificate())
	if err != nil {
		t.Fatal(err)
	}
	w := &World{T: t, Ctx: t.Context(), Backend: b, Reader: reader, Rings: central.Rings{}, CA: ca}
	w.clock.Store(start)
	w.Services = central.NewServices(b, central.Deps{
		// Every look at the clock is a millisecond later, so that instants order what happened.
		Now:    func() time.Time { return time.UnixMicro(w.clock.Add(1000)).UTC() },
		NewID:  func() string { return fmt.Sprintf("id-%06d", w.ids.Add(1)) },
		Sealer: w.Rings, Feed: feed.DefaultConfig(),
		VerifyHead: func(h journal.SignedHead) error {
			return verifier.Verify(h.Certificate, h.Message(), h.Signature, identity.Node(h.Region, h.Node), time.UnixMicro(h.At))
		},
	})
	return w
}

// Region creates a region with a key ring of its own.
func (w *World) Region(name string) {
	w.T.Helper()
	key := seal.Key{ID: 1}
	copy(key.Bytes[:], "key of "+name+strings.Repeat("x", 32))
	ring, err := seal.NewRing([]seal.Key{key})
	if err != nil {
		w.T.Fatal(err)
	}
	w.Rings[name] = ring
	if _, err := w.Registry.Create(w.Ctx, name); err != nil {
		w.T.Fatal(err)
	}
}

// Offering is prepaid by volume: 1.00 EUR for each GB.
func Offering(id string) tariff.Offering {
	return tariff.Offering{ID: id, Name: "Prepaid", Currency: "EUR", Service: "internet",
		Usage:       tariff.PerUnit(tariff.Bytes, money.Micro, 1e9),
		Profile:     tariff.Profile{SessionLimit: 1, InterimSeconds: 60},
		Reservation: tariff.Reservation{Quota: 1e7, TTLSeconds: 180}, Overrun: tariff.Owed, OfflineAllowance: 500_000}
}

// Subscriber makes a customer, an account "a-<name>" and a subscription
// "s-<name>" in a region.
func (w *World) Subscriber(name, region string) {
	w.T.Helper()
	_, err := w.Accounts.CreateCustomer(w.Ctx, accounts.NewCustomer{ID: "c-" + name, Kind: accounts.Individual, Name: "Customer " + name})
	w.must(err)
	_, err = w.Accounts.OpenAccount(w.Ctx, accounts.NewAccount{ID: "a-" + name, Customer: "c-" + name, Currency: "EUR"})
	w.must(err)
	_, err = w.Accounts.Subscribe(w.Ctx, accounts.NewSubscription{ID: "s-" + name, Account: "a-" + name, Home: region,
		Login: name, Password: "pw-" + name, Offering: "prepaid"})
	w.must(err)
}

// Deposit pays into a subscriber's account.
func (w *World) Deposit(name, key string, amount money.Amount) payments.Payment {
	w.T.Helper()
	p, err := w.Payments.Deposit(w.Ctx, payments.Deposit{Key: key, Account: "a-" + name, Amount: amount, Currency: "EUR", Method: "bank"})
	w.must(err)
	return p
}

// Drain numbers all of the feed.
func (w *World) Drain() {
	w.T.Helper()
	for {
		n, err := w.Sequencer.Step(w.Ctx)
		w.must(err)
		if n == 0 {
			return
		}
	}
}

func (w *World) must(err error) {
	w.T.Helper()
	if err != nil {
		w.T.Fatal(err)
	}
}

// Edge stands in for a region's leader: it chains entries and remembers them.
type Edge struct {
	Region string
	Epoch  uint64
	Raw    [][]byte
	Hashes []journal.Hash // Hashes[i] is the hash after i entries
}

// NewEdge returns an edge with an empty ledger in epoch 1.
func NewEdge(region string) *Edge {
	return &Edge{Region: region, Epoch: 1, Hashes: []journal.Hash{{}}}
}

// Add chains entries; region, epoch and seq are filled in, time too if it is 0.
func (e *Edge) Add(entries ...journal.Entry) {
	for _, n := range entries {
		n.Region, n.Epoch, n.Seq = e.Region, e.Epoch, uint64(len(e.Raw)+1)
		if n.At == 0 {
			n.At = start + int64(n.Seq)*1_000_000
		}
		e.AddRaw(n.Encode())
	}
}

// AddRaw chains bytes as they are.
func (e *Edge) AddRaw(raw []byte) {
	e.Raw = append(e.Raw, raw)
	e.Hashes = append(e.Hashes, journal.Chain(e.Hashes[len(e.Hashes)-1], raw))
}

// Batch is the entries first…last.
func (e *Edge) Batch(first, last uint64) link.Batch {
	prev, head := e.Hashes[first-1], e.Hashes[last]
	return link.Batch{Epoch: e.Epoch, FirstSeq: first, PrevHash: prev[:], Entries: e.Raw[first-1 : last], HeadHash: head[:]}
}

// All is the whole ledger in one batch.
func (e *Edge) All() link.Batch { return e.Batch(1, uint64(len(e.Raw))) }

// Charge is a charge of a subscriber's money.
func Charge(name string, amount int64) journal.Entry {
	return journal.Entry{Kind: journal.KindCharge, Account: "a-" + name, Subscription: "s-" + name, Bucket: "a-" + name + "/cash",
		Unit: "EUR", Amount: amount, Session: journal.SessionKey{NAS: "nas-1", ID: "sess-" + name, Start: start / 1e6}, Cut: 1, Ref: "prepaid@1/usage"}
}

// Moved is an entry of another kind that raises a total of the same lease.
func Moved(kind journal.Kind, name string, amount int64) journal.Entry {
	return journal.Entry{Kind: kind, Account: "a-" + name, Subscription: "s-" + name, Bucket: "a-" + name + "/cash", Unit: "EUR", Amount: amount}
}

// Usage is a usage record.
func Usage(name string, octets uint64) journal.Entry {
	e := Charge(name, 0)
	e.Kind, e.Bucket, e.Unit = journal.KindUsage, "", ""
	e.Usage = &journal.UsageRecord{Number: 1, InOctets: octets, Service: "internet"}
	return e
}

// Overrun is usage that nothing could pay.
func Overrun(name string, amount int64, detail string) journal.Entry {
	return journal.Entry{Kind: journal.KindOverrun, Account: "a-" + name, Subscription: "s-" + name, Unit: "EUR", Amount: amount, Quantity: amount, Detail: detail}
}

// Epoch is the first entry of an edge's first epoch.
func Epoch() journal.Entry {
	return journal.Entry{Kind: journal.KindEpoch, Ref: strings.Repeat("0", 64)}
}

// Ingest takes a batch in and fails the test unless it is acknowledged.
func (w *World) Ingest(e *Edge, b link.Batch) link.Ack {
	w.T.Helper()
	ack, refused, err := w.Regions.Ingest(w.Ctx, e.Region, b)
	w.must(err)
	if refused != nil {
		w.T.Fatalf("batch refused: %v", refused)
	}
	return ack
}
