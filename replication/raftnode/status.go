package raftnode

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"time"

	"github.com/hashicorp/raft"
)

// Stats are figures of one moment; the counters only rise.
type Stats struct {
	State                     string // Follower, Candidate, Leader, Shutdown
	Term                      uint64
	FirstIndex, LastIndex     uint64 // of the log on disk; 0 when empty
	CommitIndex, AppliedIndex uint64
	EntriesStored             uint64 // since the start
	BytesStored               uint64 // sealed, since the start
	OpenFailures              uint64 // entries that did not open
	PeersRefused              uint64 // connections whose peer did not prove to be a node of the region
	AcceptsDropped            uint64 // connections closed because too many were in their handshake
	RecordsSealed             uint64 // by the newest key, since the ring was loaded
}

// Stats reads the figures.
func (n *Node) Stats() Stats {
	first, _ := n.store.FirstIndex() // 0 once closed
	return Stats{
		State:          n.raft.State().String(),
		Term:           n.raft.CurrentTerm(),
		FirstIndex:     first,
		LastIndex:      n.raft.LastIndex(),
		CommitIndex:    n.raft.CommitIndex(),
		AppliedIndex:   n.raft.AppliedIndex(),
		EntriesStored:  n.counters.entriesStored.Load(),
		BytesStored:    n.counters.bytesStored.Load(),
		OpenFailures:   n.counters.openFailures.Load(),
		PeersRefused:   n.counters.peersRefused.Load(),
		AcceptsDropped: n.counters.acceptsDropped.Load(),
		RecordsSealed:  n.cfg.Ring.Sealed(),
	}
}

// Addr is the address that peers dial.
func (n *Node) Addr() string { return string(n.trans.LocalAddr()) }

// ID is the node's name.
func (n *Node) ID() string { return n.cfg.NodeID }

// IsLeader says whether this node leads, as far as it knows. One whose disk is
// stalled does not: it is silent, and the others elect.
func (n *Node) IsLeader() bool { return n.raft.State() == raft.Leader && !n.cfg.Disk.Stalled() }

// Leader is the leader that this node follows, or itself; empty when none is known.
func (n *Node) Leader() (id, addr string) {
	a, i := n.raft.LeaderWithID()
	return string(i), string(a)
}

// Leadership gives a channel of its own to each caller, which first carries the
// present value and then every change that the caller is quick enough to see:
// a newer value replaces one that was not yet taken. The same value twice means
// that leadership changed and changed back in between. The channel is closed
// when the node is; call it once per component, not in a loop.
func (n *Node) Leadership() <-chan bool { return n.lead.subscribe() }

// LastContact is when this node last heard a leader; now, when it leads. Zero:
// not since the start.
func (n *Node) LastContact() time.Time {
	if n.IsLeader() {
		return time.Now()
	}
	return n.raft.LastContact()
}

// Term is the current term.
func (n *Node) Term() uint64 { return n.raft.CurrentTerm() }

// AppliedIndex is the last entry that the state machine has applied.
func (n *Node) AppliedIndex() uint64 { return n.raft.AppliedIndex() }

// CommitIndex is the last entry that this node knows to be committed.
func (n *Node) CommitIndex() uint64 { return n.raft.CommitIndex() }

// LastIndex is the last entry in the log or the newest snapshot.
func (n *Node) LastIndex() uint64 { return n.raft.LastIndex() }

// leafOf parses the certificate that the settings present.
func leafOf(c *tls.Config) (*x509.Certificate, error) {
	own := c.Certificates[0]
	if own.Leaf != nil {
		return own.Leaf, nil
	}
	if len(own.Certificate) == 0 {
		return nil, fmt.Errorf("raftnode config: TLS certificate is empty; build it with identity.Bundle.TLS")
	}
	leaf, err := x509.ParseCertificate(own.Certificate[0])
	if err != nil {
		return nil, fmt.Errorf("raftnode config: TLS certificate: %w", err)
	}
	return leaf, nil
}
