package settings

import (
	"crypto/sha256"
	"crypto/tls"
	"encoding/hex"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"
	"time"

	"meridian/central"
	"meridian/ops/logging"
	"meridian/replication/identity"
	"meridian/replication/seal"
)

// Central is the file of `meridian central`. Paths are taken from the file's own
// folder.
type Central struct {
	Cluster      string `yaml:"cluster" doc:"name of the installation, the same at the centre and in all its regions" is:"name" need:"acme"`
	StoreURL     string `yaml:"store_url" doc:"database, CockroachDB or PostgreSQL, without a password: postgresql://user@host:port/database"`
	StoreURLFile string `yaml:"store_url_file" doc:"or a file of mode 0600 that holds the URL, with a password; all paths are taken from this file's folder" is:"secret file"`
	Migrate      bool   `yaml:"migrate" doc:"bring the schema up to date at the start"`

	HTTP         string `yaml:"http" doc:"the API, metrics, health and profiles" is:"host:port" need:"127.0.0.1:8080"`
	HTTPCertFile string `yaml:"http_cert_file" doc:"certificate of the API, PEM; may be empty on a loopback address only" is:"file"`
	HTTPKeyFile  string `yaml:"http_key_file" doc:"its key, PEM, mode 0600" is:"secret file"`
	Link         string `yaml:"link" doc:"regions connect here, mutual TLS" is:"host:port" need:"0.0.0.0:7000"`

	Identity Identity          `yaml:"identity" doc:"who this process is"`
	Rings    map[string]string `yaml:"region_ring_files" doc:"key file of each region, by name: the region's credentials are sealed with it"`

	BootstrapLogin     string `yaml:"bootstrap_login" doc:"login of the first admin"`
	BootstrapTokenFile string `yaml:"bootstrap_token_file" doc:"one line, the first admin's token; empty makes no admin" is:"secret file"`
	DebugTokenFile     string `yaml:"debug_token_file" doc:"one line, the bearer token of /debug/pprof/; empty: there is no /debug/pprof/" is:"secret file"`

	CatalogLeadTime time.Duration `yaml:"catalog_lead_time" doc:"publishing needs a valid-from that is later than this from now, or a second admin: the longest outage of a region to expect; 0s asks for none" min:"0s" max:"2160h"`
	RequestTimeout  time.Duration `yaml:"request_timeout" doc:"bounds one request of the API" min:"1s" max:"10m"`
	ShutdownTimeout time.Duration `yaml:"shutdown_timeout" doc:"after SIGTERM: running requests are waited for, and the process ends within this" min:"1s" max:"8s"`
	Log             Log           `yaml:"log" doc:"what is logged, on standard error"`
}

// DefaultCentral returns the documented defaults; store and keys are the
// operator's to give.
func DefaultCentral() Central {
	d := central.DefaultConfig()
	return Central{
		Migrate: d.Migrate, HTTP: d.HTTPListen, Link: d.LinkListen, BootstrapLogin: d.BootstrapLogin, Rings: map[string]string{},
		CatalogLeadTime: d.Catalog.LeadTime,
		RequestTimeout:  d.RequestTimeout, ShutdownTimeout: d.ShutdownTimeout, Log: defaultLog(),
	}
}

// LoadCentral reads the file, the environment (as os.Environ gives it) and every
// file that is named. All faults are told at once; each is a *Fault.
func LoadCentral(path string, environ []string) (central.Config, logging.Config, error) {
	s := DefaultCentral()
	l, err := load(path, environ, envCentral, &s)
	if err != nil {
		return central.Config{}, logging.Config{}, err
	}
	cfg := central.DefaultConfig()
	cfg.Cluster, cfg.StoreURL, cfg.Migrate = s.Cluster, l.store(s), s.Migrate
	cfg.HTTPListen, cfg.LinkListen = s.HTTP, s.Link
	l.listeners(s)
	cfg.HTTPCertFile, cfg.HTTPKeyFile = l.path(s.HTTPCertFile), l.path(s.HTTPKeyFile)
	if b := l.bundle("identity", s.Identity); b != nil {
		if b.ID != identity.Centre() {
			l.fault("identity.cert", "the certificate names %s: give the one issued to the centre", b.ID)
		}
		cfg.CertFile, cfg.KeyFile, cfg.CAFile = l.path(s.Identity.Cert), l.path(s.Identity.Key), l.path(s.Identity.CA)
	}
	cfg.RegionKeys = make(map[string]string, len(s.Rings))
	for _, region := range slices.Sorted(maps.Keys(s.Rings)) {
		field := "region_ring_files." + region
		if !identity.ValidName(region) {
			l.fault(field, "%q is no region's name: use 1 to 63 of a-z, 0-9 and hyphen", region)
		}
		switch {
		case l.faulty(field):
		case s.Rings[region] == "":
			l.fault(field, "is empty: name the region's key file")
		default:
			l.checkText(field, "secret file", s.Rings[region])
		}
		read(l, field, s.Rings[region], seal.LoadRing)
		cfg.RegionKeys[region] = l.path(s.Rings[region])
	}
	cfg.BootstrapLogin = s.BootstrapLogin
	cfg.BootstrapTokenHash = tokenHash(read(l, "bootstrap_token_file", s.BootstrapTokenFile, secret))
	if s.BootstrapTokenFile != "" && s.BootstrapLogin == "" {
		l.fault("bootstrap_login", "is empty: name the first admin")
	}
	cfg.DebugTokenHash = tokenHash(read(l, "debug_token_file", s.DebugTokenFile, secret))
	cfg.Catalog.LeadTime = s.CatalogLeadTime
	cfg.RequestTimeout, cfg.ShutdownTimeout = s.RequestTimeout, s.ShutdownTimeout
	return cfg, s.Log.config(), l.err()
}

// tokenHash is the SHA-256 of a token in hexadecimal, empty when there is none.
func tokenHash(token string) string {
	if token == "" {
		return ""
	}
	hash := sha256.Sum256([]byte(token))
	return hex.EncodeToString(hash[:])
}

// store finds the database's URL. Its value is never shown: it may hold a password.
func (l *loader) store(s Central) string {
	switch {
	case s.StoreURL == "" && s.StoreURLFile == "":
		l.fault("store_url", "neither it nor store_url_file is given: name the database, e.g. postgresql://meridian@127.0.0.1:26257/meridian")
	case s.StoreURL != "" && s.StoreURLFile != "":
		l.faultOf("store_url", "", "store_url_file is given, too: keep one of them")
	case s.StoreURLFile != "":
		text := read(l, "store_url_file", s.StoreURLFile, secret)
		if problem := storeProblem(text, true); text != "" && problem != "" {
			l.fault("store_url_file", "what the file holds %s", problem)
		}
		return text
	default:
		if problem := storeProblem(s.StoreURL, false); problem != "" {
			l.faultOf("store_url", "", "%s", problem)
		}
	}
	return s.StoreURL
}

func storeProblem(text string, passwordAllowed bool) string {
	u, err := url.Parse(text)
	if err != nil || (u.Scheme != "postgresql" && u.Scheme != "postgres") {
		return "is no URL of a database: write postgresql://user@host:port/database"
	}
	_, has := u.User.Password()
	if (has || u.Query().Has("password") || u.Query().Has("sslpassword")) && !passwordAllowed {
		return "holds a password, which anyone who reads this file would see: write the URL into a file of mode 0600 and name it by store_url_file"
	}
	return ""
}

func (l *loader) listeners(s Central) {
	l.api(s.HTTP, s.HTTPCertFile, s.HTTPKeyFile)
	if s.HTTP == s.Link && !strings.HasSuffix(s.HTTP, ":0") {
		l.faultOf("link", s.Link, "the same address as http: give each listener its own")
	}
}

// api checks where an API listens and what it is served by.
func (l *loader) api(addr, certFile, keyFile string) {
	switch {
	case (certFile == "") != (keyFile == ""):
		l.fault("http_cert_file", "http_cert_file is %q, http_key_file is %q: give both or none", certFile, keyFile)
	case certFile != "" && !l.faulty("http_cert_file") && !l.faulty("http_key_file"):
		if _, err := tls.LoadX509KeyPair(l.path(certFile), l.path(keyFile)); err != nil {
			l.fault("http_cert_file", "%v: give a certificate and in http_key_file the key that belongs to it, both PEM", err)
		}
	}
	if certFile == "" && addr != "" && !l.faulty("http") && !central.Loopback(addr) {
		l.faultOf("http", addr, "this is no loopback address and there is no http_cert_file: give a certificate, tokens and passwords would travel in clear text")
	}
}

// indexed is the path of a list's element.
func indexed(path string, i int) string { return fmt.Sprintf("%s[%d]", path, i) }
