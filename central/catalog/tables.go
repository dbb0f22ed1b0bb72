package catalog

import (
	"context"
	"fmt"
	"slices"

	"meridian/central/fault"
	"meridian/central/feed"
	"meridian/central/store"
	feedrow "meridian/internal/feed"
	"meridian/internal/sheet"
	"meridian/internal/tariff"
)

// ParseTable reads a table of destinations: CSV with the columns prefix and zone. It
// reports every fault at once.
func ParseTable(name string, data []byte) ([]tariff.Destination, error) {
	list, wrong := sheet.ReadPrefixes(name, data)
	var faults fault.Collector
	for _, f := range wrong {
		faults.Add(fault.Bad(f.Where(), f.Value, f.What, f.Remedy))
	}
	return list, faults.Err()
}

// PublishTableTx publishes a table's next version and sends it to every region. It
// changes no price: offerings keep the version that they were published with, and take
// this one when they are published again. A table that is what it was is not published
// again: its newest version is returned.
func (s *Service) PublishTableTx(ctx context.Context, tx store.Tx, id string, destinations []tariff.Destination) (Table, error) {
	latest, err := s.stores(tx).LatestTables(ctx, []string{id})
	if err != nil {
		return Table{}, fmt.Errorf("read table %s: %w", id, err)
	}
	next := Table{Table: tariff.Table{ID: id, Version: 1, Destinations: destinations}, PublishedAt: s.now().UnixMicro()}
	if len(latest) > 0 {
		next.Table.Version = latest[0].Table.Version
		if next.Table.Hash() == latest[0].Hash {
			return latest[0], nil
		}
		next.Table.Version++
	}
	if err := next.Table.Validate(); err != nil {
		var faults fault.Collector
		for _, f := range tariff.Faults(err) {
			faults.Add(fault.Bad(f.Path, f.Value, "the table cannot be published", f.Remedy))
		}
		return Table{}, faults.Err()
	}
	next.Hash = next.Table.Hash()
	if err := s.stores(tx).InsertTable(ctx, next); err != nil {
		return Table{}, fmt.Errorf("store table %s version %d: %w", id, next.Table.Version, err)
	}
	if err := s.feed.Broadcast(ctx, tx, feedrow.KindTable, tariff.TableKey(id, next.Table.Version), 1, &next.Table); err != nil {
		return Table{}, fmt.Errorf("send table %s version %d: %w", id, next.Table.Version, err)
	}
	return next, nil
}

// Tables lists published versions of tables by (id, version) after a key, at most limit.
func (s *Service) Tables(ctx context.Context, afterID string, afterVersion uint32, limit int) ([]Table, error) {
	return store.Read(ctx, s.runner, "catalog.tables", func(ctx context.Context, tx store.Tx) ([]Table, error) {
		return s.stores(tx).Tables(ctx, afterID, afterVersion, limit)
	})
}

// tablesOf reads the newest version of each table that drafts name, by id.
func (s *Service) tablesOf(ctx context.Context, tx store.Tx, drafts []tariff.Offering) (map[string]Table, error) {
	var ids []string
	for i := range drafts {
		for _, u := range drafts[i].Usage {
			if u.Table != "" && !slices.Contains(ids, u.Table) {
				ids = append(ids, u.Table)
			}
		}
	}
	if len(ids) == 0 {
		return nil, nil
	}
	list, err := s.stores(tx).LatestTables(ctx, ids)
	if err != nil {
		return nil, fmt.Errorf("read the tables that the offerings name: %w", err)
	}
	out := make(map[string]Table, len(list))
	for _, t := range list {
		out[t.Table.ID] = t
	}
	return out, nil
}

// pin has an offering name the newest versions of its tables. What it names must be
// there: each table, and in it or in its own destinations the zone of each rate.
func pin(o *tariff.Offering, tables map[string]Table, faults *fault.Collector) {
	o.Usage = slices.Clone(o.Usage)
	for i := range o.Usage {
		u := &o.Usage[i]
		u.TableVersion, u.TableHash = 0, ""
		if u.Table == "" {
			continue
		}
		at := fmt.Sprintf("%s.usage[%d]", o.ID, i)
		t, has := tables[u.Table]
		faults.Need(has, at+".table", u.Table, "no table of this name is published", "publish it first, or name one that is")
		if !has {
			continue
		}
		u.TableVersion, u.TableHash = t.Table.Version, t.Table.Content()
		for k := range u.Rates {
			zone := u.Rates[k].Zone
			known := func(d tariff.Destination) bool { return d.Zone == zone }
			faults.Need(zone == "" || slices.ContainsFunc(u.Destinations, known) || slices.ContainsFunc(t.Table.Destinations, known),
				fmt.Sprintf("%s.rates[%d].zone", at, k), zone, fmt.Sprintf("table %s version %d has no such zone", u.Table, t.Table.Version), "name one of its zones")
		}
	}
}

// seedTables appends the rows of all tables.
func (s *Service) seedTables(ctx context.Context, tx store.Tx, region string, out []feed.Change) ([]feed.Change, error) {
	after, version := "", uint32(0)
	for {
		page, err := s.stores(tx).Tables(ctx, after, version, tablePage)
		if err != nil {
			return nil, fmt.Errorf("list tables: %w", err)
		}
		for i := range page {
			t := &page[i].Table
			c, err := feed.NewChange(region, feedrow.KindTable, tariff.TableKey(t.ID, t.Version), 1, t)
			if err != nil {
				return nil, err
			}
			out = append(out, c)
			after, version = t.ID, t.Version
		}
		if len(page) < tablePage {
			return out, nil
		}
	}
}

// tablePage is how many tables are read at once: each may have a megabyte.
const tablePage = 20
