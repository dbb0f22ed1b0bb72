package api

import (
	"context"
	"encoding/hex"
	"net/http"

	"meridian/central/catalog"
	"meridian/central/store"
)

type tableBody struct {
	ID          string `json:"id"`
	Version     uint32 `json:"version"`
	Zones       int    `json:"zones"`
	Prefixes    int    `json:"prefixes"`
	Hash        string `json:"hash"`
	PublishedAt string `json:"published_at,omitempty"`
}

func tableOf(v catalog.Table) tableBody {
	b := tableBody{ID: v.Table.ID, Version: v.Table.Version, Zones: len(v.Table.Destinations), Hash: hex.EncodeToString(v.Hash[:]), PublishedAt: instant(v.PublishedAt)}
	for _, d := range v.Table.Destinations {
		b.Prefixes += len(d.Prefixes)
	}
	return b
}

// publishTable takes a table of destinations as CSV, under ?id=. It changes no price
// before an offering that names it is published.
func (a *API) publishTable(ctx context.Context, tx store.Tx, r request) (outcome, error) {
	destinations, err := catalog.ParseTable("request", r.body)
	if err != nil {
		return outcome{}, err
	}
	published, err := a.Catalog.PublishTableTx(ctx, tx, r.query.Get("id"), destinations)
	if err != nil {
		return outcome{}, err
	}
	b := tableOf(published)
	return outcome{object: "table/" + b.ID, after: b}, nil
}

// getTables lists versions of tables by (id, version) after an id, at most 20: each may have a megabyte.
func (a *API) getTables(r *http.Request) (any, error) {
	list, err := a.Catalog.Tables(r.Context(), r.URL.Query().Get("after"), 1<<31-1, 20)
	if err != nil {
		return nil, err
	}
	out := make([]tableBody, len(list))
	for i, v := range list {
		out[i] = tableOf(v)
	}
	return map[string]any{"tables": out}, nil
}
