package identity

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"time"
)

// ErrSignature: a signature was not made by the key that it is said to be of.
var ErrSignature = errors.New("identity: bad signature")

// Signer signs with a process's own key: ECDSA over SHA-256, ASN.1 (SEC 1
// section 4.1, RFC 3279 section 2.2.3). Safe for concurrent use.
type Signer struct {
	key  crypto.Signer
	leaf []byte
}

// Signer returns what signs with the bundle's key.
func (b *Bundle) Signer() (*Signer, error) {
	pair, err := tls.X509KeyPair(b.CertPEM, b.KeyPEM)
	if err != nil {
		return nil, fmt.Errorf("identity: certificate and key of %s: %w", b.ID, err)
	}
	key, ok := pair.PrivateKey.(*ecdsa.PrivateKey)
	if !ok {
		return nil, fmt.Errorf("identity: key of %s is a %T; issue one for ECDSA", b.ID, pair.PrivateKey)
	}
	return &Signer{key: key, leaf: pair.Certificate[0]}, nil
}

// Certificate is the DER certificate of the key.
func (s *Signer) Certificate() []byte { return s.leaf }

// Sign signs a message, which must say by itself what it is.
func (s *Signer) Sign(message []byte) ([]byte, error) {
	sum := sha256.Sum256(message)
	sig, err := s.key.Sign(rand.Reader, sum[:], crypto.SHA256)
	if err != nil {
		return nil, fmt.Errorf("identity: sign: %w", err)
	}
	return sig, nil
}

// Verifier checks signatures by the certificates of one authority. Safe for
// concurrent use.
type Verifier struct{ roots *x509.CertPool }

// NewVerifier takes the authority's certificate in PEM.
func NewVerifier(caPEM []byte) (*Verifier, error) {
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(caPEM) {
		return nil, errors.New("identity: the authority's file holds no certificate; give the PEM file ca.crt")
	}
	return &Verifier{roots: roots}, nil
}

// Verify checks that who is named signed the message with the key of the DER
// certificate, which was valid at that time. Errors wrap ErrUntrusted,
// ErrWrongPeer or ErrSignature.
func (v *Verifier) Verify(certificate, message, signature []byte, who ID, at time.Time) error {
	cert, err := x509.ParseCertificate(certificate)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrUntrusted, err)
	}
	if _, err := cert.Verify(x509.VerifyOptions{
		Roots: v.roots, CurrentTime: at,
		KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}); err != nil {
		return fmt.Errorf("%w: %w", ErrUntrusted, err)
	}
	id, err := FromCertificate(cert)
	if err != nil {
		return err
	}
	if id != who {
		return fmt.Errorf("%w: the certificate is of %s, the signature is said to be of %s", ErrWrongPeer, id, who)
	}
	key, ok := cert.PublicKey.(*ecdsa.PublicKey)
	if !ok {
		return fmt.Errorf("%w: the certificate of %s has a %T, want an ECDSA key", ErrSignature, id, cert.PublicKey)
	}
	sum := sha256.Sum256(message)
	if !ecdsa.VerifyASN1(key, sum[:], signature) {
		return fmt.Errorf("%w: not made by the key of %s", ErrSignature, id)
	}
	return nil
}
