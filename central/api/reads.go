package api

import (
	"context"
	"encoding/json"
	"net/http"
	"slices"

	"meridian/central/ledger"
	"meridian/central/orders"
	"meridian/central/store"
)

type accountView struct {
	accountBody
	Buckets       []bucketBody       `json:"buckets"`
	Subscriptions []subscriptionBody `json:"subscriptions"`
}

func (a *API) getAccount(r *http.Request) (any, error) {
	return store.Read(r.Context(), a.Runner, "GET account", func(ctx context.Context, tx store.Tx) (accountView, error) {
		acc, err := a.Accounts.Account(ctx, tx, "id", r.PathValue("id"))
		if err != nil {
			return accountView{}, err
		}
		out := accountView{accountBody: accountBody{ID: acc.ID, Customer: acc.Customer, Currency: acc.Currency}, Buckets: []bucketBody{}, Subscriptions: []subscriptionBody{}}
		states, err := a.BucketRows(tx).OfAccount(ctx, acc.ID)
		if err != nil {
			return out, err
		}
		for _, s := range states {
			out.Buckets = append(out.Buckets, bucketOf(s))
		}
		subs, err := a.AccountRows(tx).SubscriptionsOf(ctx, acc.ID)
		for _, s := range subs {
			out.Subscriptions = append(out.Subscriptions, subscriptionOf(s))
		}
		return out, err
	})
}

func (a *API) getStatement(r *http.Request) (any, error) {
	from, err := parseInstant("from", r.URL.Query().Get("from"))
	if err != nil {
		return nil, err
	}
	to, err := parseInstant("to", r.URL.Query().Get("to"))
	if err != nil {
		return nil, err
	}
	s, err := a.Statement.Of(r.Context(), r.PathValue("id"), from, to)
	if err != nil {
		return nil, err
	}
	return statementOf(s), nil
}

func (a *API) getSubscription(r *http.Request) (any, error) {
	return store.Read(r.Context(), a.Runner, "GET subscription", func(ctx context.Context, tx store.Tx) (subscriptionBody, error) {
		s, err := a.Accounts.Subscription(ctx, tx, "id", r.PathValue("id"))
		return subscriptionOf(s), err
	})
}

func (a *API) getOrder(r *http.Request) (any, error) {
	o, err := store.Read(r.Context(), a.Runner, "GET order", func(ctx context.Context, tx store.Tx) (orders.Order, error) {
		return a.orderByID(ctx, tx, r.PathValue("id"))
	})
	return orderOf(o), err
}

func (a *API) getRegions(r *http.Request) (any, error) {
	out, err := store.Read(r.Context(), a.Runner, "GET regions", func(ctx context.Context, tx store.Tx) ([]regionBody, error) {
		list, err := a.Registry.ListTx(ctx, tx)
		if err != nil {
			return nil, err
		}
		heads, err := a.FeedRows(tx).Heads(ctx)
		if err != nil {
			return nil, err
		}
		last := make(map[string]uint64, len(heads))
		for _, h := range heads {
			last[h.Region] = h.Last
		}
		out := make([]regionBody, len(list))
		for i, g := range list {
			out[i] = regionOf(g)
			out[i].FeedLast = last[g.Name]
		}
		return out, nil
	})
	if err != nil {
		return nil, err
	}
	for _, h := range a.Regions.SignedHeads() {
		if i := slices.IndexFunc(out, func(r regionBody) bool { return r.Name == h.Region }); i >= 0 {
			out[i].Signed = append(out[i].Signed, signedBody{Node: h.Node, Seq: h.Seq, At: instant(h.At)})
		}
	}
	links := map[string]Link{}
	if a.Links != nil {
		links = a.Links()
	}
	for i := range out {
		if l, ok := links[out[i].Name]; ok {
			out[i].Link = &l
		}
		if h, ok := a.Regions.Report(out[i].Name); ok {
			out[i].Mode, out[i].Node, out[i].Backlog, out[i].HeardAt = h.Mode, h.Node, &h.BacklogEntries, instant(h.At.UnixMicro())
		}
	}
	return map[string]any{"regions": out}, nil
}

func (a *API) getOfferings(r *http.Request) (any, error) {
	limit, err := limitOf(r.URL.Query().Get("limit"))
	if err != nil {
		return nil, err
	}
	list, err := a.Catalog.List(r.Context(), r.URL.Query().Get("after"), 1<<31-1, limit)
	if err != nil {
		return nil, err
	}
	out := make([]offeringBody, len(list))
	for i, v := range list {
		out[i] = offeringOf(v)
	}
	return map[string]any{"offerings": out}, nil
}

func (a *API) getReviews(r *http.Request) (any, error) {
	limit, err := limitOf(r.URL.Query().Get("limit"))
	if err != nil {
		return nil, err
	}
	list, err := store.Read(r.Context(), a.Runner, "GET reviews", func(ctx context.Context, tx store.Tx) ([]ledger.Review, error) {
		return a.LedgerRows(tx).Reviews(ctx, limit)
	})
	if err != nil {
		return nil, err
	}
	type line struct {
		Region string `json:"region"`
		Epoch  uint64 `json:"epoch"`
		Seq    uint64 `json:"seq"`
		At     string `json:"at"`
		Reason string `json:"reason"`
	}
	out := make([]line, len(list))
	for i, v := range list {
		out[i] = line{Region: v.Region, Epoch: v.Epoch, Seq: v.Seq, At: instant(v.At), Reason: v.Reason}
	}
	return map[string]any{"reviews": out}, nil
}

// getAudit lists the audit log, oldest first, after an instant and id.
func (a *API) getAudit(r *http.Request) (any, error) {
	q := r.URL.Query()
	limit, err := limitOf(q.Get("limit"))
	if err != nil {
		return nil, err
	}
	after, err := parseInstant("after", q.Get("after"))
	if err != nil {
		return nil, err
	}
	list, err := a.Access.AuditAfter(r.Context(), after, q.Get("after_id"), limit)
	if err != nil {
		return nil, err
	}
	type line struct {
		ID       string          `json:"id"`
		At       string          `json:"at"`
		Operator string          `json:"operator"`
		From     string          `json:"from"`
		Action   string          `json:"action"`
		Object   string          `json:"object"`
		Before   json.RawMessage `json:"before"`
		After    json.RawMessage `json:"after"`
	}
	out := make([]line, len(list))
	for i, l := range list {
		out[i] = line{ID: l.ID, At: instant(l.At), Operator: l.Operator, From: l.From, Action: l.Action, Object: l.Object, Before: l.Before, After: l.After}
	}
	return map[string]any{"audit": out}, nil
}
