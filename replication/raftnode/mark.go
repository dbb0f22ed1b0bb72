package raftnode

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"os"

	"meridian/replication/disk"
)

// mark remembers the index of the last entry that the log has stored, in a file
// of its own. The write-ahead log recovers from a crash by dropping whatever it
// cannot read at its end, which is right for a write that never finished and
// wrong for entries that were stored and then damaged; the mark tells the two
// apart.
//
// It is written after the log has synced, without a sync of its own: after the
// death of the process it is exact, after a loss of power it may be behind,
// which only makes the check weaker. Before the log's end is cut back it is
// lowered with a sync, so that it is never ahead.
type mark struct {
	f    *os.File
	disk *disk.Layer
}

const markBytes = 8 + 4 // index, CRC-32 (Castagnoli) of it

func openMark(path string, layer *disk.Layer) (*mark, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("raftnode: mark of the log's end: %w", err)
	}
	return &mark{f: f, disk: layer}, nil
}

// read returns the index, or 0 when nothing was marked. A mark torn by a loss
// of power counts as none.
func (m *mark) read() (uint64, error) {
	var b [markBytes]byte
	if _, err := m.f.ReadAt(b[:], 0); errors.Is(err, io.EOF) {
		return 0, nil
	} else if err != nil {
		return 0, fmt.Errorf("raftnode: read mark: %w", err)
	}
	if markSum(b[:8]) != binary.BigEndian.Uint32(b[8:]) {
		return 0, nil
	}
	return binary.BigEndian.Uint64(b[:8]), nil
}

func (m *mark) write(index uint64) error {
	var b [markBytes]byte
	binary.BigEndian.PutUint64(b[:8], index)
	binary.BigEndian.PutUint32(b[8:], markSum(b[:8]))
	err := m.disk.Do(disk.Write, m.f.Name(), func() error {
		_, err := m.f.WriteAt(b[:], 0)
		return err
	})
	if err != nil {
		return fmt.Errorf("raftnode: mark: %w", err)
	}
	return nil
}

func (m *mark) writeSync(index uint64) error {
	if err := m.write(index); err != nil {
		return err
	}
	if err := m.disk.Do(disk.Sync, m.f.Name(), m.f.Sync); err != nil {
		return fmt.Errorf("raftnode: mark: %w", err)
	}
	return nil
}

func (m *mark) close() error { return m.f.Close() }

func markSum(b []byte) uint32 { return crc32.Checksum(b, crc32.MakeTable(crc32.Castagnoli)) }
