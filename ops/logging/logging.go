// Package logging builds the process's one logger: text for a terminal, JSON for
// a machine, and no secret in either.
//
// It owns the handler. It does not decide what is logged, keeps no logger of its
// own, and never touches slog's default: composition roots inject what New
// returns.
package logging

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
)

// The values of Config.Format.
const (
	Text = "text"
	JSON = "json"
)

// Redacted stands for the value of a secret.
const Redacted = "[redacted]"

// Config says how a process logs.
type Config struct {
	Level  string // debug, info, warn or error
	Format string // Text or JSON
}

// DefaultConfig logs from info upwards, as text.
func DefaultConfig() Config { return Config{Level: "info", Format: Text} }

// Validate reports every fault of the configuration at once.
func (c Config) Validate() error {
	var faults []error
	if _, err := ParseLevel(c.Level); err != nil {
		faults = append(faults, err)
	}
	if c.Format != Text && c.Format != JSON {
		faults = append(faults, fmt.Errorf("log format %q: use %q or %q", c.Format, Text, JSON))
	}
	return errors.Join(faults...)
}

// ParseLevel reads a level's name, in any case.
func ParseLevel(name string) (slog.Level, error) {
	switch strings.ToLower(name) {
	case "debug":
		return slog.LevelDebug, nil
	case "info":
		return slog.LevelInfo, nil
	case "warn":
		return slog.LevelWarn, nil
	case "error":
		return slog.LevelError, nil
	}
	return 0, fmt.Errorf("log level %q: use debug, info, warn or error", name)
}

// New returns a logger that writes to w, whose writes must be safe for use by
// several goroutines or made by this logger alone.
func New(w io.Writer, cfg Config) (*slog.Logger, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	level, err := ParseLevel(cfg.Level)
	if err != nil {
		return nil, err
	}
	options := &slog.HandlerOptions{Level: level, ReplaceAttr: redact}
	if cfg.Format == JSON {
		return slog.New(slog.NewJSONHandler(w, options)), nil
	}
	return slog.New(slog.NewTextHandler(w, options)), nil
}

// redact hides the value of an attribute whose key, or whose group's key, names
// a secret. It is the last line of defence: what holds secrets should have a
// LogValue of its own. slog calls it for the members of a group, not the group.
func redact(groups []string, a slog.Attr) slog.Attr {
	if isSecret(a.Key) {
		return slog.String(a.Key, Redacted)
	}
	for _, group := range groups {
		if isSecret(group) {
			return slog.String(a.Key, Redacted)
		}
	}
	return a
}

// isSecret matches a key in whatever style it is written: shared_secret,
// apiToken, PASSWORD.
func isSecret(key string) bool {
	key = strings.ToLower(key)
	for _, word := range [...]string{"password", "passwd", "secret", "token", "authorization", "private_key", "privatekey"} {
		if strings.Contains(key, word) {
			return true
		}
	}
	return false
}
