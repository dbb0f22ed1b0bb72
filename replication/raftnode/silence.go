package raftnode

import (
	"fmt"
	"io"

	"github.com/hashicorp/raft"

	"meridian/replication/disk"
)

// networkTransport is what raft asks of a transport over a network.
type networkTransport interface {
	raft.Transport
	raft.WithPreVote
	raft.WithClose
}

// silent is a transport that does not speak while the disk is stalled. Raft writes
// its log in the same loop that looks after the leader's lease, but sends its
// heartbeats in others: a leader whose disk hangs would lead on for ever without
// committing anything. Once it is silent the others elect.
type silent struct {
	networkTransport
	disk *disk.Layer
}

// silenced is a transport that is silent while the disk is stalled.
func silenced(t raft.Transport, layer *disk.Layer) raft.Transport {
	if n, ok := t.(networkTransport); ok {
		return &silent{networkTransport: n, disk: layer}
	}
	return t
}

func (s *silent) mute() error {
	if s.disk.Stalled() {
		return fmt.Errorf("raftnode: %w", disk.ErrStalled)
	}
	return nil
}

// AppendEntries implements raft.Transport.
func (s *silent) AppendEntries(id raft.ServerID, to raft.ServerAddress, in *raft.AppendEntriesRequest, out *raft.AppendEntriesResponse) error {
	if err := s.mute(); err != nil {
		return err
	}
	return s.networkTransport.AppendEntries(id, to, in, out)
}

// AppendEntriesPipeline implements raft.Transport.
func (s *silent) AppendEntriesPipeline(id raft.ServerID, to raft.ServerAddress) (raft.AppendPipeline, error) {
	if err := s.mute(); err != nil {
		return nil, err
	}
	p, err := s.networkTransport.AppendEntriesPipeline(id, to)
	if err != nil {
		return nil, err
	}
	return &silentPipeline{AppendPipeline: p, of: s}, nil
}

// InstallSnapshot implements raft.Transport.
func (s *silent) InstallSnapshot(id raft.ServerID, to raft.ServerAddress, in *raft.InstallSnapshotRequest, out *raft.InstallSnapshotResponse, data io.Reader) error {
	if err := s.mute(); err != nil {
		return err
	}
	return s.networkTransport.InstallSnapshot(id, to, in, out, data)
}

type silentPipeline struct {
	raft.AppendPipeline
	of *silent
}

// AppendEntries implements raft.AppendPipeline.
func (p *silentPipeline) AppendEntries(in *raft.AppendEntriesRequest, out *raft.AppendEntriesResponse) (raft.AppendFuture, error) {
	if err := p.of.mute(); err != nil {
		return nil, err
	}
	return p.AppendPipeline.AppendEntries(in, out)
}
