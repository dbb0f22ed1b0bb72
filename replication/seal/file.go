package seal

import (
	"bufio"
	"bytes"
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// maxFileBytes bounds a key file: MaxKeys lines and ample comments.
const maxFileBytes = 64 << 10

// wrappedWord marks a line whose key is wrapped.
const wrappedWord = "wrapped"

// Wrapped is a data key as a key-encryption key has sealed it.
type Wrapped struct {
	By   string // names the key-encryption key: 1 to 128 of A-Z, a-z, 0-9 and -_.:/
	Blob []byte // at most MaxBlob octets, the keeper's own form
}

// MaxBlob bounds a wrapped key.
const MaxBlob = 2048

// Keeper keeps key-encryption keys and wraps data keys by them, each bound to its
// id. Errors wrap ErrKeeper and tell nothing of any key.
type Keeper interface {
	Wrap(ctx context.Context, k Key) (Wrapped, error)
	Unwrap(ctx context.Context, id uint32, w Wrapped) (Key, error)
}

// line is one key of a file: clear, or wrapped.
type line struct {
	id      uint32
	clear   *[KeyBytes]byte
	wrapped Wrapped
}

// LoadRing reads a key file whose keys are in clear text; see LoadRingBy.
func LoadRing(path string) (*Ring, error) { return LoadRingBy(context.Background(), path, nil) }

// LoadRingBy reads a key file: one key a line, "<id> <64 hexadecimal digits>" or
// "<id> wrapped <key-encryption key> <base64>"; empty lines and lines that start with
// # are skipped. With a keeper all keys must be wrapped, without one none may be:
// what protects the keys is the configuration's to say, not the file's. The file must
// not be readable or writable by group or others. Faults of all lines are reported at
// once, as ErrBadKeyFile; ErrKeeper when the keeper gave no key.
func LoadRingBy(ctx context.Context, path string, keeper Keeper) (*Ring, error) {
	lines, err := readLines(path)
	if err != nil {
		return nil, err
	}
	keys, err := openLines(ctx, path, lines, keeper, false)
	if err != nil {
		return nil, err
	}
	ring, err := NewRing(keys)
	if err != nil {
		return nil, fmt.Errorf("%w %s: %w", ErrBadKeyFile, path, err)
	}
	return ring, nil
}

func readLines(path string) ([]line, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("%w: %w; make one with meridian keys new, or copy the region's", ErrBadKeyFile, err)
	}
	if perm := info.Mode().Perm(); perm&0o077 != 0 {
		return nil, fmt.Errorf("%w %s has mode %#o; run: chmod 600 %s", ErrBadKeyFile, path, perm, path)
	}
	if info.Size() > maxFileBytes {
		return nil, fmt.Errorf("%w %s has %d bytes; at most %d are read", ErrBadKeyFile, path, info.Size(), maxFileBytes)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrBadKeyFile, err)
	}
	lines, err := parse(data)
	if err != nil {
		return nil, fmt.Errorf("%w %s: %w; restore it from its copy", ErrBadKeyFile, path, err)
	}
	return lines, nil
}

// openLines gives the lines' keys. mixed takes clear ones beside a keeper.
func openLines(ctx context.Context, path string, lines []line, keeper Keeper, mixed bool) ([]Key, error) {
	keys := make([]Key, 0, len(lines))
	var faults []error
	for _, l := range lines {
		switch {
		case l.clear != nil && keeper != nil && !mixed:
			faults = append(faults, fmt.Errorf("%w %s: key id %d is in clear text, and key management is configured; run meridian keys rewrap", ErrBadKeyFile, path, l.id))
		case l.clear != nil:
			keys = append(keys, Key{ID: l.id, Bytes: *l.clear})
		case keeper == nil:
			faults = append(faults, fmt.Errorf("%w %s: key id %d is wrapped by %q, and no key management is configured; set data_ring_kms", ErrBadKeyFile, path, l.id, l.wrapped.By))
		default:
			k, err := keeper.Unwrap(ctx, l.id, l.wrapped)
			if err != nil {
				return nil, fmt.Errorf("%s: key id %d, wrapped by %q: %w", path, l.id, l.wrapped.By, err)
			}
			keys = append(keys, k)
		}
	}
	return keys, errors.Join(faults...)
}

// Generate makes a new key file with one random key of id 1, in clear text, mode
// 0600. It refuses to replace a file: what that file sealed could never be opened
// again.
func Generate(path string) (*Ring, error) { return GenerateBy(context.Background(), path, nil) }

// GenerateBy is Generate with the key wrapped by a keeper, unless that is nil.
func GenerateBy(ctx context.Context, path string, keeper Keeper) (*Ring, error) {
	return addTo(ctx, path, nil, nil, keeper)
}

// Rotate adds a random key with the next id to an existing key file in clear text.
// Records of the older keys stay readable. The file is replaced atomically.
func Rotate(path string) (*Ring, error) { return RotateBy(context.Background(), path, nil) }

// RotateBy is Rotate of a file whose keys a keeper wraps, unless that is nil.
func RotateBy(ctx context.Context, path string, keeper Keeper) (*Ring, error) {
	lines, err := readLines(path)
	if err != nil {
		return nil, err
	}
	keys, err := openLines(ctx, path, lines, keeper, false)
	if err != nil {
		return nil, err
	}
	if len(keys) >= MaxKeys {
		return nil, fmt.Errorf("%w %s holds %d keys, the most allowed; remove keys that seal nothing any more",
			ErrBadKeyFile, path, len(keys))
	}
	return addTo(ctx, path, lines, keys, keeper)
}

// Rewrap wraps every key of a file anew, by the key-encryption key that the keeper
// uses now; those in clear text too. The data keys stay what they are.
func Rewrap(ctx context.Context, path string, keeper Keeper) (*Ring, error) {
	lines, err := readLines(path)
	if err != nil {
		return nil, err
	}
	keys, err := openLines(ctx, path, lines, keeper, true)
	if err != nil {
		return nil, err
	}
	ring, err := NewRing(keys)
	if err != nil {
		return nil, fmt.Errorf("%w %s: %w", ErrBadKeyFile, path, err)
	}
	for i, k := range keys {
		if lines[i], err = wrap(ctx, k, keeper); err != nil {
			return nil, err
		}
	}
	return ring, writeLines(path, lines, true)
}

// Drop removes keys from a file. Nothing that they sealed can be opened then: ask
// the nodes first which they still need.
func Drop(path string, ids []uint32) error {
	lines, err := readLines(path)
	if err != nil {
		return err
	}
	for _, id := range ids {
		i := slices.IndexFunc(lines, func(l line) bool { return l.id == id })
		if i < 0 {
			return fmt.Errorf("%w %s has no key id %d", ErrBadKeyFile, path, id)
		}
		lines = slices.Delete(lines, i, i+1)
	}
	if len(lines) == 0 {
		return fmt.Errorf("%w %s would have no key left; keep one", ErrBadKeyFile, path)
	}
	return writeLines(path, lines, true)
}

// Listed is a key of a file as it may be shown.
type Listed struct {
	ID uint32
	By string // the key-encryption key; empty: in clear text
}

// List names the keys of a file without opening them.
func List(path string) ([]Listed, error) {
	lines, err := readLines(path)
	var out []Listed
	for _, l := range lines {
		out = append(out, Listed{ID: l.id, By: l.wrapped.By})
	}
	return out, err
}

// addTo writes the lines of the old keys and one of a new one. Without old keys the
// file must not exist.
func addTo(ctx context.Context, path string, lines []line, old []Key, keeper Keeper) (*Ring, error) {
	next := Key{ID: 1}
	for _, k := range old {
		next.ID = max(next.ID, k.ID+1)
	}
	rand.Read(next.Bytes[:])
	ring, err := NewRing(append(slices.Clip(old), next))
	if err != nil {
		return nil, err
	}
	added, err := wrap(ctx, next, keeper)
	if err != nil {
		return nil, err
	}
	return ring, writeLines(path, append(slices.Clip(lines), added), old != nil)
}

// wrap makes a key's line, and proves that the keeper gives the key back.
func wrap(ctx context.Context, k Key, keeper Keeper) (line, error) {
	if keeper == nil {
		return line{id: k.ID, clear: &k.Bytes}, nil
	}
	w, err := keeper.Wrap(ctx, k)
	if err != nil {
		return line{}, fmt.Errorf("wrap key id %d: %w", k.ID, err)
	}
	if err := w.valid(); err != nil {
		return line{}, fmt.Errorf("%w: wrap key id %d: %w", ErrKeeper, k.ID, err)
	}
	back, err := keeper.Unwrap(ctx, k.ID, w)
	if err == nil && back != k {
		err = fmt.Errorf("%w: it gives another key back than it was given", ErrKeeper)
	}
	if err != nil {
		return line{}, fmt.Errorf("key id %d, just wrapped: %w", k.ID, err)
	}
	return line{id: k.ID, wrapped: w}, nil
}

func (w Wrapped) valid() error {
	name := func(r rune) bool {
		return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("-_.:/", r)
	}
	if w.By == "" || len(w.By) > 128 || strings.ContainsFunc(w.By, func(r rune) bool { return !name(r) }) {
		return errors.New("the key-encryption key's name is not 1 to 128 of A-Z, a-z, 0-9 and -_.:/")
	}
	if len(w.Blob) == 0 || len(w.Blob) > MaxBlob {
		return fmt.Errorf("the wrapped key has %d octets; 1 to %d are taken", len(w.Blob), MaxBlob)
	}
	return nil
}

func writeLines(path string, lines []line, replace bool) error {
	var b bytes.Buffer
	b.WriteString("# Keys that seal data at rest; the highest id seals, all open. Keep a copy apart from the data.\n")
	for _, l := range lines {
		if l.clear != nil {
			fmt.Fprintf(&b, "%d %s\n", l.id, hex.EncodeToString(l.clear[:]))
			continue
		}
		fmt.Fprintf(&b, "%d %s %s %s\n", l.id, wrappedWord, l.wrapped.By, base64.StdEncoding.EncodeToString(l.wrapped.Blob))
	}
	if err := writeFile(path, b.Bytes(), replace); err != nil {
		return fmt.Errorf("%w: %w", ErrBadKeyFile, err)
	}
	return nil
}

func writeFile(path string, data []byte, replace bool) error {
	dir := filepath.Dir(path)
	tmp, err := os.CreateTemp(dir, ".keys-*") // mode 0600
	if err != nil {
		return err
	}
	defer os.Remove(tmp.Name())
	_, err = tmp.Write(data)
	if err := errors.Join(err, tmp.Sync(), tmp.Close()); err != nil {
		return err
	}
	if replace {
		err = os.Rename(tmp.Name(), path)
	} else {
		err = os.Link(tmp.Name(), path) // fails when the file exists
	}
	if err != nil {
		return err
	}
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

func parse(data []byte) ([]line, error) {
	var out []line
	var faults []error
	lines := bufio.NewScanner(bytes.NewReader(data))
	for n := 1; lines.Scan(); n++ {
		text := strings.TrimSpace(lines.Text())
		if text == "" || strings.HasPrefix(text, "#") {
			continue
		}
		l, err := parseLine(text)
		if err != nil {
			faults = append(faults, fmt.Errorf("line %d: %w", n, err))
			continue
		}
		out = append(out, l)
	}
	if err := lines.Err(); err != nil {
		faults = append(faults, err)
	}
	return out, errors.Join(faults...)
}

// parseLine never quotes the line: it holds a secret.
func parseLine(text string) (line, error) {
	fields := strings.Fields(text)
	isWrapped := len(fields) == 4 && fields[1] == wrappedWord
	if len(fields) != 2 && !isWrapped {
		return line{}, fmt.Errorf("%d fields; write an id and %d hexadecimal digits, or an id, the word %s, a name and base64", len(fields), 2*KeyBytes, wrappedWord)
	}
	id, err := strconv.ParseUint(fields[0], 10, 32)
	if err != nil || id == 0 {
		return line{}, errors.New("the id is not a whole number from 1 to 4294967295")
	}
	l := line{id: uint32(id)}
	if isWrapped {
		l.wrapped.By = fields[2]
		if l.wrapped.Blob, err = base64.StdEncoding.DecodeString(fields[3]); err != nil {
			return line{}, fmt.Errorf("key id %d: the wrapped key is not base64", id)
		}
		if err := l.wrapped.valid(); err != nil {
			return line{}, fmt.Errorf("key id %d: %w", id, err)
		}
		return l, nil
	}
	raw, err := hex.DecodeString(fields[1])
	if err != nil || len(raw) != KeyBytes {
		return line{}, fmt.Errorf("key id %d is not %d hexadecimal digits", id, 2*KeyBytes)
	}
	l.clear = (*[KeyBytes]byte)(raw)
	return l, nil
}
