// Package access owns who may call: operators with their tokens and roles, the
// audit log of what they changed, and the stored answers by which a repeated
// request has one effect.
//
// It knows no HTTP and never stores a token, only its SHA-256.
package access

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"strings"
	"time"

	"meridian/central/fault"
	"meridian/central/feed"
	"meridian/central/store"
	feedrow "meridian/internal/feed"
)

// Role says what an operator may do.
type Role string

// Roles: an auditor reads, an operator also writes, an admin also manages
// regions, the catalog and operators.
const (
	Admin    Role = "admin"
	Writer   Role = "operator"
	ReadOnly Role = "auditor"
)

// rank orders roles; 0 is no role.
func (r Role) rank() int {
	switch r {
	case Admin:
		return 3
	case Writer:
		return 2
	case ReadOnly:
		return 1
	}
	return 0
}

// Covers tells whether r may do what need may do.
func (r Role) Covers(need Role) bool { return r.rank() > 0 && r.rank() >= need.rank() }

// Feed is what the service needs of central/feed.
type Feed interface {
	Broadcast(ctx context.Context, tx store.Tx, kind feedrow.Kind, id string, version uint64, entity any) error
}

// Service authenticates operators and keeps the audit log.
type Service struct {
	runner store.Runner
	stores func(store.Tx) Store
	feed   Feed
	now    func() time.Time
	newID  func() string
}

// New builds the service.
func New(runner store.Runner, stores func(store.Tx) Store, feed Feed, now func() time.Time, newID func() string) *Service {
	return &Service{runner: runner, stores: stores, feed: feed, now: now, newID: newID}
}

// MinToken is the least length of a bearer token, in octets.
const MinToken = 20

// HashToken is what is stored of a token.
func HashToken(token string) [32]byte { return sha256.Sum256([]byte(token)) }

// Authenticate returns the operator of a token, or an unauthenticated fault. The
// look-up is by hash, so timing tells nothing about stored tokens.
func (s *Service) Authenticate(ctx context.Context, token string) (Operator, error) {
	denied := fault.New(fault.Unauthenticated, "Authorization", "", "the token is not known", "send Authorization: Bearer with a valid token")
	if len(token) < MinToken {
		return Operator{}, denied
	}
	o, err := store.Read(ctx, s.runner, "access.authenticate", func(ctx context.Context, tx store.Tx) (Operator, error) {
		return s.stores(tx).ByToken(ctx, HashToken(token))
	})
	if errors.Is(err, store.ErrNotFound) || (err == nil && o.Revoked) {
		return Operator{}, denied
	}
	if err != nil {
		return Operator{}, fmt.Errorf("look the token up: %w", err)
	}
	return o, nil
}

// CreateTx adds an operator and sends it to every region.
func (s *Service) CreateTx(ctx context.Context, tx store.Tx, login string, role Role, tokenHash [32]byte) (Operator, error) {
	var c fault.Collector
	c.Need(login != "" && len(login) <= 64 && strings.IndexFunc(login, func(r rune) bool { return r <= ' ' || r > '~' }) < 0,
		"login", login, "this cannot be a login", "use 1 to 64 printable ASCII characters without spaces")
	c.Need(role.rank() > 0, "role", string(role), "this is no role", "use admin, operator or auditor")
	c.Need(tokenHash != [32]byte{}, "token", "", "no token was given", fmt.Sprintf("give at least %d characters", MinToken))
	if err := c.Err(); err != nil {
		return Operator{}, err
	}
	o := Operator{ID: s.newID(), Login: login, Role: role, TokenHash: tokenHash, Version: 1, CreatedAt: s.now().UnixMicro()}
	if err := s.stores(tx).InsertOperator(ctx, o); errors.Is(err, store.ErrExists) {
		return Operator{}, fault.New(fault.Exists, "login", login, "the login or token is taken", "choose another")
	} else if err != nil {
		return Operator{}, fmt.Errorf("store operator %s: %w", login, err)
	}
	return o, s.feed.Broadcast(ctx, tx, feedrow.KindOperator, o.ID, o.Version, o.row())
}

func (o *Operator) row() *feedrow.Operator {
	return &feedrow.Operator{ID: o.ID, Login: o.Login, Role: string(o.Role), TokenHash: o.TokenHash[:], Revoked: o.Revoked}
}

// Bootstrap makes sure that an admin with the token exists.
func (s *Service) Bootstrap(ctx context.Context, login string, tokenHash [32]byte) error {
	return s.runner.Do(ctx, "access.bootstrap", func(ctx context.Context, tx store.Tx) error {
		_, err := s.stores(tx).ByToken(ctx, tokenHash)
		if err == nil || !errors.Is(err, store.ErrNotFound) {
			return err
		}
		o, err := s.CreateTx(ctx, tx, login, Admin, tokenHash)
		if err != nil {
			return fmt.Errorf("create the first operator: %w", err)
		}
		return s.stores(tx).AppendAudit(ctx, []Audit{{ID: s.newID(), At: s.now().UnixMicro(), Operator: "configuration",
			From: "local", Action: "bootstrap", Object: "operator/" + o.ID, Before: []byte("null"), After: []byte(`{"role":"admin"}`)}})
	})
}

// Seed returns the feed rows that a new region starts with: all operators.
func (s *Service) Seed(ctx context.Context, tx store.Tx, region string) ([]feed.Change, error) {
	all, err := s.stores(tx).Operators(ctx)
	if err != nil {
		return nil, fmt.Errorf("list operators: %w", err)
	}
	out := make([]feed.Change, len(all))
	for i := range all {
		out[i], err = feed.NewChange(region, feedrow.KindOperator, all[i].ID, all[i].Version, all[i].row())
		if err != nil {
			return nil, err
		}
	}
	return out, nil
}

// Record appends a line to the audit log, in the transaction of the change.
func (s *Service) Record(ctx context.Context, tx store.Tx, line Audit) error {
	line.ID, line.At = s.newID(), s.now().UnixMicro()
	if err := s.stores(tx).AppendAudit(ctx, []Audit{line}); err != nil {
		return fmt.Errorf("write the audit log: %w", err)
	}
	return nil
}

// AuditAfter lists the audit log by (at, id) after a line, at most limit.
func (s *Service) AuditAfter(ctx context.Context, at int64, id string, limit int) ([]Audit, error) {
	return store.Read(ctx, s.runner, "access.audit", func(ctx context.Context, tx store.Tx) ([]Audit, error) {
		return s.stores(tx).AuditAfter(ctx, at, id, limit)
	})
}

// Answered returns the stored answer of a repeated request, nil for a new one,
// and a conflict fault when the key was used for another request.
func (s *Service) Answered(ctx context.Context, tx store.Tx, operator, key string, hash [32]byte) (*Answer, error) {
	a, err := s.stores(tx).Answer(ctx, operator, key)
	switch {
	case errors.Is(err, store.ErrNotFound):
		return nil, nil
	case err != nil:
		return nil, fmt.Errorf("look the idempotency key up: %w", err)
	case a.RequestHash != hash:
		return nil, fault.New(fault.Conflict, "Idempotency-Key", key, "the key was used for another request", "use a new key for a new request")
	}
	return &a, nil
}

// Keep stores the answer of a request, in the transaction of its effect.
func (s *Service) Keep(ctx context.Context, tx store.Tx, a Answer) error {
	a.At = s.now().UnixMicro()
	if err := s.stores(tx).InsertAnswer(ctx, a); err != nil {
		return fmt.Errorf("store the answer of key %s: %w", a.Key, err)
	}
	return nil
}
