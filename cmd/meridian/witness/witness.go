// Package witness writes down what was acknowledged to a client, so that it can
// be compared later with what the books say.
//
// It owns the file and its group fsync. The lines are internal/verify's.
package witness

import (
	"errors"
	"fmt"
	"io"
	"os"
	"sync"

	"meridian/internal/verify"
)

// ErrClosed: the witness is not open any more.
var ErrClosed = errors.New("witness is closed")

// Witness appends records to a file. Many callers share one fsync. Safe for
// concurrent use.
type Witness struct {
	file *os.File
	wake chan struct{}
	done chan struct{}

	mu      sync.Mutex
	buf     []byte
	batch   *batch // what waits for the next fsync
	closed  bool
	failure error
}

// batch is what one fsync covers.
type batch struct {
	synced chan struct{}
	err    error
}

// Open appends to a file, which is made if it is missing. A line that a crash
// tore is cut off: nobody relied on it.
func Open(path string) (*Witness, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open witness: %w", err)
	}
	if err := mend(f); err != nil {
		return nil, errors.Join(fmt.Errorf("open witness %s: %w", path, err), f.Close())
	}
	w := &Witness{file: f, wake: make(chan struct{}, 1), done: make(chan struct{}), batch: newBatch()}
	go w.run()
	return w, nil
}

// mend drops a torn last line.
func mend(f *os.File) error {
	end, err := f.Seek(0, io.SeekEnd)
	if err != nil {
		return err
	}
	var one [1]byte
	at := end
	for ; at > 0; at-- {
		if _, err := f.ReadAt(one[:], at-1); err != nil {
			return err
		}
		if one[0] == '\n' {
			break
		}
	}
	if at == end {
		return nil
	}
	return f.Truncate(at)
}

func newBatch() *batch { return &batch{synced: make(chan struct{})} }

// Note writes a record that nobody relies on: it reaches the disk with the next
// batch, before everything that is recorded later.
func (w *Witness) Note(r verify.WitnessRecord) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.closed {
		w.buf = verify.AppendRecord(w.buf, r)
	}
}

// Record returns when the record is on disk.
func (w *Witness) Record(r verify.WitnessRecord) error {
	w.mu.Lock()
	if w.closed {
		w.mu.Unlock()
		return ErrClosed
	}
	w.buf = verify.AppendRecord(w.buf, r)
	b := w.batch
	select { // under the lock: Close closes the channel after it
	case w.wake <- struct{}{}:
	default:
	}
	w.mu.Unlock()
	<-b.synced
	return b.err
}

// Close writes what is left.
func (w *Witness) Close() error {
	w.mu.Lock()
	already := w.closed
	w.closed = true
	w.mu.Unlock()
	if !already {
		close(w.wake)
	}
	<-w.done
	w.mu.Lock()
	defer w.mu.Unlock()
	if already {
		return w.failure
	}
	return errors.Join(w.failure, w.file.Close())
}

func (w *Witness) run() {
	defer close(w.done)
	for range w.wake {
		w.flush()
	}
	w.flush()
}

func (w *Witness) flush() {
	w.mu.Lock()
	buf, b := w.buf, w.batch
	w.buf, w.batch = nil, newBatch()
	failed := w.failure
	w.mu.Unlock()
	if failed == nil && len(buf) > 0 {
		_, err := w.file.Write(buf)
		failed = errors.Join(err, w.file.Sync())
	}
	if failed != nil {
		b.err = fmt.Errorf("write witness: %w", failed)
		w.mu.Lock()
		w.failure = failed
		w.mu.Unlock()
	}
	close(b.synced)
}
