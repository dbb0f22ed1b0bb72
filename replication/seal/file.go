package seal

import (
	"bufio"
	"bytes"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// maxFileBytes bounds a key file: MaxKeys lines and ample comments.
const maxFileBytes = 64 << 10

// LoadRing reads a key file: one key a line, "<id> <64 hexadecimal digits>";
// empty lines and lines that start with # are skipped. The file must not be
// readable or writable by group or others. Faults of all lines are reported at
// once, as ErrBadKeyFile.
func LoadRing(path string) (*Ring, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("%w: %w; create one with Generate or copy the region's", ErrBadKeyFile, err)
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
	keys, err := parse(data)
	if err != nil {
		return nil, fmt.Errorf("%w %s: %w", ErrBadKeyFile, path, err)
	}
	ring, err := NewRing(keys)
	if err != nil {
		return nil, fmt.Errorf("%w %s: %w", ErrBadKeyFile, path, err)
	}
	return ring, nil
}

// Generate makes a new key file with one random key of id 1, mode 0600. It
// refuses to replace a file: what that file sealed could never be opened again.
func Generate(path string) (*Ring, error) {
	return addTo(path, nil)
}

// Rotate adds a random key with the next id to an existing key file. Records
// of the older keys stay readable. The file is replaced atomically.
func Rotate(path string) (*Ring, error) {
	if _, err := LoadRing(path); err != nil {
		return nil, err
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrBadKeyFile, err)
	}
	keys, err := parse(data)
	if err != nil {
		return nil, fmt.Errorf("%w %s: %w", ErrBadKeyFile, path, err)
	}
	if len(keys) >= MaxKeys {
		return nil, fmt.Errorf("%w %s holds %d keys, the most allowed; remove keys that seal nothing any more",
			ErrBadKeyFile, path, len(keys))
	}
	return addTo(path, keys)
}

// addTo writes keys and one new key. Without old keys the file must not exist.
func addTo(path string, old []Key) (*Ring, error) {
	next := Key{ID: 1}
	for _, k := range old {
		next.ID = max(next.ID, k.ID+1)
	}
	rand.Read(next.Bytes[:])
	keys := append(old, next)
	ring, err := NewRing(keys)
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	b.WriteString("# Keys that seal data at rest; the highest id seals, all open. Keep a copy apart from the data.\n")
	for _, k := range keys {
		fmt.Fprintf(&b, "%d %s\n", k.ID, hex.EncodeToString(k.Bytes[:]))
	}
	if err := writeFile(path, b.Bytes(), old != nil); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrBadKeyFile, err)
	}
	return ring, nil
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

func parse(data []byte) ([]Key, error) {
	var keys []Key
	var faults []error
	lines := bufio.NewScanner(bytes.NewReader(data))
	for n := 1; lines.Scan(); n++ {
		line := strings.TrimSpace(lines.Text())
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		k, err := parseKey(line)
		if err != nil {
			faults = append(faults, fmt.Errorf("line %d: %w", n, err))
			continue
		}
		keys = append(keys, k)
	}
	if err := lines.Err(); err != nil {
		faults = append(faults, err)
	}
	return keys, errors.Join(faults...)
}

// parseKey never quotes the line: it holds a secret.
func parseKey(line string) (Key, error) {
	fields := strings.Fields(line)
	if len(fields) != 2 {
		return Key{}, fmt.Errorf("%d fields; write an id and %d hexadecimal digits", len(fields), 2*KeyBytes)
	}
	id, err := strconv.ParseUint(fields[0], 10, 32)
	if err != nil || id == 0 {
		return Key{}, errors.New("the id is not a whole number from 1 to 4294967295")
	}
	raw, err := hex.DecodeString(fields[1])
	if err != nil || len(raw) != KeyBytes {
		return Key{}, fmt.Errorf("key id %d is not %d hexadecimal digits", id, 2*KeyBytes)
	}
	return Key{ID: uint32(id), Bytes: [KeyBytes]byte(raw)}, nil
}
