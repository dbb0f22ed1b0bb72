package heads

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"os"
	"path/filepath"
	"slices"
	"sync"

	"meridian/internal/journal"
)

// File is the book's name in a node's directory.
const File = "heads.book"

const (
	bookMagic = "MHDS\x01"
	maxFrame  = 16 << 10
	// PerNode is how many heads of a node are kept. Beyond it the older half is
	// thinned to every second, so that what is kept reaches far back.
	PerNode = 256
	// maxNodes bounds the nodes whose heads are kept; a region has five at most,
	// and some that were replaced.
	maxNodes = 32
)

var (
	// ErrBook is wrapped by every error about the book's file.
	ErrBook = errors.New("signed heads")
	// ErrTwoLedgers: a node signed two different heads at one log index.
	ErrTwoLedgers = errors.New("signed heads: one node signed two ledgers")

	castagnoli = crc32.MakeTable(crc32.Castagnoli)
)

// Kept is a signed head in the book.
type Kept struct {
	journal.SignedHead
	Raw    []byte // canonical bytes
	serial uint64
}

// Book keeps the signed heads of all nodes of a region, in one append-only file
// that is written anew when half of it is no longer kept. Safe for concurrent use.
type Book struct {
	path  string
	guard Guard

	mu      sync.Mutex
	nodes   map[string][]Kept // by log index, ascending
	serial  uint64
	frames  int // in the file
	file    *os.File
	size    int64
	cut     error // what Open left out
	changed chan struct{}
}

// Guard does what changes a file: it knows whether the disk can be trusted, and tests
// fail operations by it. An operation that fails loses nothing that was acknowledged.
type Guard interface {
	Write(path string, do func() error) error
	Sync(path string, do func() error) error
}

// OpenBook reads a book, or begins one. A file that is damaged is read up to the
// damage: Damage says so, and the nodes hand over again what is newer.
func OpenBook(path string, guard Guard) (*Book, error) {
	b := &Book{path: path, guard: guard, nodes: map[string][]Kept{}, changed: make(chan struct{})}
	data, err := os.ReadFile(path)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("%w: %w", ErrBook, err)
	}
	list, whole, damage := readBook(data)
	for _, k := range list {
		b.put(k)
	}
	b.frames, b.cut = len(list), damage
	if len(data) == 0 || damage != nil {
		return b, b.rewrite()
	}
	if b.file, err = os.OpenFile(path, os.O_RDWR, 0o600); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrBook, err)
	}
	b.size = whole
	return b, nil
}

// ReadBook reads the heads of a stopped node's book. A missing file holds none; a
// last head whose writing a crash cut off is left out.
func ReadBook(path string) ([][]byte, error) {
	data, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrBook, err)
	}
	list, _, damage := readBook(data)
	out := make([][]byte, len(list))
	for i := range list {
		out[i] = list[i].Raw
	}
	if errors.Is(damage, io.ErrUnexpectedEOF) {
		damage = nil
	}
	return out, damage
}

// readBook decodes frames up to the first that is torn or damaged.
func readBook(data []byte) (list []Kept, whole int64, damage error) {
	if len(data) == 0 {
		return nil, 0, nil
	}
	if !bytes.HasPrefix(data, []byte(bookMagic)) {
		return nil, 0, fmt.Errorf("%w: the file is not of this version", ErrBook)
	}
	rest := data[len(bookMagic):]
	for len(rest) > 0 {
		k, n, err := readFrame(rest)
		if err != nil {
			return list, int64(len(data) - len(rest)), fmt.Errorf("%w: at octet %d: %w", ErrBook, len(data)-len(rest), err)
		}
		list = append(list, k)
		rest = rest[n:]
	}
	return list, int64(len(data)), nil
}

func readFrame(b []byte) (k Kept, n int, err error) {
	if len(b) < 8 {
		return k, 0, io.ErrUnexpectedEOF
	}
	length := binary.BigEndian.Uint32(b)
	if length > maxFrame {
		return k, 0, fmt.Errorf("frame of %d octets", length)
	}
	if n = 8 + int(length); len(b) < n {
		return k, 0, io.ErrUnexpectedEOF
	}
	k.Raw = bytes.Clone(b[8:n])
	if crc32.Checksum(k.Raw, castagnoli) != binary.BigEndian.Uint32(b[4:]) {
		return k, 0, errors.New("checksum does not match")
	}
	k.SignedHead, err = journal.DecodeSignedHead(k.Raw)
	return k, n, err
}

func frame(raw []byte) []byte {
	b := make([]byte, 8, 8+len(raw))
	binary.BigEndian.PutUint32(b, uint32(len(raw)))
	binary.BigEndian.PutUint32(b[4:], crc32.Checksum(raw, castagnoli))
	return append(b, raw...)
}

// Damage is what was wrong with the file when it was opened, nil when nothing was.
func (b *Book) Damage() error { return b.cut }

// Add keeps heads whose signature the caller has checked; those that are there, or
// are older than what was thinned out, are passed over. What is in the book stays
// when the disk fails: the error is the disk's, or wraps ErrTwoLedgers and names
// the node.
func (b *Book) Add(list ...journal.SignedHead) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	var faults []error
	var out []byte
	n := 0
	for _, h := range list {
		k := Kept{SignedHead: h, Raw: h.Encode()}
		before, there := b.at(h.Node, h.Index)
		switch {
		case there && before.Head != h.Head:
			faults = append(faults, fmt.Errorf("%w: %s with hash %.12x…, and at entry %d/%d with hash %.12x…",
				ErrTwoLedgers, before.Place(), before.Hash, h.Epoch, h.Seq, h.Hash))
			continue
		case there, b.nodes[h.Node] == nil && len(b.nodes) >= maxNodes:
			continue
		}
		b.put(k)
		out = append(out, frame(k.Raw)...)
		n++
	}
	if n > 0 {
		faults = append(faults, b.write(out, n))
		close(b.changed)
		b.changed = make(chan struct{})
	}
	return errors.Join(faults...)
}

func (b *Book) at(node string, index uint64) (Kept, bool) {
	list := b.nodes[node]
	i, found := slices.BinarySearchFunc(list, index, byIndex)
	if !found {
		return Kept{}, false
	}
	return list[i], true
}

func byIndex(k Kept, index uint64) int {
	switch {
	case k.Index < index:
		return -1
	case k.Index > index:
		return 1
	}
	return 0
}

// put inserts a head and thins the node's list out.
func (b *Book) put(k Kept) {
	b.serial++
	k.serial = b.serial
	list := b.nodes[k.Node]
	i, found := slices.BinarySearchFunc(list, k.Index, byIndex)
	if found {
		return
	}
	list = slices.Insert(list, i, k)
	if len(list) > PerNode {
		kept := list[:0:0]
		for i, k := range list {
			if i >= PerNode/2 || i%2 == 0 {
				kept = append(kept, k)
			}
		}
		list = kept
	}
	b.nodes[k.Node] = list
}

func (b *Book) count() int {
	n := 0
	for _, list := range b.nodes {
		n += len(list)
	}
	return n
}

// write appends frames and makes them durable.
func (b *Book) write(out []byte, n int) error {
	if b.file == nil || b.frames+n > 2*b.count()+PerNode {
		return b.rewrite()
	}
	err := b.guard.Write(b.path, func() error {
		_, err := b.file.WriteAt(out, b.size)
		return err
	})
	if err == nil {
		err = b.guard.Sync(b.path, b.file.Sync)
	}
	if err != nil { // what is in the file now is not known: the next write makes it anew
		err = errors.Join(err, b.file.Close())
		b.file = nil
		return fmt.Errorf("%w: write %s: %w", ErrBook, b.path, err)
	}
	b.size += int64(len(out))
	b.frames += n
	return nil
}

// rewrite puts a file with what is kept in the place of the old one.
func (b *Book) rewrite() (err error) {
	out := []byte(bookMagic)
	for _, k := range b.all() {
		out = append(out, frame(k.Raw)...)
	}
	tmp := b.path + ".new"
	var f *os.File
	err = b.guard.Write(b.path, func() (err error) {
		if f, err = os.OpenFile(tmp, os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o600); err != nil {
			return err
		}
		_, err = f.Write(out)
		return err
	})
	if err == nil {
		err = b.guard.Sync(b.path, f.Sync)
	}
	if err == nil {
		err = b.guard.Write(b.path, func() error { return os.Rename(tmp, b.path) })
	}
	if err == nil {
		err = b.guard.Sync(b.path, func() error { return syncDir(filepath.Dir(b.path)) })
	}
	if err != nil {
		err = fmt.Errorf("%w: write %s anew: %w", ErrBook, b.path, err)
		if f != nil {
			err = errors.Join(err, f.Close())
		}
		return err
	}
	if b.file != nil {
		err = b.file.Close()
	}
	b.file, b.size, b.frames = f, int64(len(out)), b.count()
	return err
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// all lists what is kept by serial.
func (b *Book) all() []Kept {
	var out []Kept
	for _, list := range b.nodes {
		out = append(out, list...)
	}
	slices.SortFunc(out, func(x, y Kept) int {
		if x.serial < y.serial {
			return -1
		}
		return 1
	})
	return out
}

// Newest is a node's head with the highest log index.
func (b *Book) Newest(node string) (Kept, bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	list := b.nodes[node]
	if len(list) == 0 {
		return Kept{}, false
	}
	return list[len(list)-1], true
}

// After lists a node's heads above a log index, in its order, at most limit.
func (b *Book) After(node string, index uint64, limit int) []Kept {
	b.mu.Lock()
	defer b.mu.Unlock()
	list := b.nodes[node]
	i, _ := slices.BinarySearchFunc(list, index+1, byIndex)
	return slices.Clone(list[i:min(len(list), i+limit)])
}

// UpTo lists the heads of all nodes up to a log index.
func (b *Book) UpTo(index uint64) [][]byte {
	b.mu.Lock()
	defer b.mu.Unlock()
	var out [][]byte
	for _, k := range b.all() {
		if k.Index <= index {
			out = append(out, k.Raw)
		}
	}
	return out
}

// Count is how many heads are kept.
func (b *Book) Count() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.count()
}

// Unsent returns heads that were added after a serial, oldest first, at most
// limit, and the serial of the last that was looked at; of those up to the
// acknowledged seq each node's newest only.
func (b *Book) Unsent(after, acked uint64, limit int) (out [][]byte, last uint64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	last = after
	for _, k := range b.all() {
		if k.serial <= after {
			continue
		}
		if len(out) == limit {
			break
		}
		last = k.serial
		list := b.nodes[k.Node]
		if k.Seq > acked || k.Index == list[len(list)-1].Index {
			out = append(out, k.Raw)
		}
	}
	return out, last
}

// Changed returns a channel closed when the next head is added.
func (b *Book) Changed() <-chan struct{} {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.changed
}

// Close closes the file.
func (b *Book) Close() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.file == nil {
		return nil
	}
	f := b.file
	b.file = nil
	return f.Close()
}
