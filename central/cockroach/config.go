package cockroach

import (
	"errors"
	"fmt"
	"time"
)

// Config sizes the connection pool and bounds waiting.
type Config struct {
	// MaxConns is the most connections of this process: about 4 × the cluster's
	// vCPUs, divided by the number of centre servers.
	MaxConns int32
	// MaxRetries is how often a transaction that met a serialization failure is
	// run again, after 1 ms … 500 ms each.
	MaxRetries int
	// StatementTimeout and LockTimeout end a statement; IdleInTx ends a session
	// that holds a transaction open without a statement.
	StatementTimeout, LockTimeout, IdleInTx time.Duration
	// ConnectTimeout bounds a new connection.
	ConnectTimeout time.Duration
	// ConnLifetime is how long a connection is used, ± 10 %.
	ConnLifetime time.Duration
	// ApplicationName appears in the database's session lists.
	ApplicationName string
	// BeforeCommit is a hook for tests: when it returns an error, the attempt is
	// rolled back and ends with that error. Nil in production.
	BeforeCommit func(op string, attempt int) error
}

// DefaultConfig returns settings for a small server.
func DefaultConfig() Config {
	return Config{
		MaxConns: 16, MaxRetries: 50,
		StatementTimeout: 30 * time.Second, LockTimeout: 10 * time.Second, IdleInTx: 30 * time.Second,
		ConnectTimeout: 5 * time.Second, ConnLifetime: 15 * time.Minute, ApplicationName: "meridian-central",
	}
}

// Validate reports every fault at once.
func (c Config) Validate() error {
	var faults []error
	if c.MaxConns < 2 || c.MaxConns > 1000 {
		faults = append(faults, fmt.Errorf("MaxConns is %d: use 2 to 1000", c.MaxConns))
	}
	if c.MaxRetries < 1 || c.MaxRetries > 1000 {
		faults = append(faults, fmt.Errorf("MaxRetries is %d: use 1 to 1000", c.MaxRetries))
	}
	for _, d := range [...]struct {
		name string
		v    time.Duration
	}{{"StatementTimeout", c.StatementTimeout}, {"LockTimeout", c.LockTimeout}, {"IdleInTx", c.IdleInTx},
		{"ConnectTimeout", c.ConnectTimeout}, {"ConnLifetime", c.ConnLifetime}} {
		if d.v < time.Millisecond {
			faults = append(faults, fmt.Errorf("%s is %s: use at least a millisecond", d.name, d.v))
		}
	}
	return errors.Join(faults...)
}
