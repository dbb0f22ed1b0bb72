package store

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/raft"

	"meridian/edge/fsm"
	"meridian/internal/canon"
	"meridian/internal/verify"
	"meridian/replication/seal"
)

// A snapshot is a stream of sealed records: a header, the state's dump in pieces
// and an empty record behind them, then the entries that the centre had not
// acknowledged. Version 1 says in its header how long the dump is and has no empty
// record; it is still read.
const (
	snapshotMagic = "MSNP\x02"
	snapshotFirst = "MSNP\x01"
	snapshotPiece = 1 << 20 // octets in a record
	entriesPiece  = 500     // entries in a record, unless they reach snapshotPiece
)

var errSnapshot = errors.New("snapshot")

// snapshot is the state at one index, while commands go on.
type snapshot struct {
	state       *fsm.Frozen
	guard       *sync.RWMutex // of the state
	epoch       uint64
	after, last uint64
	segments    *segments
	release     func()
	held        *holdMeter
	failed      func(error) // is told why it was not written
}

// Persist implements raft.FSMSnapshot. The segments are synced before the snapshot
// counts: then raft drops the log entries that would write them again.
func (s *snapshot) Persist(sink raft.SnapshotSink) error {
	err := s.write(sink)
	if err == nil {
		err = s.segments.sync()
	}
	if err != nil {
		err = errors.Join(err, sink.Cancel())
	} else {
		err = sink.Close()
	}
	if err != nil {
		s.failed(err)
	}
	return err
}

// Release implements raft.FSMSnapshot.
func (s *snapshot) Release() {
	s.guard.Lock()
	s.state.Thaw()
	s.guard.Unlock()
	s.release()
}

// holdMeter measures how long snapshots keep commands from the state.
type holdMeter struct {
	guard sync.Locker
	began time.Time
	most  *atomic.Int64 // nanoseconds
}

// Lock implements fsm.Locker.
func (h *holdMeter) Lock() {
	h.guard.Lock()
	h.began = time.Now()
}

// Unlock implements fsm.Locker.
func (h *holdMeter) Unlock() {
	h.note(time.Since(h.began))
	h.guard.Unlock()
}

func (h *holdMeter) note(d time.Duration) { h.most.Store(max(h.most.Load(), int64(d))) }

func (s *snapshot) write(to io.Writer) error {
	b := bufio.NewWriterSize(to, 1<<16)
	w := recordWriter{to: b, ring: s.segments.ring}
	if _, err := b.WriteString(snapshotMagic); err != nil {
		return err
	}
	var h canon.Writer
	h.Uvarint(s.last - s.after)
	w.record(h.B)
	err := s.state.Dump(s.held, func(piece []byte) error {
		for ; len(piece) > 0; piece = piece[min(len(piece), snapshotPiece):] {
			w.record(piece[:min(len(piece), snapshotPiece)])
		}
		return w.err
	})
	if err != nil {
		return err
	}
	w.record(nil)
	var e canon.Writer
	count, piece := uint64(0), 0
	err = s.segments.read(s.epoch, s.after+1, func(raw verify.RawEntry) (bool, error) {
		if raw.Seq > s.last {
			return false, nil
		}
		e.Uvarint(raw.Seq)
		e.Bytes(raw.Raw)
		count++
		if piece++; piece == entriesPiece || len(e.B) >= snapshotPiece {
			w.record(e.B)
			e.B, piece = e.B[:0], 0
		}
		return true, w.err
	})
	if err != nil {
		return err
	}
	if count != s.last-s.after {
		return fmt.Errorf("%w: %d of %d entries are in the segments", errSnapshot, count, s.last-s.after)
	}
	if len(e.B) > 0 {
		w.record(e.B)
	}
	return errors.Join(w.err, b.Flush())
}

type recordWriter struct {
	to   io.Writer
	ring *seal.Ring
	n    uint64
	buf  []byte
	err  error
}

func recordAAD(n uint64) []byte { return binary.BigEndian.AppendUint64([]byte("edge-snapshot/"), n) }

func (w *recordWriter) record(plain []byte) {
	if w.err != nil {
		return
	}
	w.buf = w.ring.Seal(append(w.buf[:0], 0, 0, 0, 0), plain, recordAAD(w.n))
	binary.BigEndian.PutUint32(w.buf, uint32(len(w.buf)-4))
	w.n++
	_, w.err = w.to.Write(w.buf)
}

type recordReader struct {
	from *bufio.Reader
	ring *seal.Ring
	n    uint64
}

// record returns the next record, or io.EOF at the end.
func (r *recordReader) record() ([]byte, error) {
	var head [4]byte
	if _, err := io.ReadFull(r.from, head[:]); err != nil {
		return nil, err
	}
	n := binary.BigEndian.Uint32(head[:])
	if n > maxFrame {
		return nil, fmt.Errorf("%w: record of %d octets", errSnapshot, n)
	}
	b := make([]byte, n)
	if _, err := io.ReadFull(r.from, b); err != nil {
		return nil, fmt.Errorf("%w: cut off: %w", errSnapshot, err)
	}
	plain, err := r.ring.Open(nil, b, recordAAD(r.n))
	r.n++
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errSnapshot, err)
	}
	return plain, nil
}

// snapshotReader reads a snapshot: its state first, then the entries after the
// state's acknowledged seq.
type snapshotReader struct {
	records recordReader
	state   *fsm.State
	count   uint64
}

// openSnapshot reads up to the entries.
func openSnapshot(from io.Reader, ring *seal.Ring) (*snapshotReader, error) {
	r := recordReader{from: bufio.NewReaderSize(from, 1<<16), ring: ring}
	magic := make([]byte, len(snapshotMagic))
	if _, err := io.ReadFull(r.from, magic); err != nil || string(magic) != snapshotMagic && string(magic) != snapshotFirst {
		return nil, fmt.Errorf("%w: is not of this version: upgrade this node", errSnapshot)
	}
	head, err := r.record()
	if err != nil {
		return nil, err
	}
	h := canon.NewReader(head)
	var size uint64
	sized := string(magic) == snapshotFirst
	if sized {
		size = h.Uvarint()
	}
	count := h.Uvarint()
	if err := h.Close(); err != nil {
		return nil, fmt.Errorf("%w: %w", errSnapshot, err)
	}
	var dump []byte
	for !sized || uint64(len(dump)) < size {
		piece, err := r.record()
		if err != nil {
			return nil, noEnd(err)
		}
		if len(piece) == 0 && !sized {
			break
		}
		dump = append(dump, piece...)
	}
	state, err := fsm.Load(dump)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errSnapshot, err)
	}
	return &snapshotReader{records: r, state: state, count: count}, nil
}

// noEnd is the error of a snapshot that ends before its dump does.
func noEnd(err error) error {
	if errors.Is(err, io.EOF) && !errors.Is(err, errSnapshot) {
		return fmt.Errorf("%w: cut off: %w", errSnapshot, err)
	}
	return err
}

// entries calls fn with the entries, in pieces of at most entriesPiece, and is to
// be called once.
func (r *snapshotReader) entries(fn func([]verify.RawEntry) error) error {
	read := uint64(0)
	for read < r.count {
		record, err := r.records.record()
		if err != nil {
			return err
		}
		piece := make([]verify.RawEntry, 0, entriesPiece)
		for e := canon.NewReader(record); e.Len() > 0; {
			raw := verify.RawEntry{Epoch: r.state.Epoch, Seq: e.Uvarint(), Raw: e.Bytes()}
			if e.Err() != nil {
				return fmt.Errorf("%w: %w", errSnapshot, e.Err())
			}
			piece = append(piece, raw)
		}
		if read += uint64(len(piece)); read > r.count {
			break
		}
		if err := fn(piece); err != nil {
			return err
		}
	}
	if _, err := r.records.record(); read != r.count || !errors.Is(err, io.EOF) {
		return fmt.Errorf("%w: holds more than the %d entries announced", errSnapshot, r.count)
	}
	return nil
}
