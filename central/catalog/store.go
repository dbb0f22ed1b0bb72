package catalog

import (
	"context"

	"meridian/internal/tariff"
)

// Table is a published version of a shared table of destinations. It never changes.
type Table struct {
	Table       tariff.Table
	Hash        [32]byte // Table.Hash()
	PublishedAt int64    // Unix microseconds
}

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
	// InsertTable adds a version of a table; store.ErrExists when it is there.
	InsertTable(ctx context.Context, t Table) error
	// LatestTables returns the highest version of each table named, by id; unknown
	// ones are absent.
	LatestTables(ctx context.Context, ids []string) ([]Table, error)
	// Tables lists all versions by (id, version) after a key, at most limit.
	Tables(ctx context.Context, afterID string, afterVersion uint32, limit int) ([]Table, error)
}
