// Package usage gives a region's usage records as the events that `meridian rate`
// and `meridian catalog simulate` read: who used what, when, and what it cost.
//
// It only reads. It rates nothing, and knows no file format but the columns' names.
package usage

import (
	"context"
	"errors"
	"fmt"
	"time"

	"meridian/central/catalog"
	"meridian/central/fault"
	"meridian/central/ledger"
	"meridian/central/store"
	"meridian/internal/journal"
	"meridian/internal/money"
	"meridian/internal/sheet"
	"meridian/internal/tariff"
)

// MaxPage is the most records of one page.
const MaxPage = 2000

// Event is a row of a usage file; deploy/catalog/README.md describes the columns.
type Event struct {
	Subscription string `json:"subscription"`
	Offering     string `json:"offering"`
	Usage        string `json:"usage"`
	Session      string `json:"session"` // of one version: another version begins anew, as at the edge
	Start        string `json:"start"`
	End          string `json:"end"`
	Quantity     string `json:"quantity"`
	Zone         string `json:"zone,omitempty"`
	Charged      string `json:"charged"`
}

// Page is a part of an export. Next is where the next one begins after, nil at the
// end.
type Page struct {
	Events  []Event
	Skipped int // records that cannot be told as events: the catalog lacks their version
	Next    *ledger.Place
}

// Service reads usage.
type Service struct {
	runner  store.Runner
	ledger  func(store.Tx) ledger.Store
	catalog func(store.Tx) catalog.Store
}

// New builds the service.
func New(runner store.Runner, ledgers func(store.Tx) ledger.Store, catalogs func(store.Tx) catalog.Store) *Service {
	return &Service{runner: runner, ledger: ledgers, catalog: catalogs}
}

// Read gives the usage that a region recorded in [from, to), Unix microseconds of
// region time, after a place, at most limit records.
func (s *Service) Read(ctx context.Context, region string, from, to int64, after ledger.Place, limit int) (Page, error) {
	if region == "" {
		return Page{}, fault.Bad("region", "", "no region is named", "name the one whose usage is asked for")
	}
	if from < 0 || to <= from {
		return Page{}, fault.Bad("from, to", fmt.Sprint(from), "the period is empty", "use an end after the beginning")
	}
	return store.Read(ctx, s.runner, "usage.read", func(ctx context.Context, tx store.Tx) (Page, error) {
		after.Region = region
		records, err := s.ledger(tx).UsageOf(ctx, after, from, to, limit)
		if err != nil {
			return Page{}, fmt.Errorf("read the usage of region %s: %w", region, err)
		}
		out := Page{Events: []Event{}}
		versions := map[[2]any]*tariff.Offering{}
		for i := range records {
			e := records[i].Entry
			if e == nil || e.Usage == nil {
				out.Skipped++
				continue
			}
			o, err := s.version(ctx, tx, versions, e.Usage)
			if err != nil {
				return Page{}, err
			}
			if o == nil {
				out.Skipped++
				continue
			}
			out.Events = append(out.Events, events(o, e)...)
		}
		if len(records) == limit {
			last := records[limit-1]
			out.Next = &ledger.Place{Region: last.Region, Epoch: last.Epoch, Seq: last.Seq}
		}
		return out, nil
	})
}

// version finds the version that rated a record, nil when the catalog lacks it.
func (s *Service) version(ctx context.Context, tx store.Tx, known map[[2]any]*tariff.Offering, u *journal.UsageRecord) (*tariff.Offering, error) {
	k := [2]any{u.Offering, u.OfferingVersion}
	if o, ok := known[k]; ok {
		return o, nil
	}
	known[k] = nil
	if u.OfferingVersion == 0 {
		return nil, nil
	}
	list, err := s.catalog(tx).Versions(ctx, u.Offering, u.OfferingVersion-1, 1)
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return nil, fmt.Errorf("read offering %s version %d: %w", u.Offering, u.OfferingVersion, err)
	}
	if len(list) == 1 && list[0].Offering.ID == u.Offering && list[0].Offering.Version == u.OfferingVersion {
		known[k] = &list[0].Offering
	}
	return known[k], nil
}

// events tells a record as events: one, or one for each report where what it cost
// hangs on them.
func events(o *tariff.Offering, e *journal.Entry) []Event {
	u := e.Usage
	row := Event{Subscription: e.Subscription, Offering: o.ID, Session: fmt.Sprintf("%s#%d", e.Session, o.Version)}
	at := func(t int64) string { return time.Unix(t, 0).UTC().Format(time.RFC3339) }
	if len(u.Parts) == 0 {
		c := o.Metering()
		if c == nil {
			return nil // usage is free: there is no component to rate it by
		}
		var sum money.Amount
		for _, x := range u.Slices {
			sum += x.Amount
		}
		quantity := u.Seconds
		if c.Unit == tariff.Bytes {
			quantity = int64(u.InOctets + u.OutOctets)
		}
		row.Usage, row.Start, row.End, row.Quantity, row.Charged = c.Name, at(u.From), at(u.To), sheet.Quantity(quantity, c.Unit), sum.String()
		return []Event{row}
	}
	var out []Event
	for i := range u.Parts {
		p := &u.Parts[i]
		var sum money.Amount
		for _, x := range p.Slices {
			if x.Bucket == "" {
				sum += x.Amount
			}
		}
		unit := tariff.Seconds
		for k := range o.Usage {
			if o.Usage[k].Name == p.Component {
				unit = o.Usage[k].Unit
			}
		}
		for k, x := range p.Uses {
			row.Usage, row.Zone, row.Start, row.End = p.Component, p.Zone, at(x.From), at(x.To)
			row.Quantity, row.Charged = sheet.Quantity(x.Quantity, unit), money.Amount(0).String()
			if k == len(p.Uses)-1 { // the record's price, on its last report
				row.Charged = sum.String()
			}
			out = append(out, row)
		}
	}
	return out
}
