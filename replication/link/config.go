package link

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/keepalive"

	"meridian/replication/identity"
)

const (
	// messageSlack is what a message may be longer than the entries or rows in it.
	messageSlack = 4 << 20
	// windowBytes is the flow-control window: large enough that a long round
	// trip does not starve the stream.
	windowBytes = 4 << 20
)

// ClientConfig says who the region is and where the centre is.
type ClientConfig struct {
	Cluster         string // name of the installation; the server's must be the same
	Region          string
	Node            string
	Addresses       []string    // host:port of the centre's servers, tried in turn
	TLS             *tls.Config // from identity.Bundle.TLS(identity.TheCentre())
	SoftwareVersion string

	// Dial opens the transport below TLS to one of Addresses; nil is TCP.
	Dial func(ctx context.Context, addr string) (net.Conn, error)

	MaxEntries  int // in a batch
	MaxBytes    int // of a batch's entries
	MaxInFlight int // unacknowledged batches, also when the centre gives more credit
	ApplyQueue  int // messages received and not yet applied; then the stream is not read

	// LineRate is what the line to the centre carries, in bytes a second; 0 is not
	// limited. Below it batches are small enough and apart enough that heartbeats pass
	// between them, and messages are compressed both ways.
	LineRate int

	Heartbeat      time.Duration // how often Health is sent
	Silence        time.Duration // hearing nothing for this long, the stream is given up
	ConnectTimeout time.Duration // from dialling to the Welcome
	BackoffMin     time.Duration // wait after a lost stream, doubled up to BackoffMax, with jitter
	BackoffMax     time.Duration

	Logger *slog.Logger
}

// DefaultClientConfig fills in all limits and times.
func DefaultClientConfig() ClientConfig {
	return ClientConfig{
		MaxEntries: 1000, MaxBytes: 1 << 20, MaxInFlight: 16, ApplyQueue: 64,
		Heartbeat: time.Second, Silence: 3 * time.Second, ConnectTimeout: 5 * time.Second,
		BackoffMin: 100 * time.Millisecond, BackoffMax: 2 * time.Second,
	}
}

// Validate reports every fault at once.
func (c ClientConfig) Validate() error {
	f := faults{where: "link client config"}
	if err := identity.Node(c.Region, c.Node).Validate(); err != nil || c.Node == "" {
		f.add("Region %q, Node %q: give both, each 1 to 63 of a-z, 0-9 and hyphen", c.Region, c.Node)
	}
	if len(c.Addresses) == 0 {
		f.add("Addresses is empty; give host:port of at least one server of the centre")
	}
	for i, a := range c.Addresses {
		if _, _, err := net.SplitHostPort(a); err != nil {
			f.add("Addresses[%d] %q: write host:port", i, a)
		}
	}
	if c.TLS == nil {
		f.add("TLS is missing; the link is mutual TLS only")
	}
	if c.Logger == nil {
		f.add("Logger is missing")
	}
	f.between("MaxEntries", c.MaxEntries, 1, 100_000)
	f.between("MaxBytes", c.MaxBytes, 1, 64<<20)
	f.between("MaxInFlight", c.MaxInFlight, 1, 1024)
	f.between("ApplyQueue", c.ApplyQueue, 1, 65_536)
	if c.LineRate != 0 {
		f.between("LineRate", c.LineRate, 1000, 1<<40)
	}
	f.positive("Heartbeat", c.Heartbeat)
	f.positive("ConnectTimeout", c.ConnectTimeout)
	f.positive("BackoffMin", c.BackoffMin)
	f.silence(c.Silence, c.Heartbeat)
	if c.BackoffMax < c.BackoffMin {
		f.add("BackoffMax %s is below BackoffMin %s", c.BackoffMax, c.BackoffMin)
	}
	return f.err()
}

// ServerConfig sets the limits of the centre's side.
type ServerConfig struct {
	Cluster         string // name of the installation; regions of another are refused
	SoftwareVersion string

	Credit     int // unacknowledged batches that a region may have on the way
	MaxEntries int // in a batch
	MaxBytes   int // of a batch's entries, or of the rows in one message; a single one may be longer, up to 4 MiB more
	MaxRows    int // in one message of the feed
	FarBehind  int // a region that lacks more rows than these gets only the newest of each entity
	MaxWanted  int // items waiting for the Sink, per stream
	MaxRegions int // whose order of streams is remembered

	Heartbeat    time.Duration // how often Credit is sent
	Silence      time.Duration // hearing nothing for this long, the stream is given up
	HelloTimeout time.Duration // from the stream's opening to the Welcome
	FeedPoll     time.Duration // the feed is read this often also without a signal

	Logger *slog.Logger
}

// DefaultServerConfig fills in all limits and times.
func DefaultServerConfig() ServerConfig {
	return ServerConfig{
		Credit: 8, MaxEntries: 10_000, MaxBytes: 4 << 20, MaxRows: 500, FarBehind: 5000, MaxWanted: 100_000, MaxRegions: 10_000,
		Heartbeat: time.Second, Silence: 3 * time.Second, HelloTimeout: 5 * time.Second, FeedPoll: 5 * time.Second,
	}
}

// Validate reports every fault at once.
func (c ServerConfig) Validate() error {
	f := faults{where: "link server config"}
	if c.Logger == nil {
		f.add("Logger is missing")
	}
	f.between("Credit", c.Credit, 1, 1024)
	f.between("MaxEntries", c.MaxEntries, 1, 1_000_000)
	f.between("MaxBytes", c.MaxBytes, 1, 256<<20)
	f.between("MaxRows", c.MaxRows, 1, 100_000)
	f.between("FarBehind", c.FarBehind, 0, 1<<30)
	f.between("MaxWanted", c.MaxWanted, 1, 10_000_000)
	f.between("MaxRegions", c.MaxRegions, 1, 1_000_000)
	f.positive("Heartbeat", c.Heartbeat)
	f.positive("HelloTimeout", c.HelloTimeout)
	f.positive("FeedPoll", c.FeedPoll)
	f.silence(c.Silence, c.Heartbeat)
	return f.err()
}

// GRPCOptions are what the grpc.Server that serves the link needs. tlsConfig
// comes from identity.Bundle.TLS(identity.AnyRegion()).
func (c ServerConfig) GRPCOptions(tlsConfig *tls.Config) []grpc.ServerOption {
	return []grpc.ServerOption{
		grpc.Creds(credentials.NewTLS(tlsConfig)),
		grpc.MaxRecvMsgSize(c.MaxBytes + messageSlack),
		grpc.MaxSendMsgSize(c.MaxBytes + messageSlack),
		grpc.InitialWindowSize(windowBytes),
		grpc.InitialConnWindowSize(windowBytes),
		grpc.ConnectionTimeout(c.HelloTimeout),
		grpc.KeepaliveParams(keepalive.ServerParameters{Time: 10 * time.Second, Timeout: c.Silence}),
	}
}

// faults gathers what is wrong with a configuration.
type faults struct {
	where string
	errs  []error
}

func (f *faults) add(format string, args ...any) {
	f.errs = append(f.errs, fmt.Errorf(f.where+": "+format, args...))
}

func (f *faults) between(name string, v, least, most int) {
	if v < least || v > most {
		f.add("%s is %d; allowed are %d to %d", name, v, least, most)
	}
}

func (f *faults) positive(name string, d time.Duration) {
	if d <= 0 {
		f.add("%s is %s; it must be above 0", name, d)
	}
}

func (f *faults) silence(silence, heartbeat time.Duration) {
	if silence < 2*heartbeat {
		f.add("Silence %s is below twice Heartbeat %s; one late heartbeat would cut the stream", silence, heartbeat)
	}
}

func (f *faults) err() error { return errors.Join(f.errs...) }
