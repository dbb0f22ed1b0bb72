package catalog

import (
	"context"

	"meridian/internal/tariff"
)

// Version is a published version of an offering. It never changes.
type Version struct {
	Offering    tariff.Offering
	Hash        [32]byte // Offering.Hash()
	PublishedAt int64    // Unix microseconds
}

// Store keeps published versions.
type Store interface {
	// Insert adds versions; store.ErrExists when one is there.
	Insert(ctx context.Context, versions []Version) error
	// Latest returns the highest version of each offering named, by id; unknown
	// ones are absent.
	Latest(ctx context.Context, ids []string) ([]Version, error)
	// Versions lists all versions by (id, version) after a key, at most limit.
	Versions(ctx context.Context, afterID string, afterVersion uint32, limit int) ([]Version, error)
}
