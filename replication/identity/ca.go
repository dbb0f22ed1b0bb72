package identity

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"time"
)

const (
	caCertFile = "ca.crt"
	caKeyFile  = "ca.key"
	// backdate allows for peers whose clocks are behind.
	backdate = 10 * time.Minute
)

// CA signs certificates. ECDSA P-256 throughout.
type CA struct {
	cert *x509.Certificate
	key  crypto.Signer
	pem  []byte
}

// Bundle is what one process needs: its certificate, its key and the
// certificate of the authority that it trusts, all PEM.
type Bundle struct {
	ID                     ID
	CertPEM, KeyPEM, CAPEM []byte
}

// NewCA makes an authority that is valid from now for the given time.
func NewCA(name string, now time.Time, validity time.Duration) (*CA, error) {
	if name == "" || validity <= 0 {
		return nil, fmt.Errorf("identity: authority needs a name (%q) and a positive validity (%s)", name, validity)
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("identity: generate authority key: %w", err)
	}
	tmpl, err := template(name, now, validity)
	if err != nil {
		return nil, err
	}
	tmpl.IsCA, tmpl.BasicConstraintsValid, tmpl.MaxPathLenZero = true, true, true
	tmpl.KeyUsage = x509.KeyUsageCertSign | x509.KeyUsageCRLSign
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, key.Public(), key)
	if err != nil {
		return nil, fmt.Errorf("identity: sign authority: %w", err)
	}
	return newCA(der, key)
}

func newCA(der []byte, key crypto.Signer) (*CA, error) {
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, fmt.Errorf("identity: authority's certificate: %w", err)
	}
	return &CA{cert: cert, key: key, pem: encodePEM("CERTIFICATE", der)}, nil
}

// Certificate is the authority's own certificate in PEM.
func (ca *CA) Certificate() []byte { return ca.pem }

// Issue makes a key and a certificate for id, valid from now for the given time
// but never longer than the authority. extra host names or IP addresses are for
// clients that check them, such as browsers.
func (ca *CA) Issue(id ID, now time.Time, validity time.Duration, extra ...string) (*Bundle, error) {
	uri, err := id.uri()
	if err != nil {
		return nil, err
	}
	tmpl, err := template(id.String(), now, validity)
	if err != nil {
		return nil, err
	}
	if tmpl.NotAfter.After(ca.cert.NotAfter) {
		tmpl.NotAfter = ca.cert.NotAfter
	}
	if !tmpl.NotAfter.After(now) {
		return nil, fmt.Errorf("identity: certificate for %s would end at %s, before now; renew the authority or ask for a longer validity",
			id, tmpl.NotAfter.UTC().Format(time.RFC3339))
	}
	tmpl.URIs = []*url.URL{uri}
	tmpl.KeyUsage = x509.KeyUsageDigitalSignature
	tmpl.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}
	for _, h := range extra {
		if ip := net.ParseIP(h); ip != nil {
			tmpl.IPAddresses = append(tmpl.IPAddresses, ip)
		} else {
			tmpl.DNSNames = append(tmpl.DNSNames, h)
		}
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("identity: generate key of %s: %w", id, err)
	}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, ca.cert, key.Public(), ca.key)
	if err != nil {
		return nil, fmt.Errorf("identity: sign certificate of %s: %w", id, err)
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, fmt.Errorf("identity: key of %s: %w", id, err)
	}
	return &Bundle{ID: id, CertPEM: encodePEM("CERTIFICATE", der), KeyPEM: encodePEM("PRIVATE KEY", keyDER), CAPEM: ca.pem}, nil
}

func template(name string, now time.Time, validity time.Duration) (*x509.Certificate, error) {
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127))
	if err != nil {
		return nil, fmt.Errorf("identity: serial number: %w", err)
	}
	return &x509.Certificate{
		SerialNumber: serial,
		Subject:      pkix.Name{CommonName: name, Organization: []string{"Meridian"}},
		NotBefore:    now.Add(-backdate),
		NotAfter:     now.Add(validity),
	}, nil
}

func encodePEM(kind string, der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
}

// Save writes ca.crt and ca.key (mode 0600) into dir, which it makes. It does
// not replace an authority that is there.
func (ca *CA) Save(dir string) error {
	keyDER, err := x509.MarshalPKCS8PrivateKey(ca.key)
	if err != nil {
		return fmt.Errorf("identity: authority's key: %w", err)
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("identity: %w", err)
	}
	if err := writeNew(filepath.Join(dir, caKeyFile), encodePEM("PRIVATE KEY", keyDER), 0o600); err != nil {
		return err
	}
	return writeNew(filepath.Join(dir, caCertFile), ca.pem, 0o644)
}

// LoadCA reads what Save wrote.
func LoadCA(dir string) (*CA, error) {
	der, err := readPEM(filepath.Join(dir, caCertFile), "CERTIFICATE")
	if err != nil {
		return nil, err
	}
	keyDER, err := readPEM(filepath.Join(dir, caKeyFile), "PRIVATE KEY")
	if err != nil {
		return nil, err
	}
	key, err := x509.ParsePKCS8PrivateKey(keyDER)
	if err != nil {
		return nil, fmt.Errorf("identity: %s: %w", filepath.Join(dir, caKeyFile), err)
	}
	signer, ok := key.(crypto.Signer)
	if !ok {
		return nil, fmt.Errorf("identity: %s holds a %T, which cannot sign", filepath.Join(dir, caKeyFile), key)
	}
	return newCA(der, signer)
}

// Save writes NAME.crt, NAME.key (mode 0600) and ca.crt into dir, replacing
// what is there: a certificate is renewed in place.
func (b *Bundle) Save(dir, name string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("identity: %w", err)
	}
	return errors.Join(
		replaceFile(filepath.Join(dir, name+".key"), b.KeyPEM, 0o600),
		replaceFile(filepath.Join(dir, name+".crt"), b.CertPEM, 0o644),
		replaceFile(filepath.Join(dir, caCertFile), b.CAPEM, 0o644),
	)
}

// LoadBundle reads a certificate, its key and the authority's certificate. The
// name is taken from the certificate.
func LoadBundle(certFile, keyFile, caFile string) (*Bundle, error) {
	var b Bundle
	var faults []error
	for _, f := range []struct {
		path string
		into *[]byte
	}{{certFile, &b.CertPEM}, {keyFile, &b.KeyPEM}, {caFile, &b.CAPEM}} {
		data, err := os.ReadFile(f.path)
		if err != nil {
			faults = append(faults, fmt.Errorf("identity: %w; issue certificates first", err))
		}
		*f.into = data
	}
	if len(faults) > 0 {
		return nil, errors.Join(faults...)
	}
	block, _ := pem.Decode(b.CertPEM)
	if block == nil || block.Type != "CERTIFICATE" {
		return nil, fmt.Errorf("identity: %s holds no PEM CERTIFICATE", certFile)
	}
	cert, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		return nil, fmt.Errorf("identity: %s: %w", certFile, err)
	}
	if b.ID, err = FromCertificate(cert); err != nil {
		return nil, fmt.Errorf("%s: %w", certFile, err)
	}
	return &b, nil
}

// Expires is when the bundle's certificate ends.
func (b *Bundle) Expires() (time.Time, error) {
	block, _ := pem.Decode(b.CertPEM)
	if block == nil {
		return time.Time{}, fmt.Errorf("identity: the certificate of %s is no PEM", b.ID)
	}
	cert, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		return time.Time{}, fmt.Errorf("identity: certificate of %s: %w", b.ID, err)
	}
	return cert.NotAfter, nil
}

func readPEM(path, kind string) ([]byte, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("identity: %w; create the authority first", err)
	}
	block, _ := pem.Decode(data)
	if block == nil || block.Type != kind {
		return nil, fmt.Errorf("identity: %s holds no PEM %s", path, kind)
	}
	return block.Bytes, nil
}

func writeNew(path string, data []byte, mode os.FileMode) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
	if err != nil {
		return fmt.Errorf("identity: %w", err)
	}
	_, err = f.Write(data)
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		return fmt.Errorf("identity: write %s: %w", path, err)
	}
	return nil
}

// replaceFile puts the new content in place with one rename, so that a reader
// sees the old file or the new one.
func replaceFile(path string, data []byte, mode os.FileMode) error {
	tmp := path + ".new"
	if err := os.Remove(tmp); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("identity: %w", err)
	}
	if err := writeNew(tmp, data, mode); err != nil {
		return err
	}
	if err := os.Rename(tmp, path); err != nil {
		return fmt.Errorf("identity: %w", err)
	}
	return nil
}
