package central

import (
	"crypto/tls"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"os"
	"slices"
	"time"

	"meridian/central/catalog"
	"meridian/central/cockroach"
	"meridian/central/feed"
	"meridian/central/regions"
	"meridian/ops/metrics"
	"meridian/replication/identity"
	"meridian/replication/link"
)

// Config is all that a centre server is told. Nothing is read from the
// environment.
type Config struct {
	// Cluster names the installation: regions of another are refused.
	Cluster string `yaml:"cluster"`
	// StoreURL names the database: postgresql://user@host:port/database, for
	// CockroachDB and PostgreSQL alike.
	StoreURL string `yaml:"store_url"`
	// Database sizes the connections to it.
	Database cockroach.Config `yaml:"-"`
	// Migrate brings the schema up to date at the start.
	Migrate bool `yaml:"migrate"`

	// HTTPListen is the API's host:port; port 0 picks a free one.
	HTTPListen string `yaml:"http_listen"`
	// HTTPCertFile and HTTPKeyFile are the API's certificate. They may be empty
	// only when the API listens on a loopback address.
	HTTPCertFile string `yaml:"http_cert_file"`
	HTTPKeyFile  string `yaml:"http_key_file"`

	// LinkListen is the host:port that regions connect to, always mutual TLS.
	LinkListen string `yaml:"link_listen"`
	// CertFile, KeyFile and CAFile are the centre's certificate and the
	// authority that regions' certificates come from.
	CertFile string `yaml:"cert_file"`
	KeyFile  string `yaml:"key_file"`
	CAFile   string `yaml:"ca_file"`
	// LinkTLS and Authority (in PEM) replace the three files; for programs that run
	// a centre inside. Without an Authority it takes no signed heads.
	LinkTLS   *tls.Config `yaml:"-"`
	Authority []byte      `yaml:"-"`

	// RegionKeys names the key file of each region whose credentials are sealed
	// here. A region without one can be connected but not sold in.
	RegionKeys map[string]string `yaml:"region_keys"`

	// BootstrapLogin and BootstrapTokenHash make the first admin: the hash is the
	// SHA-256 of its bearer token, in hexadecimal. Empty makes none.
	BootstrapLogin     string `yaml:"bootstrap_login"`
	BootstrapTokenHash string `yaml:"bootstrap_token_hash"`

	// Catalog is the policy of publishing.
	Catalog catalog.Config `yaml:"-"`
	// Feed and Link bound the sequencer and the streams of regions.
	Feed feed.Config       `yaml:"-"`
	Link link.ServerConfig `yaml:"-"`

	// DebugTokenHash is the SHA-256, in hexadecimal, of the bearer token of
	// /debug/pprof/; empty serves none.
	DebugTokenHash string `yaml:"-"`

	// RequestTimeout bounds one API request, ShutdownTimeout the wait for running
	// ones in Close.
	RequestTimeout  time.Duration `yaml:"request_timeout"`
	ShutdownTimeout time.Duration `yaml:"shutdown_timeout"`

	// Registry takes the server's metrics and has them served at GET /metrics of
	// HTTPListen, without a token; nil exports none.
	Registry *metrics.Registry `yaml:"-"`
	// Logger receives what the server does; it must be given.
	Logger *slog.Logger `yaml:"-"`
}

// DefaultConfig lacks only StoreURL, the certificates and the Logger.
func DefaultConfig() Config {
	l := link.DefaultServerConfig()
	l.MaxEntries = regions.MaxBatch
	return Config{
		Database: cockroach.DefaultConfig(), Migrate: true,
		HTTPListen: "127.0.0.1:8080", LinkListen: "127.0.0.1:7000", BootstrapLogin: "admin",
		Feed: feed.DefaultConfig(), Link: l, Catalog: catalog.Config{LeadTime: 72 * time.Hour},
		RequestTimeout: 30 * time.Second, ShutdownTimeout: 5 * time.Second,
	}
}

// Validate reports every fault at once.
func (c Config) Validate() error {
	var faults []error
	need := func(ok bool, format string, args ...any) {
		if !ok {
			faults = append(faults, fmt.Errorf(format, args...))
		}
	}
	need(identity.ValidName(c.Cluster), "cluster is %q: name the installation by 1 to 63 of a-z, 0-9 and hyphen", c.Cluster)
	need(c.StoreURL != "", "store_url is empty: name the database, e.g. postgresql://meridian@127.0.0.1:26257/meridian")
	need(c.Logger != nil, "Logger is missing: give one")
	need((c.HTTPCertFile == "") == (c.HTTPKeyFile == ""), "http_cert_file is %q, http_key_file is %q: give both or none", c.HTTPCertFile, c.HTTPKeyFile)
	for _, l := range [...]struct{ name, addr string }{{"http_listen", c.HTTPListen}, {"link_listen", c.LinkListen}} {
		_, _, err := net.SplitHostPort(l.addr)
		need(err == nil, "%s is %q: write host:port", l.name, l.addr)
	}
	need(c.HTTPCertFile != "" || Loopback(c.HTTPListen), "http_listen is %q, not a loopback address, and there is no http_cert_file: give a certificate, tokens and passwords would travel in clear text", c.HTTPListen)
	need(c.LinkTLS != nil || (c.CertFile != "" && c.KeyFile != "" && c.CAFile != ""),
		"cert_file is %q, key_file is %q, ca_file is %q: give all three", c.CertFile, c.KeyFile, c.CAFile)
	if c.BootstrapTokenHash != "" {
		b, err := hex.DecodeString(c.BootstrapTokenHash)
		need(err == nil && len(b) == 32, "bootstrap_token_hash is not a SHA-256 in hexadecimal: write its 64 digits")
		need(c.BootstrapLogin != "", "bootstrap_login is empty: name the first admin")
	}
	for _, region := range slices.Sorted(maps.Keys(c.RegionKeys)) {
		need(identity.ValidName(region), "region_keys: %q is no region's name: use 1 to 63 of a-z, 0-9 and hyphen", region)
		_, err := os.Stat(c.RegionKeys[region])
		need(err == nil, "region_keys.%s is %q: %v: name the region's key file", region, c.RegionKeys[region], err)
	}
	need(c.Catalog.LeadTime >= 0, "Catalog.LeadTime is %s: use 0 or more", c.Catalog.LeadTime)
	need(c.RequestTimeout > 0, "request_timeout is %s: use more than zero", c.RequestTimeout)
	need(c.ShutdownTimeout > 0, "shutdown_timeout is %s: use more than zero", c.ShutdownTimeout)
	need(c.Link.MaxEntries <= regions.MaxBatch, "Link.MaxEntries is %d: use at most %d", c.Link.MaxEntries, regions.MaxBatch)
	l := c.Link
	l.Logger = c.Logger
	return errors.Join(append(faults, c.Database.Validate(), c.Feed.Validate(), l.Validate())...)
}

// Loopback tells whether host:port is reached from this machine only.
func Loopback(addr string) bool {
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return true // reported already
	}
	ip := net.ParseIP(host)
	return host == "localhost" || (ip != nil && ip.IsLoopback())
}
