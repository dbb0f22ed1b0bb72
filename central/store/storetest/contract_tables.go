package storetest

import (
	"context"
	"strings"
	"testing"

	"meridian/central/catalog"
	"meridian/central/fault"
	"meridian/central/store"
	"meridian/internal/feed"
	"meridian/internal/tariff"
)

// callsBy is voice by the zones of a shared table.
func callsBy(table string) tariff.Offering {
	o := Offering("voice")
	o.Service = "voice"
	o.Usage = []tariff.Usage{{Name: "calls", Unit: tariff.Seconds, Table: table,
		Destinations: []tariff.Destination{{Zone: "own", Prefixes: []string{"+4900"}}},
		Rates:        []tariff.Rate{{Zone: "home", Price: tariff.Price{Amount: 60_000, Per: 60}}, {Zone: "own", Price: tariff.Price{Amount: 0, Per: 60}}}}}
	return o
}

// testCatalogTables publishes tables and offerings that name them: versions are
// numbered, what an offering names must be there and is pinned, and a table's row
// comes before the rows of the offerings that name it, for new regions too.
func testCatalogTables(t *testing.T, open Opener) {
	w := NewWorld(t, open)
	publish := func(id, zone string, prefixes ...string) catalog.Table {
		t.Helper()
		v, err := store.Run(w.Ctx, w.Backend, "test", func(ctx context.Context, tx store.Tx) (catalog.Table, error) {
			return w.Catalog.PublishTableTx(ctx, tx, id, []tariff.Destination{{Zone: zone, Prefixes: prefixes}})
		})
		w.must(err)
		return v
	}
	offer := func(table string) (tariff.Offering, error) {
		got, err := w.Catalog.Publish(w.Ctx, []tariff.Offering{callsBy(table)})
		if err != nil {
			return tariff.Offering{}, err
		}
		return got[0], nil
	}
	if _, err := offer("world"); len(fault.List(err)) < 1 || fault.List(err)[0].Field != "voice.usage[0].table" {
		t.Errorf("a table that is not there: %v", err)
	}
	first := publish("world", "home", "+49")
	o, err := offer("world")
	w.must(err)
	if o.Usage[0].TableVersion != 1 || o.Usage[0].TableHash != first.Table.Content() {
		t.Errorf("pinned %+v", o.Usage[0])
	}
	if same := publish("world", "home", "+49"); same.Table.Version != 1 || same.PublishedAt != first.PublishedAt {
		t.Errorf("the same table again: %+v", same)
	}
	second := publish("world", "home", "+49", "+43")
	o2, err := offer("world")
	w.must(err)
	if second.Table.Version != 2 || o2.Usage[0].TableVersion != 2 || o2.Hash() == o.Hash() {
		t.Errorf("version %d, pinned %+v", second.Table.Version, o2.Usage[0])
	}
	publish("world", "abroad", "+1")
	if _, err := offer("world"); !fault.Is(err, fault.Invalid) || !strings.Contains(err.Error(), "rates[0].zone") {
		t.Errorf("a zone that the newest version has not: %v", err)
	}
	_, err = store.Run(w.Ctx, w.Backend, "test", func(ctx context.Context, tx store.Tx) (catalog.Table, error) {
		return w.Catalog.PublishTableTx(ctx, tx, "bad/name", []tariff.Destination{{Zone: "a", Prefixes: []string{"+49x"}}})
	})
	if len(fault.List(err)) != 2 {
		t.Errorf("two faults: %v", err)
	}
	publish("alps", "home", "+41")
	list, err := w.Catalog.Tables(w.Ctx, "", 0, 10)
	w.must(err)
	var keys []string
	for _, v := range list {
		keys = append(keys, tariff.TableKey(v.Table.ID, v.Table.Version))
		if v.Hash != v.Table.Hash() {
			t.Errorf("%s is stored with another hash", v.Table.ID)
		}
	}
	if got := strings.Join(keys, " "); got != "alps@1 world@1 world@2 world@3" {
		t.Errorf("listed %s", got)
	}
	page, err := w.Catalog.Tables(w.Ctx, "world", 1, 1)
	w.must(err)
	if len(page) != 1 || page[0].Table.Version != 2 {
		t.Errorf("second page %+v", page)
	}
	w.Region("south")
	w.Drain()
	for _, region := range []string{"north", "south"} {
		w.tablesFirst(region)
	}
}

// tablesFirst reads a region's feed as an edge does.
func (w *World) tablesFirst(region string) {
	w.T.Helper()
	rows, err := w.Sequencer.Rows(w.Ctx, region, 0, 100)
	w.must(err)
	have, named := map[string]string{}, 0
	for i := range rows {
		entity, err := rows[i].Decode()
		w.must(err)
		switch e := entity.(type) {
		case *tariff.Table:
			have[tariff.TableKey(e.ID, e.Version)] = e.Content()
		case *tariff.Offering:
			for k := range e.Usage {
				if u := &e.Usage[k]; u.Table != "" {
					named++
					if have[u.TableKey()] != u.TableHash {
						w.T.Errorf("%s: offering %s comes before table %s", region, feed.OfferingKey(e.ID, e.Version), u.TableKey())
					}
				}
			}
		}
	}
	if len(have) != 4 || named != 2 {
		w.T.Errorf("%s: %d tables, %d offerings that name one", region, len(have), named)
	}
}
