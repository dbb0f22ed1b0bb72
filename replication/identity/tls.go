package identity

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
)

// Accept decides whether a verified peer may speak here. It returns nil, or an
// error that wraps ErrWrongPeer and says who was expected.
type Accept func(peer ID) error

// NodesOf accepts the nodes of one region.
func NodesOf(region string) Accept {
	return func(peer ID) error {
		if peer.Region != region || peer.Node == "" {
			return fmt.Errorf("%w: %s; expected a node of region %q; check which region this peer was set up for",
				ErrWrongPeer, peer, region)
		}
		return nil
	}
}

// TheCentre accepts servers of the centre.
func TheCentre() Accept {
	return func(peer ID) error {
		if !peer.Centre {
			return fmt.Errorf("%w: %s; expected the centre; check the address", ErrWrongPeer, peer)
		}
		return nil
	}
}

// AnyRegion accepts every region and every node of any region.
func AnyRegion() Accept {
	return func(peer ID) error {
		if peer.Region == "" {
			return fmt.Errorf("%w: %s; expected a region", ErrWrongPeer, peer)
		}
		return nil
	}
}

// TLS gives settings for both roles: as a server it demands a certificate, as
// a client it presents its own; either way the peer must chain to the bundle's
// authority and pass accept. TLS 1.3 only.
func (b *Bundle) TLS(accept Accept) (*tls.Config, error) {
	if accept == nil {
		return nil, errors.New("identity: accept is nil; say who may speak here")
	}
	cert, err := tls.X509KeyPair(b.CertPEM, b.KeyPEM)
	if err != nil {
		return nil, fmt.Errorf("identity: certificate and key of %s: %w", b.ID, err)
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(b.CAPEM) {
		return nil, errors.New("identity: the authority's file holds no certificate; give the PEM file ca.crt")
	}
	return &tls.Config{
		MinVersion:   tls.VersionTLS13,
		Certificates: []tls.Certificate{cert},
		ClientAuth:   tls.RequireAnyClientCert,
		// The standard checks would compare the dialled host name, which our
		// certificates do not carry. VerifyConnection does all the rest, and
		// also runs when a session is resumed.
		InsecureSkipVerify: true,
		VerifyConnection:   func(s tls.ConnectionState) error { return verifyPeer(s, roots, accept) },
	}, nil
}

func verifyPeer(s tls.ConnectionState, roots *x509.CertPool, accept Accept) error {
	if len(s.PeerCertificates) == 0 {
		return fmt.Errorf("%w: the peer sent none", ErrUntrusted)
	}
	between := x509.NewCertPool()
	for _, c := range s.PeerCertificates[1:] {
		between.AddCert(c)
	}
	_, err := s.PeerCertificates[0].Verify(x509.VerifyOptions{
		Roots:         roots,
		Intermediates: between,
		// Every process is server to some and client to others; the name says
		// who it is, so either usage will do.
		KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	})
	if err != nil {
		return fmt.Errorf("%w: %w", ErrUntrusted, err)
	}
	peer, err := FromState(s)
	if err != nil {
		return err
	}
	return accept(peer)
}
