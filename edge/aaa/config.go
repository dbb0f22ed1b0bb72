package aaa

import (
	"errors"
	"fmt"
	"time"

	"meridian/radius"
)

// Config is what a [Handler] is built from. Start from [DefaultConfig].
type Config struct {
	// Node names this node in the commands that it proposes.
	Node string

	// StaleAfter is how long a node that hears no leader goes on answering as if
	// its replica were current.
	StaleAfter time.Duration
	// AcceptWhenStale lets such a node still accept what needs no exactness: a
	// flat-rate login that does not take the last session slot. Everything else
	// gets no answer, so that the NAS asks another node.
	AcceptWhenStale bool

	// Clock turns an instant of the machine's clock into one of the node's; nil: they
	// are the same.
	Clock func(time.Time) time.Time

	// RefreshEvery is how often the NAS registry is looked at without being told.
	RefreshEvery time.Duration
	// PasswordCacheMax is how many opened passwords are kept, at most, and how many
	// opened NT hashes beside them.
	PasswordCacheMax int

	// MessageAuthenticator and LimitProxyState are the policy for every NAS
	// (CVE-2024-3596).
	MessageAuthenticator radius.MAPolicy
	LimitProxyState      bool

	// LogEvery bounds repeated warnings: one line of a kind in this time.
	LogEvery time.Duration
}

// DefaultConfig returns the documented defaults; Node is the caller's.
func DefaultConfig() Config {
	return Config{
		StaleAfter: 10 * time.Second, AcceptWhenStale: true,
		RefreshEvery: 5 * time.Second, PasswordCacheMax: 1 << 17, LogEvery: 10 * time.Second,
	}
}

// Validate reports every fault at once.
func (c Config) Validate() error {
	var faults faults
	if c.Node == "" || len(c.Node) > 64 {
		faults.add("Node is %q: name this node in 1 to 64 characters", c.Node)
	}
	faults.lasting("StaleAfter", c.StaleAfter, time.Second, 10*time.Minute)
	faults.lasting("RefreshEvery", c.RefreshEvery, 10*time.Millisecond, 10*time.Minute)
	faults.between("PasswordCacheMax", c.PasswordCacheMax, 2*cacheShards, 1<<24)
	faults.lasting("LogEvery", c.LogEvery, 0, time.Hour)
	if c.MessageAuthenticator > radius.MAOptional {
		faults.add("MessageAuthenticator is %d: say auto, require or optional", c.MessageAuthenticator)
	}
	return errors.Join(faults...)
}

// EffectsConfig is what [Effects] are built from. Start from
// [DefaultEffectsConfig].
type EffectsConfig struct {
	// Changed returns a channel that is closed, or gets a value, at the next change
	// of the state: it wakes the loop. Nil leaves the loop to Every alone.
	Changed func() <-chan struct{}
	// Every is how often the queue is looked at without being told.
	Every time.Duration
	// Rest is the least time between two looks that Changed asked for.
	Rest time.Duration

	Window      int // effects that are looked at, oldest first
	Concurrency int // requests without an answer, all NAS together
	PerNAS      int // the same, for one NAS, so that a dead one does not hold up the rest
	Batch       int // outcomes that one command takes off the queue

	// Tries is how often a NAS that refuses or is silent is asked; each try is a
	// request with the retransmissions of package coa. RetryPause follows the
	// first and doubles up to RetryPauseMax.
	Tries         int
	RetryPause    time.Duration
	RetryPauseMax time.Duration

	// MessageAuthenticator adds one to requests (RFC 5176 section 3.4); some old NAS
	// refuse it.
	MessageAuthenticator bool

	// LogEvery bounds repeated warnings: one line in this time.
	LogEvery time.Duration
}

// DefaultEffectsConfig returns the documented defaults; Changed is the caller's.
func DefaultEffectsConfig() EffectsConfig {
	return EffectsConfig{
		Every: 500 * time.Millisecond, Rest: 10 * time.Millisecond,
		Window: 4096, Concurrency: 256, PerNAS: 32, Batch: 1000,
		Tries: 5, RetryPause: 2 * time.Second, RetryPauseMax: 30 * time.Second, LogEvery: 10 * time.Second,
	}
}

// Validate reports every fault at once.
func (c EffectsConfig) Validate() error {
	var faults faults
	faults.lasting("Every", c.Every, time.Millisecond, time.Minute)
	faults.lasting("Rest", c.Rest, time.Millisecond, time.Minute)
	faults.between("Window", c.Window, 1, 100_000)
	faults.between("Concurrency", c.Concurrency, 1, 1<<16)
	faults.between("PerNAS", c.PerNAS, 1, 256)
	faults.between("Batch", c.Batch, 1, 10_000)
	faults.between("Tries", c.Tries, 1, 100)
	faults.lasting("RetryPause", c.RetryPause, time.Millisecond, time.Hour)
	faults.lasting("RetryPauseMax", c.RetryPauseMax, c.RetryPause, time.Hour)
	faults.lasting("LogEvery", c.LogEvery, 0, time.Hour)
	return errors.Join(faults...)
}

// faults collects what is wrong with a configuration.
type faults []error

func (f *faults) add(format string, args ...any) {
	*f = append(*f, fmt.Errorf("aaa: "+format, args...))
}

func (f *faults) between(name string, value, low, high int) {
	if value < low || value > high {
		f.add("%s is %d: must be from %d to %d", name, value, low, high)
	}
}

func (f *faults) lasting(name string, value, low, high time.Duration) {
	if value < low || value > high {
		f.add("%s is %v: must be from %v to %v", name, value, low, high)
	}
}
