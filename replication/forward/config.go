package forward

import (
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"

	"meridian/replication/identity"
)

const (
	// messageSlack is what a message may be longer than the commands in it.
	messageSlack = 1 << 20
	windowBytes  = 4 << 20
)

// Config holds the limits of both sides; all nodes of a region use the same.
type Config struct {
	Region string
	Party  identity.Party // this node's installation, and the versions of the log's commands that it knows
	TLS    *tls.Config    // both roles; from identity.Bundle.TLS(identity.NodesOf(Region))

	MaxCommands int // in a batch
	MaxBytes    int // of a batch's commands
	MaxInFlight int // batches without result, per pair of nodes
	MaxLeaders  int // addresses with an open connection; the one used longest ago is closed for a new one

	ConnectTimeout time.Duration
	Probe          time.Duration // how often an open stream is probed
	Silence        time.Duration // without any answer for this long, the stream has failed
	Idle           time.Duration // a stream that was not used for this long is closed

	Logger *slog.Logger
}

// DefaultConfig fills in all limits and times.
func DefaultConfig() Config {
	return Config{
		MaxCommands: 4096, MaxBytes: 4 << 20, MaxInFlight: 64, MaxLeaders: 16,
		ConnectTimeout: time.Second, Probe: 400 * time.Millisecond, Silence: 1500 * time.Millisecond, Idle: time.Minute,
	}
}

// Validate reports every fault at once.
func (c Config) Validate() error {
	var faults []error
	bad := func(format string, args ...any) {
		faults = append(faults, fmt.Errorf("forward config: "+format, args...))
	}
	if !identity.ValidName(c.Region) {
		bad("Region %q: use 1 to 63 of a-z, 0-9 and hyphen", c.Region)
	}
	if c.TLS == nil {
		bad("TLS is missing; nodes talk by mutual TLS only")
	}
	if c.Logger == nil {
		bad("Logger is missing")
	}
	for _, n := range []struct {
		name        string
		value, most int
	}{
		{"MaxCommands", c.MaxCommands, 1 << 20}, {"MaxBytes", c.MaxBytes, 256 << 20},
		{"MaxInFlight", c.MaxInFlight, 4096}, {"MaxLeaders", c.MaxLeaders, 1024},
	} {
		if n.value < 1 || n.value > n.most {
			bad("%s is %d; allowed are 1 to %d", n.name, n.value, n.most)
		}
	}
	for _, d := range []struct {
		name  string
		value time.Duration
	}{{"ConnectTimeout", c.ConnectTimeout}, {"Probe", c.Probe}, {"Idle", c.Idle}} {
		if d.value <= 0 {
			bad("%s is %s; it must be above 0", d.name, d.value)
		}
	}
	if c.Silence < 2*c.Probe {
		bad("Silence %s is below twice Probe %s; one late answer would fail the stream", c.Silence, c.Probe)
	}
	return errors.Join(faults...)
}

// GRPCOptions are what the grpc.Server that serves Forward needs.
func (c Config) GRPCOptions() []grpc.ServerOption {
	return []grpc.ServerOption{
		grpc.Creds(credentials.NewTLS(c.TLS)),
		grpc.MaxRecvMsgSize(c.MaxBytes + messageSlack),
		grpc.MaxSendMsgSize(c.MaxBytes + messageSlack),
		grpc.InitialWindowSize(windowBytes),
		grpc.InitialConnWindowSize(windowBytes),
		grpc.ConnectionTimeout(3 * time.Second),
	}
}

// check says why a batch is not taken.
func (c Config) check(cmds [][]byte) error {
	size := 0
	for _, cmd := range cmds {
		size += len(cmd)
	}
	if len(cmds) == 0 || len(cmds) > c.MaxCommands || size > c.MaxBytes {
		return fmt.Errorf("%w: batch of %d commands, %d bytes; 1 to %d commands and %d bytes are allowed; split it",
			ErrInvalid, len(cmds), size, c.MaxCommands, c.MaxBytes)
	}
	return nil
}
