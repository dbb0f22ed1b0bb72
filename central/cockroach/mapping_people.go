package cockroach

import (
	"context"

	"github.com/jackc/pgx/v5"

	"meridian/central/access"
	"meridian/central/accounts"
	"meridian/internal/money"
)

type accessStore struct{ *tx }

const operatorColumns = `id, login, role, token_hash, revoked, version, created_at`

func scanOperator(r pgx.CollectableRow) (o access.Operator, err error) {
	var hash []byte
	err = r.Scan(&o.ID, &o.Login, &o.Role, &hash, &o.Revoked, &o.Version, &o.CreatedAt)
	copy(o.TokenHash[:], hash)
	return o, err
}

func (t accessStore) InsertOperator(ctx context.Context, o access.Operator) error {
	_, err := t.exec(ctx, "insert operator", `INSERT INTO operators (`+operatorColumns+`) VALUES ($1, $2, $3, $4, $5, $6, $7)`,
		o.ID, o.Login, string(o.Role), o.TokenHash[:], o.Revoked, int64(o.Version), o.CreatedAt)
	return err
}

func (t accessStore) ByToken(ctx context.Context, hash [32]byte) (access.Operator, error) {
	return row(ctx, t.tx, "operator by token", scanOperator, `SELECT `+operatorColumns+` FROM operators WHERE token_hash = $1`, hash[:])
}

func (t accessStore) Operators(ctx context.Context) ([]access.Operator, error) {
	return rows(ctx, t.tx, "operators", scanOperator, `SELECT `+operatorColumns+` FROM operators ORDER BY id`)
}

func (t accessStore) AppendAudit(ctx context.Context, lines []access.Audit) error {
	_, err := t.exec(ctx, "append to the audit log", `INSERT INTO audit_log (id, at_us, operator, origin, action, object, before, after)
		SELECT id, at_us, operator, origin, action, object, before, after
		FROM unnest($1::TEXT[], $2::INT8[], $3::TEXT[], $4::TEXT[], $5::TEXT[], $6::TEXT[], $7::TEXT[], $8::TEXT[])
			AS t (id, at_us, operator, origin, action, object, before, after)`,
		column(lines, func(a access.Audit) string { return a.ID }), column(lines, func(a access.Audit) int64 { return a.At }),
		column(lines, func(a access.Audit) string { return a.Operator }), column(lines, func(a access.Audit) string { return a.From }),
		column(lines, func(a access.Audit) string { return a.Action }), column(lines, func(a access.Audit) string { return a.Object }),
		column(lines, func(a access.Audit) string { return string(a.Before) }), column(lines, func(a access.Audit) string { return string(a.After) }))
	return err
}

func (t accessStore) AuditAfter(ctx context.Context, at int64, id string, limit int) ([]access.Audit, error) {
	return rows(ctx, t.tx, "audit log", func(r pgx.CollectableRow) (a access.Audit, err error) {
		var before, after string
		err = r.Scan(&a.ID, &a.At, &a.Operator, &a.From, &a.Action, &a.Object, &before, &after)
		a.Before, a.After = []byte(before), []byte(after)
		return a, err
	}, `SELECT id, at_us, operator, origin, action, object, before, after FROM audit_log
		WHERE (at_us, id) > ($1, $2) ORDER BY at_us, id LIMIT $3`, at, id, limit)
}

func (t accessStore) Answer(ctx context.Context, operator, key string) (access.Answer, error) {
	return row(ctx, t.tx, "stored answer", func(r pgx.CollectableRow) (a access.Answer, err error) {
		var hash []byte
		err = r.Scan(&a.Operator, &a.Key, &hash, &a.Status, &a.Body, &a.At)
		copy(a.RequestHash[:], hash)
		return a, err
	}, `SELECT operator, key, request_hash, status, body, at_us FROM idempotency WHERE operator = $1 AND key = $2`, operator, key)
}

func (t accessStore) InsertAnswer(ctx context.Context, a access.Answer) error {
	_, err := t.exec(ctx, "store an answer", `INSERT INTO idempotency (operator, key, request_hash, status, body, at_us) VALUES ($1, $2, $3, $4, $5, $6)`,
		a.Operator, a.Key, a.RequestHash[:], a.Status, a.Body, a.At)
	return err
}

type accountStore struct{ *tx }

func (t accountStore) InsertCustomers(ctx context.Context, in []accounts.Customer) error {
	_, err := t.exec(ctx, "insert customers", `INSERT INTO customers (id, kind, name, created_at, segment)
		SELECT id, kind, name, created_at, segment FROM unnest($1::TEXT[], $2::TEXT[], $3::TEXT[], $4::INT8[], $5::TEXT[]) AS t (id, kind, name, created_at, segment)`,
		column(in, func(c accounts.Customer) string { return c.ID }), column(in, func(c accounts.Customer) string { return string(c.Kind) }),
		column(in, func(c accounts.Customer) string { return c.Name }), column(in, func(c accounts.Customer) int64 { return c.CreatedAt }),
		column(in, func(c accounts.Customer) string { return c.Segment }))
	return err
}

func (t accountStore) InsertAccounts(ctx context.Context, in []accounts.Account) error {
	_, err := t.exec(ctx, "insert accounts", `INSERT INTO accounts (id, customer, currency, created_at)
		SELECT id, customer, currency, created_at FROM unnest($1::TEXT[], $2::TEXT[], $3::TEXT[], $4::INT8[]) AS t (id, customer, currency, created_at)`,
		column(in, func(a accounts.Account) string { return a.ID }), column(in, func(a accounts.Account) string { return a.Customer }),
		column(in, func(a accounts.Account) string { return string(a.Currency) }), column(in, func(a accounts.Account) int64 { return a.CreatedAt }))
	return err
}

const subscriptionColumns = `id, account, home, login, password, nt_hash, offering, barred, terminated, version, created_at`

func (t accountStore) InsertSubscriptions(ctx context.Context, in []accounts.Subscription) error {
	_, err := t.exec(ctx, "insert subscriptions", `INSERT INTO subscriptions (`+subscriptionColumns+`)
		SELECT `+subscriptionColumns+` FROM unnest($1::TEXT[], $2::TEXT[], $3::TEXT[], $4::TEXT[], $5::BYTEA[], $6::BYTEA[], $7::TEXT[], $8::BOOL[], $9::BOOL[], $10::INT8[], $11::INT8[])
			AS t (`+subscriptionColumns+`)`,
		column(in, func(s accounts.Subscription) string { return s.ID }), column(in, func(s accounts.Subscription) string { return s.Account }),
		column(in, func(s accounts.Subscription) string { return s.Home }), column(in, func(s accounts.Subscription) string { return s.Login }),
		column(in, func(s accounts.Subscription) []byte { return s.Password }), column(in, func(s accounts.Subscription) []byte { return s.NTHash }),
		column(in, func(s accounts.Subscription) string { return s.Offering }),
		column(in, func(s accounts.Subscription) bool { return s.Barred }), column(in, func(s accounts.Subscription) bool { return s.Terminated }),
		column(in, func(s accounts.Subscription) int64 { return int64(s.Version) }), column(in, func(s accounts.Subscription) int64 { return s.CreatedAt }))
	return err
}

func (t accountStore) InsertNAS(ctx context.Context, in []accounts.NAS) error {
	_, err := t.exec(ctx, "insert NAS", `INSERT INTO nas (id, region, address, vendor, secret, coa, version)
		SELECT id, region, address, vendor, secret, coa, version
		FROM unnest($1::TEXT[], $2::TEXT[], $3::TEXT[], $4::TEXT[], $5::BYTEA[], $6::TEXT[], $7::INT8[]) AS t (id, region, address, vendor, secret, coa, version)`,
		column(in, func(n accounts.NAS) string { return n.ID }), column(in, func(n accounts.NAS) string { return n.Region }),
		column(in, func(n accounts.NAS) string { return n.Address }), column(in, func(n accounts.NAS) string { return n.Vendor }),
		column(in, func(n accounts.NAS) []byte { return n.Secret }), column(in, func(n accounts.NAS) string { return n.CoA }),
		column(in, func(n accounts.NAS) int64 { return int64(n.Version) }))
	return err
}

func (t accountStore) Customers(ctx context.Context, ids []string) ([]accounts.Customer, error) {
	return rows(ctx, t.tx, "customers", func(r pgx.CollectableRow) (c accounts.Customer, err error) {
		return c, r.Scan(&c.ID, &c.Kind, &c.Name, &c.CreatedAt, &c.Segment)
	}, `SELECT id, kind, name, created_at, segment FROM customers WHERE id = ANY($1::TEXT[]) ORDER BY id`, ids)
}

func (t accountStore) Accounts(ctx context.Context, ids []string) ([]accounts.Account, error) {
	return rows(ctx, t.tx, "accounts", func(r pgx.CollectableRow) (a accounts.Account, err error) {
		var currency string
		err = r.Scan(&a.ID, &a.Customer, &currency, &a.CreatedAt)
		a.Currency = money.Currency(currency)
		return a, err
	}, `SELECT id, customer, currency, created_at FROM accounts WHERE id = ANY($1::TEXT[]) ORDER BY id`, ids)
}

func scanSubscription(r pgx.CollectableRow) (s accounts.Subscription, err error) {
	return s, r.Scan(&s.ID, &s.Account, &s.Home, &s.Login, &s.Password, &s.NTHash, &s.Offering, &s.Barred, &s.Terminated, &s.Version, &s.CreatedAt)
}

func (t accountStore) Subscriptions(ctx context.Context, ids []string) ([]accounts.Subscription, error) {
	return rows(ctx, t.tx, "subscriptions", scanSubscription,
		`SELECT `+subscriptionColumns+` FROM subscriptions WHERE id = ANY($1::TEXT[]) ORDER BY id`, ids)
}

func (t accountStore) SubscriptionsOf(ctx context.Context, account string) ([]accounts.Subscription, error) {
	return rows(ctx, t.tx, "subscriptions of an account", scanSubscription,
		`SELECT `+subscriptionColumns+` FROM subscriptions WHERE account = $1 ORDER BY id`, account)
}

func (t accountStore) LoginsTaken(ctx context.Context, logins []string) ([]string, error) {
	return rows(ctx, t.tx, "logins", pgx.RowTo[string], `SELECT login FROM subscriptions WHERE login = ANY($1::TEXT[]) ORDER BY login`, logins)
}

func (t accountStore) SavePassword(ctx context.Context, s accounts.Subscription) error {
	_, err := t.exec(ctx, "save password", `UPDATE subscriptions SET password = $2, nt_hash = $3, version = $4 WHERE id = $1`,
		s.ID, s.Password, s.NTHash, int64(s.Version))
	return err
}

func (t accountStore) SaveState(ctx context.Context, in []accounts.Subscription) error {
	_, err := t.exec(ctx, "save subscriptions", `UPDATE subscriptions AS s SET offering = d.offering, barred = d.barred, terminated = d.terminated
		FROM unnest($1::TEXT[], $2::TEXT[], $3::BOOL[], $4::BOOL[]) AS d (id, offering, barred, terminated) WHERE s.id = d.id`,
		column(in, func(s accounts.Subscription) string { return s.ID }), column(in, func(s accounts.Subscription) string { return s.Offering }),
		column(in, func(s accounts.Subscription) bool { return s.Barred }), column(in, func(s accounts.Subscription) bool { return s.Terminated }))
	return err
}
