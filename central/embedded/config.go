package embedded

import (
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"time"
)

// The kinds of server, as named in Config.Prefer and returned by Store.Kind.
const (
	Auto      = "auto"
	Cockroach = "cockroach"
	Postgres  = "postgres"
)

// Config says where the store lives and which server runs it.
type Config struct {
	// Dir is the store's own directory; it is created if it is missing. It may
	// lie below a directory that the database's user cannot enter.
	Dir string

	// Prefer is Auto (what the directory holds already, else CockroachDB if its
	// binary is there, else PostgreSQL), Cockroach or Postgres.
	Prefer string

	// CockroachBinary is the path of a cockroach binary. Empty means the
	// environment's COCKROACH_BINARY, then `cockroach` in PATH.
	CockroachBinary string

	// Port is the TCP port on 127.0.0.1; 0 picks a free one. An adopted server
	// keeps its own.
	Port int

	// StartTimeout bounds the wait for a server that was started, crash
	// recovery included.
	StartTimeout time.Duration

	// StopTimeout bounds an orderly stop in Close; after it the server is
	// stopped at once, and recovers when it is next started.
	StopTimeout time.Duration

	// NoSync gives up durability against a crash of the machine, though not of
	// the server. It is for databases that a test throws away, never for money.
	NoSync bool

	// Log receives what the supervisor does. Nil discards it.
	Log *slog.Logger
}

// DefaultConfig returns a Config that lacks only its Dir.
func DefaultConfig() Config {
	return Config{
		Prefer:       Auto,
		StartTimeout: 2 * time.Minute,
		StopTimeout:  30 * time.Second,
		Log:          slog.New(slog.DiscardHandler),
	}
}

// Validate reports every fault of the configuration at once.
func (c Config) Validate() error {
	var faults []error
	switch {
	case c.Dir == "":
		faults = append(faults, errors.New("Dir is empty: name the directory that the store may own"))
	case filepath.Clean(c.Dir) == string(filepath.Separator):
		faults = append(faults, errors.New("Dir is /: name a directory that the store may own"))
	}
	switch c.Prefer {
	case Auto, Cockroach, Postgres:
	default:
		faults = append(faults, fmt.Errorf("Prefer is %q: use %q, %q or %q", c.Prefer, Auto, Cockroach, Postgres))
	}
	if c.Port < 0 || c.Port > 65535 {
		faults = append(faults, fmt.Errorf("Port is %d: use 1 to 65535, or 0 for a free one", c.Port))
	}
	if c.StartTimeout <= 0 {
		faults = append(faults, fmt.Errorf("StartTimeout is %s: use more than zero", c.StartTimeout))
	}
	if c.StopTimeout <= 0 {
		faults = append(faults, fmt.Errorf("StopTimeout is %s: use more than zero", c.StopTimeout))
	}
	return errors.Join(faults...)
}

// withDefaults fills the fields that a caller may leave at their zero value.
func (c Config) withDefaults() Config {
	d := DefaultConfig()
	if c.Prefer == "" {
		c.Prefer = d.Prefer
	}
	if c.StartTimeout == 0 {
		c.StartTimeout = d.StartTimeout
	}
	if c.StopTimeout == 0 {
		c.StopTimeout = d.StopTimeout
	}
	if c.Log == nil {
		c.Log = d.Log
	}
	return c
}
