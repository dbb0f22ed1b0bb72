package identity

import (
	"fmt"
	"strconv"
	"strings"
)

// Party is what a process says of itself beside its name: which installation it
// belongs to, and which versions of the protocol in question it can speak.
type Party struct {
	Cluster  string // name of the installation
	Min, Max uint32 // oldest and newest version of the protocol
	Software string
}

// Mismatch is why two parties must not work together. It is an error that names
// both sides.
type Mismatch struct {
	Cause        string // CauseCluster or CauseVersion
	Ours, Theirs Party
}

// The causes of a Mismatch, as metrics and logs spell them.
const (
	CauseCluster = "cluster"
	CauseVersion = "version"
)

// Error implements error.
func (m *Mismatch) Error() string {
	if m.Cause == CauseCluster {
		return fmt.Sprintf("the peer belongs to cluster %q, this process to %q: correct the address or the cluster in the configuration", m.Theirs.Cluster, m.Ours.Cluster)
	}
	return fmt.Sprintf("the peer speaks versions %d to %d (software %s), this process %d to %d (software %s): upgrade the older side",
		m.Theirs.Min, m.Theirs.Max, m.Theirs.Software, m.Ours.Min, m.Ours.Max, m.Ours.Software)
}

// Fit tells why the other party must not work with this one, nil when it may: one
// cluster, and a version that both speak.
func (p Party) Fit(theirs Party) *Mismatch {
	switch {
	case p.Cluster != theirs.Cluster:
		return &Mismatch{Cause: CauseCluster, Ours: p, Theirs: theirs}
	case theirs.Max < p.Min || theirs.Min > p.Max:
		return &Mismatch{Cause: CauseVersion, Ours: p, Theirs: theirs}
	}
	return nil
}

// String is the party in one line of ASCII: acme/1-2/v0.3.
func (p Party) String() string {
	return fmt.Sprintf("%s/%d-%d/%s", p.Cluster, p.Min, p.Max, p.Software)
}

// ParseParty reads the form that String writes.
func ParseParty(s string) (Party, error) {
	cluster, rest, ok := strings.Cut(s, "/")
	versions, software, ok2 := strings.Cut(rest, "/")
	low, high, ok3 := strings.Cut(versions, "-")
	least, err := strconv.ParseUint(low, 10, 32)
	most, err2 := strconv.ParseUint(high, 10, 32)
	if !ok || !ok2 || !ok3 || err != nil || err2 != nil || least > most {
		return Party{}, fmt.Errorf("identity: %.80q does not say cluster/oldest-newest/software", s)
	}
	return Party{Cluster: cluster, Min: uint32(least), Max: uint32(most), Software: software}, nil
}
