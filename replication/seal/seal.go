package seal

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
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

// Ring seals with one of its keys, at first the newest (the highest id), and opens
// with any. It is safe for concurrent use; Learn, SealWith and Forget change it while
// others seal and open.
type Ring struct {
	keys   atomic.Pointer[keySet]
	change sync.Mutex // held by what replaces keys
	sealed atomic.Uint64
}

// keySet never changes.
type keySet struct {
	sealing uint32
	keys    map[uint32]ringKey
}

type ringKey struct {
	aead  cipher.AEAD
	print Fingerprint
}

// Fingerprint tells keys apart without telling anything of them.
type Fingerprint [8]byte

// NewRing builds a ring from 1..MaxKeys keys with distinct, non-zero ids. All
// faults are reported at once.
func NewRing(keys []Key) (*Ring, error) {
	var faults []error
	if len(keys) == 0 || len(keys) > MaxKeys {
		faults = append(faults, fmt.Errorf("seal: ring has %d keys; give 1 to %d", len(keys), MaxKeys))
	}
	set := &keySet{keys: make(map[uint32]ringKey, len(keys))}
	for i, k := range keys {
		switch _, twice := set.keys[k.ID]; {
		case k.ID == 0:
			faults = append(faults, fmt.Errorf("seal: key %d has id 0; ids start at 1", i))
			continue
		case twice:
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
		sum := sha256.Sum256(append([]byte("meridian/key-fingerprint/"), k.Bytes[:]...))
		set.keys[k.ID] = ringKey{aead: aead, print: Fingerprint(sum[:len(Fingerprint{})])}
		set.sealing = max(set.sealing, k.ID)
	}
	if len(faults) > 0 {
		return nil, errors.Join(faults...)
	}
	r := &Ring{}
	r.keys.Store(set)
	return r, nil
}

// Sealing is the id of the key that seals.
func (r *Ring) Sealing() uint32 { return r.keys.Load().sealing }

// Newest is the highest id of the keys that the ring holds.
func (r *Ring) Newest() uint32 {
	ids := r.IDs()
	return ids[len(ids)-1]
}

// IDs are the ids of all keys, ascending.
func (r *Ring) IDs() []uint32 {
	return slices.Sorted(maps.Keys(r.keys.Load().keys))
}

// Fingerprint tells a key of the ring; false when it holds none of that id.
func (r *Ring) Fingerprint(id uint32) (Fingerprint, bool) {
	k, ok := r.keys.Load().keys[id]
	return k.print, ok
}

// Learn adds the keys of another ring, to open with; what seals stays. A key that
// is not the one that this ring has by the same id is ErrOtherKey, and nothing is
// changed.
func (r *Ring) Learn(other *Ring) error {
	r.change.Lock()
	defer r.change.Unlock()
	now := r.keys.Load()
	next := &keySet{sealing: now.sealing, keys: maps.Clone(now.keys)}
	for _, id := range other.IDs() {
		k := other.keys.Load().keys[id]
		if held, ok := next.keys[id]; ok && held.print != k.print {
			return fmt.Errorf("%w: id %d is another key than the one in use; give a new key the next id, and never use an id twice", ErrOtherKey, id)
		}
		next.keys[id] = k
	}
	if len(next.keys) > MaxKeys {
		return fmt.Errorf("%w: %d keys, at most %d; remove keys that seal nothing any more", ErrBadKeyFile, len(next.keys), MaxKeys)
	}
	r.keys.Store(next)
	return nil
}

// SealWith makes a key of the ring the one that seals. What others sealed stays
// readable.
func (r *Ring) SealWith(id uint32) error {
	r.change.Lock()
	defer r.change.Unlock()
	now := r.keys.Load()
	if _, ok := now.keys[id]; !ok {
		return fmt.Errorf("%w: it has no key id %d; the ring holds %v", ErrUnknownKey, id, r.IDs())
	}
	if now.sealing != id {
		r.sealed.Store(0)
		r.keys.Store(&keySet{sealing: id, keys: now.keys})
	}
	return nil
}

// Keep forgets all keys but those of ids and the one that seals. Nothing that they
// sealed can be opened then.
func (r *Ring) Keep(ids []uint32) {
	r.change.Lock()
	defer r.change.Unlock()
	now := r.keys.Load()
	next := &keySet{sealing: now.sealing, keys: maps.Clone(now.keys)}
	maps.DeleteFunc(next.keys, func(id uint32, _ ringKey) bool { return id != now.sealing && !slices.Contains(ids, id) })
	r.keys.Store(next)
}

// Sealed is how many records the key that seals has sealed since it began to, or the
// ring was built; add a key well before 2^32 in the life of one key.
func (r *Ring) Sealed() uint64 { return r.sealed.Load() }

// Seal appends the sealed form of plain to dst and returns the result. dst and
// plain must not overlap.
func (r *Ring) Seal(dst, plain, additional []byte) []byte {
	start := len(dst)
	dst = slices.Grow(dst, len(plain)+Overhead)
	set := r.keys.Load()
	dst = append(dst, format)
	dst = binary.BigEndian.AppendUint32(dst, set.sealing)
	dst = dst[:len(dst)+nonceBytes]
	nonce := dst[start+headerBytes:]
	rand.Read(nonce) // never fails: crypto/rand ends the process instead
	r.sealed.Add(1)
	return set.keys[set.sealing].aead.Seal(dst, nonce, plain, bind(dst[start:start+headerBytes], additional))
}

// Open appends the clear text of sealed to dst and returns the result. The
// error is ErrUnknownKey or ErrCorrupt, with the key's id.
func (r *Ring) Open(dst, sealed, additional []byte) ([]byte, error) {
	if len(sealed) < Overhead || sealed[0] != format {
		return nil, fmt.Errorf("%w: %d bytes are not a sealed record; restore it from another copy", ErrCorrupt, len(sealed))
	}
	id := binary.BigEndian.Uint32(sealed[1:headerBytes])
	key, held := r.keys.Load().keys[id]
	if !held {
		return nil, fmt.Errorf("%w: record was sealed with key id %d, the ring holds %v; add that key to the key file",
			ErrUnknownKey, id, r.IDs())
	}
	nonce, body := sealed[headerBytes:headerBytes+nonceBytes], sealed[headerBytes+nonceBytes:]
	plain, err := key.aead.Open(dst, nonce, body, bind(sealed[:headerBytes], additional))
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
