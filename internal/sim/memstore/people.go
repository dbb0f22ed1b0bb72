package memstore

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"meridian/central/access"
	"meridian/central/accounts"
	"meridian/central/catalog"
	"meridian/central/orders"
	"meridian/central/payments"
	"meridian/central/store"
	"meridian/internal/money"
	"meridian/internal/tariff"
)

type accessStore struct{ *tx }

func (t accessStore) InsertOperator(_ context.Context, o access.Operator) error {
	_, id := t.s.operators[o.ID]
	_, token := t.s.tokens[o.TokenHash]
	_, login := t.s.logins[o.Login]
	if id || token || login {
		return fmt.Errorf("operator %s: %w", o.Login, store.ErrExists)
	}
	put(t.tx, t.s.operators, o.ID, o)
	put(t.tx, t.s.tokens, o.TokenHash, o.ID)
	put(t.tx, t.s.logins, o.Login, o.ID)
	return nil
}

func (t accessStore) ByToken(_ context.Context, hash [32]byte) (access.Operator, error) {
	id, ok := t.s.tokens[hash]
	if !ok {
		return access.Operator{}, store.ErrNotFound
	}
	return t.s.operators[id], nil
}

func (t accessStore) Operators(context.Context) ([]access.Operator, error) {
	return sorted(t.s.operators, func(a, b access.Operator) int { return cmp.Compare(a.ID, b.ID) }), nil
}

func (t accessStore) AppendAudit(_ context.Context, lines []access.Audit) error {
	return insertAll(t.tx, t.s.audit, lines, func(a access.Audit) string { return a.ID })
}

func (t accessStore) AuditAfter(_ context.Context, at int64, id string, limit int) ([]access.Audit, error) {
	order := func(a, b access.Audit) int { return cmp.Or(cmp.Compare(a.At, b.At), cmp.Compare(a.ID, b.ID)) }
	all := sorted(t.s.audit, order)
	all = slices.DeleteFunc(all, func(a access.Audit) bool { return order(a, access.Audit{At: at, ID: id}) <= 0 })
	return first(all, limit), nil
}

func (t accessStore) Answer(_ context.Context, operator, key string) (access.Answer, error) {
	a, ok := t.s.answers[answerKey{operator, key}]
	if !ok {
		return a, store.ErrNotFound
	}
	return a, nil
}

func (t accessStore) InsertAnswer(_ context.Context, a access.Answer) error {
	return insertAll(t.tx, t.s.answers, []access.Answer{a}, func(a access.Answer) answerKey { return answerKey{a.Operator, a.Key} })
}

type accountStore struct{ *tx }

func (t accountStore) InsertCustomers(_ context.Context, rows []accounts.Customer) error {
	return insertAll(t.tx, t.s.customers, rows, func(c accounts.Customer) string { return c.ID })
}

func (t accountStore) InsertAccounts(_ context.Context, rows []accounts.Account) error {
	return insertAll(t.tx, t.s.accounts, rows, func(a accounts.Account) string { return a.ID })
}

func (t accountStore) InsertSubscriptions(_ context.Context, rows []accounts.Subscription) error {
	for _, r := range rows {
		if _, taken := t.s.subLogins[r.Login]; taken {
			return fmt.Errorf("login %s: %w", r.Login, store.ErrExists)
		}
		put(t.tx, t.s.subLogins, r.Login, r.ID)
		push(t.tx, t.s.ofAccount, r.Account, r.ID)
	}
	return insertAll(t.tx, t.s.subscriptions, rows, func(s accounts.Subscription) string { return s.ID })
}

func (t accountStore) InsertNAS(_ context.Context, rows []accounts.NAS) error {
	for _, r := range rows {
		for _, n := range t.s.nas {
			if n.Region == r.Region && n.Address == r.Address {
				return fmt.Errorf("NAS at %s: %w", r.Address, store.ErrExists)
			}
		}
		if err := insertAll(t.tx, t.s.nas, []accounts.NAS{r}, func(n accounts.NAS) string { return n.ID }); err != nil {
			return err
		}
	}
	return nil
}

func (t accountStore) Customers(_ context.Context, ids []string) ([]accounts.Customer, error) {
	return pick(t.s.customers, ids), nil
}

func (t accountStore) Accounts(_ context.Context, ids []string) ([]accounts.Account, error) {
	return pick(t.s.accounts, ids), nil
}

func (t accountStore) Subscriptions(_ context.Context, ids []string) ([]accounts.Subscription, error) {
	return pick(t.s.subscriptions, ids), nil
}

func (t accountStore) LoginsTaken(_ context.Context, logins []string) ([]string, error) {
	var out []string
	for _, l := range logins {
		if _, taken := t.s.subLogins[l]; taken {
			out = append(out, l)
		}
	}
	slices.Sort(out)
	return slices.Compact(out), nil
}

func (t accountStore) SubscriptionsOf(_ context.Context, account string) ([]accounts.Subscription, error) {
	return pick(t.s.subscriptions, t.s.ofAccount[account]), nil
}

func (t accountStore) SavePassword(_ context.Context, r accounts.Subscription) error {
	sub, ok := t.s.subscriptions[r.ID]
	if !ok {
		return fmt.Errorf("subscription %s: %w", r.ID, store.ErrNotFound)
	}
	sub.Password, sub.NTHash, sub.Version = r.Password, r.NTHash, r.Version
	put(t.tx, t.s.subscriptions, r.ID, sub)
	return nil
}

func (t accountStore) SaveState(_ context.Context, rows []accounts.Subscription) error {
	for _, r := range rows {
		sub, ok := t.s.subscriptions[r.ID]
		if !ok {
			return fmt.Errorf("subscription %s: %w", r.ID, store.ErrNotFound)
		}
		sub.Offering, sub.Barred, sub.Terminated = r.Offering, r.Barred, r.Terminated
		put(t.tx, t.s.subscriptions, r.ID, sub)
	}
	return nil
}

type catalogStore struct{ *tx }

func (t catalogStore) Insert(_ context.Context, rows []catalog.Version) error {
	for _, v := range rows {
		put(t.tx, t.s.latest, v.Offering.ID, max(t.s.latest[v.Offering.ID], v.Offering.Version))
	}
	return insertAll(t.tx, t.s.versions, rows, func(v catalog.Version) versionKey {
		return versionKey{v.Offering.ID, v.Offering.Version}
	})
}

func (t catalogStore) Latest(_ context.Context, ids []string) ([]catalog.Version, error) {
	ids = slices.Clone(ids)
	slices.Sort(ids)
	var out []catalog.Version
	for _, id := range slices.Compact(ids) {
		if v, ok := t.s.versions[versionKey{id, t.s.latest[id]}]; ok {
			out = append(out, v)
		}
	}
	return out, nil
}

func (t catalogStore) Versions(_ context.Context, afterID string, afterVersion uint32, limit int) ([]catalog.Version, error) {
	order := func(a, b catalog.Version) int {
		return cmp.Or(cmp.Compare(a.Offering.ID, b.Offering.ID), cmp.Compare(a.Offering.Version, b.Offering.Version))
	}
	var after catalog.Version
	after.Offering.ID, after.Offering.Version = afterID, afterVersion
	all := slices.DeleteFunc(sorted(t.s.versions, order), func(v catalog.Version) bool { return order(v, after) <= 0 })
	return first(all, limit), nil
}

func (t catalogStore) InsertTable(_ context.Context, v catalog.Table) error {
	return insertAll(t.tx, t.s.tables, []catalog.Table{v}, func(v catalog.Table) versionKey { return versionKey{v.Table.ID, v.Table.Version} })
}

func orderTables(a, b catalog.Table) int {
	return cmp.Or(cmp.Compare(a.Table.ID, b.Table.ID), cmp.Compare(a.Table.Version, b.Table.Version))
}

func (t catalogStore) LatestTables(_ context.Context, ids []string) (out []catalog.Table, _ error) {
	for _, v := range sorted(t.s.tables, orderTables) {
		switch n := len(out); {
		case !slices.Contains(ids, v.Table.ID):
		case n > 0 && out[n-1].Table.ID == v.Table.ID:
			out[n-1] = v
		default:
			out = append(out, v)
		}
	}
	return out, nil
}

func (t catalogStore) Tables(_ context.Context, afterID string, afterVersion uint32, limit int) ([]catalog.Table, error) {
	after := catalog.Table{Table: tariff.Table{ID: afterID, Version: afterVersion}}
	all := slices.DeleteFunc(sorted(t.s.tables, orderTables), func(v catalog.Table) bool { return orderTables(v, after) <= 0 })
	return first(all, limit), nil
}

type orderStore struct{ *tx }

func (t orderStore) Insert(_ context.Context, o orders.Order) error {
	return insertAll(t.tx, t.s.orders, []orders.Order{o}, func(o orders.Order) string { return o.ID })
}

func (t orderStore) Get(_ context.Context, ids []string) ([]orders.Order, error) {
	return pick(t.s.orders, ids), nil
}

func (t orderStore) SetAnswers(_ context.Context, answers []orders.Answer) error {
	for _, a := range answers {
		o, ok := t.s.orders[a.Order]
		if !ok || o.Status != orders.Open {
			continue
		}
		o.Status, o.Detail, o.DoneAt = a.Status, a.Detail, a.At
		put(t.tx, t.s.orders, a.Order, o)
	}
	return nil
}

type paymentStore struct{ *tx }

func (t paymentStore) Insert(_ context.Context, rows []payments.Payment) error {
	for _, p := range rows {
		if t.s.paymentIDs[p.ID] {
			return fmt.Errorf("payment %s: %w", p.ID, store.ErrExists)
		}
		put(t.tx, t.s.paymentIDs, p.ID, true)
		push(t.tx, t.s.paymentsOf, p.Account, p.Key)
	}
	return insertAll(t.tx, t.s.payments, rows, func(p payments.Payment) string { return p.Key })
}

func (t paymentStore) Get(_ context.Context, id string) ([]payments.Payment, error) {
	for _, p := range t.s.payments {
		if p.ID == id {
			return []payments.Payment{p}, nil
		}
	}
	return nil, nil
}

func (t paymentStore) ByKeys(_ context.Context, keys []string) ([]payments.Payment, error) {
	return pick(t.s.payments, keys), nil
}

func (t paymentStore) SumBefore(ctx context.Context, account string, before int64) (money.Amount, error) {
	rows, err := t.OfAccount(ctx, account, 0, before, len(t.s.paymentsOf[account]))
	var sum money.Amount
	for _, p := range rows {
		if err == nil {
			sum, err = money.Add(sum, p.Amount)
		}
	}
	return sum, err
}

func (t paymentStore) OfAccount(_ context.Context, account string, from, to int64, limit int) ([]payments.Payment, error) {
	rows := pick(t.s.payments, t.s.paymentsOf[account])
	rows = slices.DeleteFunc(rows, func(p payments.Payment) bool { return p.At < from || p.At >= to })
	slices.SortFunc(rows, func(a, b payments.Payment) int { return cmp.Or(cmp.Compare(a.At, b.At), cmp.Compare(a.ID, b.ID)) })
	return first(rows, limit), nil
}
