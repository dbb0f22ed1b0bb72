package access

import "context"

// Operator may call the centre's and the edges' APIs.
type Operator struct {
	ID        string
	Login     string
	Role      Role
	TokenHash [32]byte // SHA-256 of the bearer token
	Revoked   bool
	Version   uint64 // of its feed row
	CreatedAt int64  // Unix microseconds
}

// Audit is one change by a person: who, when, from where, what, and the value
// before and after as JSON ("null" when there was none).
type Audit struct {
	ID       string
	At       int64 // Unix microseconds
	Operator string
	From     string // client's address
	Action   string // e.g. "POST /v1/orders"
	Object   string
	Before   []byte
	After    []byte
}

// Answer is the stored outcome of a request with an idempotency key.
type Answer struct {
	Operator    string
	Key         string
	RequestHash [32]byte
	Status      int
	Body        []byte
	At          int64
}

// Store keeps operators, the audit log and answers.
type Store interface {
	// InsertOperator adds an operator; store.ErrExists when id, login or token is taken.
	InsertOperator(ctx context.Context, o Operator) error
	// ByToken returns the operator with the token's hash, or store.ErrNotFound.
	ByToken(ctx context.Context, hash [32]byte) (Operator, error)
	// Operators lists all by id.
	Operators(ctx context.Context) ([]Operator, error)
	// AppendAudit adds lines to the audit log.
	AppendAudit(ctx context.Context, lines []Audit) error
	// AuditAfter lists the log by (at, id) after a line, at most limit.
	AuditAfter(ctx context.Context, at int64, id string, limit int) ([]Audit, error)
	// Answer returns the stored answer, or store.ErrNotFound.
	Answer(ctx context.Context, operator, key string) (Answer, error)
	// InsertAnswer stores one; store.ErrExists when the key has one.
	InsertAnswer(ctx context.Context, a Answer) error
}
