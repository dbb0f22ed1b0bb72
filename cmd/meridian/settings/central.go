package settings

import (
	"crypto/sha256"
	"encoding/hex"
	"time"

	"meridian/central"
	"meridian/ops/logging"
	"meridian/replication/seal"
)

// Central is the file of `meridian central`. Paths are taken from the file's own
// folder. The store is named by store_url, or, with a password in it, by a file
// of mode 0600 that holds the URL.
type Central struct {
	StoreURL     string `yaml:"store_url"`
	StoreURLFile string `yaml:"store_url_file"`
	Migrate      bool   `yaml:"migrate"`

	HTTP         string `yaml:"http"`
	HTTPCertFile string `yaml:"http_cert_file"`
	HTTPKeyFile  string `yaml:"http_key_file"`
	Link         string `yaml:"link"`

	Identity Identity          `yaml:"identity"`
	Rings    map[string]string `yaml:"region_ring_files"`

	BootstrapLogin     string `yaml:"bootstrap_login"`
	BootstrapTokenFile string `yaml:"bootstrap_token_file"`

	RequestTimeout  time.Duration `yaml:"request_timeout"`
	ShutdownTimeout time.Duration `yaml:"shutdown_timeout"`
	Log             Log           `yaml:"log"`
}

// DefaultCentral returns the documented defaults; store and keys are the
// operator's to give.
func DefaultCentral() Central {
	d := central.DefaultConfig()
	return Central{
		Migrate: d.Migrate, HTTP: d.HTTPListen, Link: d.LinkListen, BootstrapLogin: d.BootstrapLogin,
		RequestTimeout: d.RequestTimeout, ShutdownTimeout: d.ShutdownTimeout, Log: defaultLog(),
	}
}

// LoadCentral reads the file and every file that it names. All faults are
// reported at once, each with its path in the file and a remedy.
func LoadCentral(path string) (central.Config, logging.Config, error) {
	s := DefaultCentral()
	l, err := load(path, &s)
	if err != nil {
		return central.Config{}, logging.Config{}, err
	}
	cfg := central.DefaultConfig()
	cfg.StoreURL, cfg.Migrate = s.StoreURL, s.Migrate
	switch {
	case s.StoreURL == "" && s.StoreURLFile == "":
		l.fault("store_url", "neither it nor store_url_file is given: name the database, e.g. postgresql://meridian@127.0.0.1:26257/meridian")
	case s.StoreURL != "" && s.StoreURLFile != "":
		l.fault("store_url", "store_url_file is given, too: keep one of them")
	case s.StoreURLFile != "":
		cfg.StoreURL = read(l, "store_url_file", s.StoreURLFile, secret)
	}
	cfg.HTTPListen, cfg.LinkListen = s.HTTP, s.Link
	cfg.HTTPCertFile, cfg.HTTPKeyFile = l.path(s.HTTPCertFile), l.path(s.HTTPKeyFile)
	if l.bundle("identity", s.Identity) != nil {
		cfg.CertFile, cfg.KeyFile, cfg.CAFile = l.path(s.Identity.Cert), l.path(s.Identity.Key), l.path(s.Identity.CA)
	}
	cfg.RegionKeys = make(map[string]string, len(s.Rings))
	for region, file := range s.Rings {
		read(l, "region_ring_files."+region, file, seal.LoadRing)
		cfg.RegionKeys[region] = l.path(file)
	}
	cfg.BootstrapLogin = s.BootstrapLogin
	if s.BootstrapTokenFile != "" {
		if token := read(l, "bootstrap_token_file", s.BootstrapTokenFile, secret); token != "" {
			hash := sha256.Sum256([]byte(token))
			cfg.BootstrapTokenHash = hex.EncodeToString(hash[:])
		}
	}
	cfg.RequestTimeout, cfg.ShutdownTimeout = s.RequestTimeout, s.ShutdownTimeout
	return cfg, l.log(s.Log), l.err()
}
