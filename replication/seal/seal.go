package seal

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
)

const (
	// KeyBytes is the length of a key.
	KeyBytes = 32
	// MaxKeys is the most keys that a ring holds.
	MaxKeys = 64

	format      = 0x01
	headerBytes = 1 + 4
	nonceBytes  = 12
	tagBytes    = 16

	// Overhead is how much longer a sealed record is than its clear text.
	Overhead = headerBytes + nonceBytes + tagBytes
)

// Key is one key of a ring. ID 0 is not allowed.
type Key struct {
	ID    uint32
	Bytes [KeyBytes]byte
}

// Ring seals with its newest key (the highest id) and opens with any. It is
// immutable and safe for concurrent use.
type Ring struct {
	newest uint32
	aeads  map[uint32]cipher.AEAD
	sealed atomic.Uint64
}

// NewRing builds a ring from 1..MaxKeys keys with distinct, non-zero ids. All
// faults are reported at once.
func NewRing(keys []Key) (*Ring, error) {
	var faults []error
	if len(keys) == 0 || len(keys) > MaxKeys {
		faults = append(faults, fmt.Errorf("seal: ring has %d keys; give 1 to %d", len(keys), MaxKeys))
	}
	r := &Ring{aeads: make(map[uint32]cipher.AEAD, len(keys))}
	for i, k := range keys {
		switch {
		case k.ID == 0:
			faults = append(faults, fmt.Errorf("seal: key %d has id 0; ids start at 1", i))
			continue
		case r.aeads[k.ID] != nil:
			faults = append(faults, fmt.Errorf("seal: key id %d is given twice; give each key its own id", k.ID))
			continue
		case k.Bytes == [KeyBytes]byte{}:
			faults = append(faults, fmt.Errorf("seal: key id %d is all zero; generate a random one", k.ID))
			continue
		}
		block, err := aes.NewCipher(k.Bytes[:])
		if err != nil {
			faults = append(faults, fmt.Errorf("seal: key id %d: %w", k.ID, err))
			continue
		}
		aead, err := cipher.NewGCM(block)
		if err != nil {
			faults = append(faults, fmt.Errorf("seal: key id %d: %w", k.ID, err))
			continue
		}
		r.aeads[k.ID] = aead
		r.newest = max(r.newest, k.ID)
	}
	if len(faults) > 0 {
		return nil, errors.Join(faults...)
	}
	return r, nil
}

// Newest is the id of the key that seals.
func (r *Ring) Newest() uint32 { return r.newest }

// IDs are the ids of all keys, ascending.
func (r *Ring) IDs() []uint32 {
	ids := make([]uint32, 0, len(r.aeads))
	for id := range r.aeads {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	return ids
}

// Sealed is how many records the newest key has sealed since the ring was
// built; add a key well before 2^32 in the life of one key.
func (r *Ring) Sealed() uint64 { return r.sealed.Load() }

// Seal appends the sealed form of plain to dst and returns the result. dst and
// plain must not overlap.
func (r *Ring) Seal(dst, plain, additional []byte) []byte {
	start := len(dst)
	dst = slices.Grow(dst, len(plain)+Overhead)
	dst = append(dst, format)
	dst = binary.BigEndian.AppendUint32(dst, r.newest)
	dst = dst[:len(dst)+nonceBytes]
	nonce := dst[start+headerBytes:]
	rand.Read(nonce) // never fails: crypto/rand ends the process instead
	r.sealed.Add(1)
	return r.aeads[r.newest].Seal(dst, nonce, plain, bind(dst[start:start+headerBytes], additional))
}

// Open appends the clear text of sealed to dst and returns the result. The
// error is ErrUnknownKey or ErrCorrupt, with the key's id.
func (r *Ring) Open(dst, sealed, additional []byte) ([]byte, error) {
	if len(sealed) < Overhead || sealed[0] != format {
		return nil, fmt.Errorf("%w: %d bytes are not a sealed record; restore it from another copy", ErrCorrupt, len(sealed))
	}
	id := binary.BigEndian.Uint32(sealed[1:headerBytes])
	aead := r.aeads[id]
	if aead == nil {
		return nil, fmt.Errorf("%w: record was sealed with key id %d, the ring holds %v; add that key to the key file",
			ErrUnknownKey, id, r.IDs())
	}
	nonce, body := sealed[headerBytes:headerBytes+nonceBytes], sealed[headerBytes+nonceBytes:]
	plain, err := aead.Open(dst, nonce, body, bind(sealed[:headerBytes], additional))
	if err != nil {
		return nil, fmt.Errorf("%w: key id %d: altered, moved, or sealed by another ring; "+
			"check that the key file belongs to this data, else restore the record from another copy", ErrCorrupt, id)
	}
	return plain, nil
}

// KeyID reads the id of the key that sealed a record, without opening it.
func KeyID(sealed []byte) (uint32, bool) {
	if len(sealed) < Overhead || sealed[0] != format {
		return 0, false
	}
	return binary.BigEndian.Uint32(sealed[1:headerBytes]), true
}

func bind(header, additional []byte) []byte {
	out := make([]byte, 0, len(header)+len(additional))
	return append(append(out, header...), additional...)
}
