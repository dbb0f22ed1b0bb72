package identity

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"strings"
)

var (
	// ErrNoName: the certificate carries no, or more than one, name of ours.
	ErrNoName = errors.New("identity: no meridian name")
	// ErrWrongPeer: the peer is who it says, but not who may speak here.
	ErrWrongPeer = errors.New("identity: wrong peer")
	// ErrUntrusted: the peer's certificate does not chain to the authority.
	ErrUntrusted = errors.New("identity: untrusted certificate")
)

const scheme = "meridian"

// Region and node names: 1 to 63 of lower-case letters, digits and hyphens,
// starting and ending with a letter or digit.
var validName = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$`)

// ValidName says whether s may name a region or a node.
func ValidName(s string) bool { return validName.MatchString(s) }

// ID is the name of a process. Exactly one of Centre and Region is set; Node
// only with Region.
type ID struct {
	Centre bool
	Region string
	Node   string
}

// Centre names a server of the centre.
func Centre() ID { return ID{Centre: true} }

// Region names a region as a whole.
func Region(name string) ID { return ID{Region: name} }

// Node names one node of a region.
func Node(region, node string) ID { return ID{Region: region, Node: node} }

// Validate says what is wrong with the name.
func (id ID) Validate() error {
	switch {
	case id.Centre && (id.Region != "" || id.Node != ""):
		return fmt.Errorf("identity: the centre has no region %q and no node %q; give one kind of name", id.Region, id.Node)
	case id.Centre:
		return nil
	case !ValidName(id.Region):
		return fmt.Errorf("identity: region %q: use 1 to 63 of a-z, 0-9 and hyphen, not at the ends", id.Region)
	case id.Node != "" && !ValidName(id.Node):
		return fmt.Errorf("identity: node %q: use 1 to 63 of a-z, 0-9 and hyphen, not at the ends", id.Node)
	}
	return nil
}

// String is the name as a URI.
func (id ID) String() string {
	switch {
	case id.Centre:
		return scheme + "://centre"
	case id.Node != "":
		return scheme + "://region/" + id.Region + "/node/" + id.Node
	default:
		return scheme + "://region/" + id.Region
	}
}

// Parse reads the form that String writes.
func Parse(s string) (ID, error) {
	rest, ok := strings.CutPrefix(s, scheme+"://")
	if !ok {
		return ID{}, fmt.Errorf("identity: %q does not start with %s://", s, scheme)
	}
	var id ID
	parts := strings.Split(rest, "/")
	switch {
	case rest == "centre":
		id = Centre()
	case len(parts) == 2 && parts[0] == "region":
		id = Region(parts[1])
	case len(parts) == 4 && parts[0] == "region" && parts[2] == "node" && parts[3] != "":
		id = Node(parts[1], parts[3])
	default:
		return ID{}, fmt.Errorf("identity: %q is none of %s://centre, %s://region/NAME, %s://region/NAME/node/ID",
			s, scheme, scheme, scheme)
	}
	if err := id.Validate(); err != nil {
		return ID{}, err
	}
	return id, nil
}

func (id ID) uri() (*url.URL, error) {
	if err := id.Validate(); err != nil {
		return nil, err
	}
	return url.Parse(id.String())
}

// FromCertificate reads the one meridian name of a certificate; the caller has
// verified its chain.
func FromCertificate(c *x509.Certificate) (ID, error) {
	var found []string
	for _, u := range c.URIs {
		if u.Scheme == scheme {
			found = append(found, u.String())
		}
	}
	if len(found) != 1 {
		return ID{}, fmt.Errorf("%w: certificate %q has %d names with scheme %s, must have one; issue it again",
			ErrNoName, c.Subject.CommonName, len(found), scheme)
	}
	return Parse(found[0])
}

// FromState reads the peer's name from a finished handshake.
func FromState(s tls.ConnectionState) (ID, error) {
	if len(s.PeerCertificates) == 0 {
		return ID{}, fmt.Errorf("%w: the peer sent no certificate", ErrNoName)
	}
	return FromCertificate(s.PeerCertificates[0])
}
