package edge

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"
)

// apiCertificate is the certificate by which the node's HTTP is served. New files
// are taken without a restart; ones that cannot be used change nothing and are an
// alarm.
type apiCertificate struct {
	certFile, keyFile string

	mu     sync.Mutex
	looked time.Time // when the files were last looked at
	stamp  [2]time.Time
	pair   *tls.Certificate
	ends   time.Time
	fault  error // why the newest files are not used
}

// lookEach bounds how often the files are looked at, whoever connects.
const lookEach = time.Second

// openAPICertificate loads the files; nil without any.
func openAPICertificate(certFile, keyFile string) (*apiCertificate, error) {
	if certFile == "" {
		return nil, nil
	}
	c := &apiCertificate{certFile: certFile, keyFile: keyFile}
	c.look(time.Now())
	if c.fault != nil {
		return nil, c.fault
	}
	return c, nil
}

// look loads the files when they changed. The lock is held, or nobody else has c.
func (c *apiCertificate) look(now time.Time) {
	if now.Sub(c.looked) < lookEach {
		return
	}
	c.looked = now
	var stamp [2]time.Time
	for i, path := range []string{c.certFile, c.keyFile} {
		info, err := os.Stat(path)
		if err != nil {
			c.fault = fmt.Errorf("edge: the API's certificate: %w: put it back", err)
			return
		}
		stamp[i] = info.ModTime()
	}
	if stamp == c.stamp { // also when the files that are in use were put back
		c.fault = nil
		return
	}
	pair, err := tls.LoadX509KeyPair(c.certFile, c.keyFile)
	if err == nil && pair.Leaf == nil {
		pair.Leaf, err = x509.ParseCertificate(pair.Certificate[0])
	}
	if err != nil { // perhaps only one of the two is written yet: the next look tries again
		c.fault = fmt.Errorf("edge: http_cert_file %s, http_key_file %s: %w: give a certificate and the key that belongs to it, both PEM", c.certFile, c.keyFile, err)
		return
	}
	c.stamp, c.pair, c.ends, c.fault = stamp, &pair, pair.Leaf.NotAfter, nil
}

// get is for tls.Config.GetCertificate.
func (c *apiCertificate) get(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.look(time.Now())
	return c.pair, nil
}

// state is when the certificate ends, zero without one, and why newer files are not
// used.
func (c *apiCertificate) state() (ends time.Time, fault error) {
	if c == nil {
		return time.Time{}, nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.look(time.Now())
	return c.ends, c.fault
}

func (n *Node) apiCertificateExpiring() error {
	ends, fault := n.apiCert.state()
	if !ends.IsZero() && time.Until(ends) < expiryWarning {
		fault = errors.Join(fault, fmt.Errorf("the API's certificate ends at %s: put a new one and its key into %s and %s, no restart is needed",
			ends.UTC().Format(time.RFC3339), n.cfg.HTTPCertFile, n.cfg.HTTPKeyFile))
	}
	return fault
}
