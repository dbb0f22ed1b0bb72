package kms

import (
	"context"
	"fmt"
	"strconv"

	"meridian/replication/seal"
)

// keyring wraps by the keys of a key file, which lies apart from the data: on a
// token, or on a file system that is mounted for the start only.
type keyring struct {
	path string
	ring *seal.Ring
}

func newKeyring(path string) (*keyring, error) {
	ring, err := seal.LoadRing(path)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", seal.ErrKeeper, err)
	}
	return &keyring{path: path, ring: ring}, nil
}

// Wrap implements seal.Keeper.
func (k *keyring) Wrap(_ context.Context, key seal.Key) (seal.Wrapped, error) {
	blob := k.ring.Seal(nil, key.Bytes[:], []byte(contextOf(key.ID)))
	return seal.Wrapped{By: "keyring/" + strconv.FormatUint(uint64(k.ring.Sealing()), 10), Blob: blob}, nil
}

// Unwrap implements seal.Keeper.
func (k *keyring) Unwrap(_ context.Context, id uint32, w seal.Wrapped) (seal.Key, error) {
	plain, err := k.ring.Open(nil, w.Blob, []byte(contextOf(id)))
	if err != nil {
		return seal.Key{}, fmt.Errorf("%w: keyring %s: %w", seal.ErrKeeper, k.path, err)
	}
	if len(plain) != seal.KeyBytes {
		return seal.Key{}, fmt.Errorf("%w: keyring %s gave %d octets; a key has %d", seal.ErrKeeper, k.path, len(plain), seal.KeyBytes)
	}
	return seal.Key{ID: id, Bytes: [seal.KeyBytes]byte(plain)}, nil
}
