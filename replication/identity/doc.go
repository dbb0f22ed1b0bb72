// Package identity names the processes of Meridian by certificates: a node of a
// region, a region, or the centre. It owns the form of the name (a URI in the
// certificate's subject alternative names), a small certificate authority for
// the demo, tests and the operator's tool, and the TLS settings with which both
// ends of a connection check each other's name. It does not own revocation or
// the distribution of certificates, and decides nothing beyond who the peer is.
//
//	meridian://region/<name>             a region
//	meridian://region/<name>/node/<id>   a node of a region
//	meridian://centre                    a server of the centre
//
// Host names and addresses are not checked: nodes move, and what matters is
// which region and node the peer is. The chain, the key usage and the validity
// are checked as for any certificate, by the same code on both sides.
package identity
