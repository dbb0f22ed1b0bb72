package ledger

import (
	"errors"

	"meridian/internal/journal"
)

// ErrChain: the bytes of a batch do not lead from its first hash to its last.
var ErrChain = errors.New("the entries do not chain to the hash that was sent with them")

// Chain computes the hash of each entry of a batch, starting from the hash
// before it, and checks the last against head. It returns ErrChain when they
// differ.
func Chain(previous journal.Hash, entries [][]byte, head journal.Hash) ([]journal.Hash, error) {
	hashes := make([]journal.Hash, len(entries))
	for i, raw := range entries {
		previous = journal.Chain(previous, raw)
		hashes[i] = previous
	}
	if previous != head {
		return nil, ErrChain
	}
	return hashes, nil
}
