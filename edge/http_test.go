package edge

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// newAPICertificate writes a certificate for an address, and its key.
func newAPICertificate(t *testing.T, addr string, life time.Duration) (certFile, keyFile string, authority *x509.CertPool) {
	t.Helper()
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		t.Fatal(err)
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(life),
		IPAddresses: []net.IP{net.ParseIP(host)}, IsCA: true, BasicConstraintsValid: true,
	}
	cert, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	certFile, keyFile = filepath.Join(dir, "api.crt"), filepath.Join(dir, "api.key")
	certPEM := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert})
	for name, data := range map[string][]byte{certFile: certPEM, keyFile: pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})} {
		if err := os.WriteFile(name, data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	authority = x509.NewCertPool()
	authority.AppendCertsFromPEM(certPEM)
	return certFile, keyFile, authority
}

// With a certificate the node's API speaks TLS 1.2 and above and nothing else, and
// the node tells so.
func TestStatusOverTLS(t *testing.T) {
	cfg := testConfig(t)
	var authority *x509.CertPool
	cfg.HTTPCertFile, cfg.HTTPKeyFile, authority = newAPICertificate(t, cfg.HTTP, time.Hour)
	n, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := n.Close(); err != nil {
			t.Error(err)
		}
	}()
	if err := n.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	ask := func(url string, newest uint16) (*http.Response, error) {
		transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: authority, MinVersion: tls.VersionTLS10, MaxVersion: newest}}
		t.Cleanup(transport.CloseIdleConnections)
		req, err := http.NewRequestWithContext(t.Context(), "GET", url, nil)
		if err != nil {
			t.Fatal(err)
		}
		return (&http.Client{Transport: transport}).Do(req)
	}
	res, err := ask("https://"+cfg.HTTP+"/status", tls.VersionTLS12)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	var s Status
	if err := json.NewDecoder(res.Body).Decode(&s); err != nil || res.StatusCode != http.StatusOK || s.Node != cfg.Node {
		t.Errorf("%d %+v %v", res.StatusCode, s, err)
	}
	if len(s.Nodes) != 1 || s.Nodes[0].HTTP != cfg.HTTP || !s.Nodes[0].HTTPS {
		t.Errorf("nodes are %+v", s.Nodes)
	}
	if old, err := ask("https://"+cfg.HTTP+"/status", tls.VersionTLS11); err == nil {
		old.Body.Close()
		t.Error("TLS 1.1 was spoken")
	}
	plain, err := ask("http://"+cfg.HTTP+"/status", tls.VersionTLS13)
	if err != nil {
		t.Fatal(err)
	}
	defer plain.Body.Close()
	if plain.StatusCode != http.StatusBadRequest {
		t.Errorf("plain HTTP was answered: %s", plain.Status)
	}
}

func TestUnusableAPICertificateIsRefused(t *testing.T) {
	cfg := testConfig(t)
	cfg.HTTPCertFile, _, _ = newAPICertificate(t, cfg.HTTP, time.Hour)
	if err := cfg.Validate(); err == nil || !strings.Contains(err.Error(), "http_key_file") {
		t.Errorf("without a key: %v", err)
	}
	_, cfg.HTTPKeyFile, _ = newAPICertificate(t, cfg.HTTP, time.Hour)
	if n, err := New(cfg); err == nil || !strings.Contains(err.Error(), "http_key_file") || !strings.Contains(err.Error(), "belongs") {
		t.Errorf("with another's key: node %v, %v", n, err)
	}
}

// The API's certificate is about to end: that is an alarm, which ends when new files
// are put in their place, and they serve the next connection without a restart. Files
// that do not belong together change nothing and are named.
func TestAPICertificateIsTakenAnew(t *testing.T) {
	cfg := testConfig(t)
	cfg.HTTPCertFile, cfg.HTTPKeyFile, _ = newAPICertificate(t, cfg.HTTP, time.Hour)
	cert, key, authority := newAPICertificate(t, cfg.HTTP, 365*24*time.Hour)
	n, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := n.Close(); err != nil {
			t.Error(err)
		}
	}()
	if err := n.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	until := func(what string, ok func() bool) {
		t.Helper()
		for deadline := time.Now().Add(20 * time.Second); !ok(); <-time.After(10 * time.Millisecond) {
			if time.Now().After(deadline) {
				t.Fatalf("not within 20 s: %s: %+v", what, n.alarms.Active())
			}
		}
	}
	says := func(text string) func() bool {
		return func() bool {
			a, bad := raised(n, "api_certificate_expiring")
			return bad && strings.Contains(a.Detail, text)
		}
	}
	until("the alarm says when it ends", says("ends at"))
	serves := func() bool {
		conn, err := tls.Dial("tcp", cfg.HTTP, &tls.Config{RootCAs: authority})
		if err == nil {
			conn.Close()
		}
		return err == nil
	}
	if serves() {
		t.Fatal("the new certificate is served before it is there")
	}
	overwrite(t, cert, cfg.HTTPCertFile)
	until("files that do not belong together are named", says("belongs"))
	if serves() {
		t.Fatal("a certificate is served by another's key")
	}
	overwrite(t, key, cfg.HTTPKeyFile)
	until("the new certificate serves", serves)
	until("the alarm ends", func() bool { _, bad := raised(n, "api_certificate_expiring"); return !bad })
}

// Files that were moved away are an alarm until they, as they were, are put back.
func TestAPICertificatePutBackIsNoFault(t *testing.T) {
	certFile, keyFile, _ := newAPICertificate(t, "127.0.0.1:1", time.Hour)
	c, err := openAPICertificate(certFile, keyFile)
	if err != nil {
		t.Fatal(err)
	}
	now := c.looked
	for _, step := range []struct{ from, to, says string }{{certFile, certFile + ".away", "put it back"}, {certFile + ".away", certFile, ""}} {
		if err := os.Rename(step.from, step.to); err != nil {
			t.Fatal(err)
		}
		now = now.Add(lookEach)
		c.look(now)
		if c.pair == nil || (c.fault != nil) != (step.says != "") || c.fault != nil && !strings.Contains(c.fault.Error(), step.says) {
			t.Errorf("%s is now %s: %v", step.from, step.to, c.fault)
		}
	}
}
