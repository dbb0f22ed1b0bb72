package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"meridian/central"
	"meridian/central/access"
	"meridian/central/accounts"
	"meridian/central/api"
	"meridian/central/catalog"
	centralfeed "meridian/central/feed"
	"meridian/central/payments"
	"meridian/central/store/storetest"
	"meridian/edge/command"
	"meridian/edge/fsm"
	"meridian/internal/feed"
	"meridian/internal/journal"
	"meridian/internal/money"
	"meridian/internal/sim/memstore"
	"meridian/replication/seal"
)

const exportedSheet = `
- {id: calls, name: Calls, currency: EUR, valid_from: "2026-01-01T00:00:00Z", service: internet,
   usage: [{name: talk, unit: seconds, free: {units: 30s}, rates: [{fee: "0.05", first: 60s, next: 7s, price: 0.07 per minute}], max_event: "4.00"}],
   profile: {session_limit: 1, interim: 60s}, reservation: {quota: 600s, ttl: 600s}, overrun: owed}
- {id: data, name: Data, currency: EUR, valid_from: "2026-01-01T00:00:00Z", service: internet,
   usage: [{name: octets, unit: bytes, rates: [{mode: graduated, tiers: [{up_to: 5MB, price: 1.00 per GB}, {price: 3.00 per GB, step: 1KB}]}]}],
   profile: {session_limit: 1, interim: 60s}, reservation: {quota: 10MB, ttl: 600s}, overrun: owed}
`

// What a region recorded is exported, and rated from the file comes to what was
// charged: session by session.
func TestExportedUsageIsRatedToWhatWasCharged(t *testing.T) {
	ctx := t.Context()
	db := memstore.New()
	ring, err := seal.NewRing([]seal.Key{{ID: 1, Bytes: [32]byte{1}}})
	if err != nil {
		t.Fatal(err)
	}
	now, ids := int64(1_790_000_000), 0
	sv := central.NewServices(db, central.Deps{Now: func() time.Time { return time.Unix(now, 0).UTC() }, NewID: func() string { ids++; return fmt.Sprint("id-", ids) },
		Sealer: central.Rings{"north": ring}, Feed: centralfeed.DefaultConfig(), Catalog: catalog.Config{}})
	must := func(_ any, err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	const token = "an-admin-token-of-enough-letters"
	must(nil, sv.Access.Bootstrap(ctx, "root", access.HashToken(token)))
	must(sv.Registry.Create(ctx, "north"))
	drafts, err := catalog.Parse("sheet", []byte(exportedSheet))
	must(nil, err)
	must(sv.Catalog.Publish(ctx, drafts))
	must(sv.Accounts.CreateCustomer(ctx, accounts.NewCustomer{ID: "c", Kind: accounts.Individual, Name: "C"}))
	for i := range 6 {
		id := fmt.Sprint("u", i)
		must(sv.Accounts.OpenAccount(ctx, accounts.NewAccount{ID: id, Customer: "c", Currency: "EUR"}))
		must(sv.Accounts.Subscribe(ctx, accounts.NewSubscription{ID: id, Account: id, Home: "north", Login: id, Password: "pw-of-" + id, Offering: drafts[i%2].ID}))
		must(sv.Payments.Deposit(ctx, payments.Deposit{Key: id, Account: id, Amount: money.Amount(100_000 + 60_000*i*i), Currency: "EUR", Method: "bank"}))
	}
	charged, records := runRegion(t, ctx, sv, now)

	server := httptest.NewServer(api.New(api.Deps{Runner: db, Access: sv.Access, Usage: sv.Usage, Log: slog.New(slog.DiscardHandler)}))
	defer server.Close()
	var out, errs bytes.Buffer
	if code := run([]string{"ctl", "usage", "export", "--region", "north", "--url", server.URL, "--token", token}, &out, &errs); code != 0 || errs.Len() > 0 {
		t.Fatalf("export: exit %d: %s", code, errs.String())
	}
	if lines := strings.Count(out.String(), "\n"); lines != records+1 || records < 100 {
		t.Fatalf("%d lines of %d records", lines, records)
	}
	dir := t.TempDir()
	sheet, file := filepath.Join(dir, "sheet.yaml"), filepath.Join(dir, "usage.csv")
	must(nil, os.WriteFile(sheet, []byte(exportedSheet), 0o600))
	must(nil, os.WriteFile(file, out.Bytes(), 0o600))
	out.Reset()
	if code := run([]string{"rate", "--tariff", sheet, "--usage", file, "--json"}, &out, &errs); code != 0 {
		t.Fatalf("rate: exit %d: %s", code, errs.String())
	}
	rated := map[string]money.Amount{}
	for d := json.NewDecoder(&out); d.More(); {
		var line struct{ Session, Cost string }
		must(nil, d.Decode(&line))
		cost, err := money.Parse(line.Cost)
		must(nil, err)
		key, _, _ := strings.Cut(line.Session, "#")
		rated[key] += cost
	}
	var total money.Amount
	for session, want := range charged {
		total += want
		if rated[session] != want {
			t.Errorf("session %s: rated from the file at %s, charged %s", session, rated[session], want)
		}
	}
	if len(rated) != len(charged) || total < money.Micro {
		t.Errorf("%d sessions in the file, %d in the ledger, %s charged in all", len(rated), len(charged), total)
	}
}

// runRegion lets a region serve the subscribers for a while and takes its ledger
// in. It returns what each session was charged, overrun too, and how many usage
// records there are.
func runRegion(t *testing.T, ctx context.Context, sv *central.Services, now int64) (map[string]money.Amount, int) {
	t.Helper()
	s := fsm.New()
	do := func(c command.Command) {
		t.Helper()
		if res := s.Apply(c); res.Code != command.OK {
			t.Fatalf("%T: code %d, %s", c, res.Code, res.Reason)
		}
	}
	do(&command.Configure{Region: "north", Policy: command.DefaultPolicy()})
	do(&command.OpenEpoch{Epoch: 1})
	do(&command.SetMode{Mode: command.Connected})
	do(&command.Tick{Clocks: []int64{now * 1e6}})
	for n := 1; n > 0; {
		var err error
		if n, err = sv.Sequencer.Step(ctx); err != nil {
			t.Fatal(err)
		}
	}
	rows, err := sv.Sequencer.Rows(ctx, "north", 0, 1000)
	if err != nil {
		t.Fatal(err)
	}
	do(&command.Feed{Rows: append([]feed.Row(nil), rows...)})
	rng := rand.New(rand.NewPCG(5, 6))
	for k := range 20 {
		start := now
		var octets [6]uint64
		for age := int64(60); age <= 600; age += 60 {
			now = start + age
			do(&command.Tick{Clocks: []int64{now * 1e6}})
			if rng.IntN(3) == 0 {
				do(&command.CutAll{Limit: 1000})
			}
			for i := range 6 {
				octets[i] += rng.Uint64N(3_000_000)
				c := &command.Accounting{NAS: "nas", SessionID: fmt.Sprintf("%d-%d", k, i), Login: fmt.Sprint("u", i), Status: command.Interim,
					Event: now, Seconds: age - int64(i), Out: octets[i], Giga: true}
				if age == 600 {
					c.Status = command.Stop
				}
				do(c)
			}
		}
		now += 60
	}
	edge, charged, records := storetest.NewEdge("north"), map[string]money.Amount{}, 0
	for _, raw := range s.TakeEntries() {
		edge.AddRaw(raw.Raw)
		e, err := journal.DecodeEntry(raw.Raw)
		if err != nil {
			t.Fatal(err)
		}
		switch e.Kind {
		case journal.KindUsage:
			records++
			charged[e.Session.String()] += 0
		case journal.KindCharge, journal.KindOverrun:
			charged[e.Session.String()] += money.Amount(e.Amount)
		}
	}
	for first := uint64(1); first <= uint64(len(edge.Raw)); first += 1000 {
		if _, refused, err := sv.Regions.Ingest(ctx, "north", edge.Batch(first, min(first+999, uint64(len(edge.Raw))))); err != nil || refused != nil {
			t.Fatalf("batch from %d: %v %v", first, refused, err)
		}
	}
	return charged, records
}
