package cockroach

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/jackc/pgx/v5"

	"meridian/central/catalog"
)

// InsertTable implements catalog.Store.
func (t catalogStore) InsertTable(ctx context.Context, v catalog.Table) error {
	b, err := json.Marshal(&v.Table)
	if err != nil {
		return fmt.Errorf("encode table %s: %w", v.Table.ID, err)
	}
	_, err = t.exec(ctx, "insert a table", `INSERT INTO destination_tables (id, version, body, hash, published_at) VALUES ($1, $2, $3, $4, $5)`,
		v.Table.ID, int32(v.Table.Version), string(b), v.Hash[:], v.PublishedAt)
	return err
}

func scanTable(r pgx.CollectableRow) (v catalog.Table, err error) {
	var body string
	var hash []byte
	if err := r.Scan(&body, &hash, &v.PublishedAt); err != nil {
		return v, err
	}
	copy(v.Hash[:], hash)
	return v, json.Unmarshal([]byte(body), &v.Table)
}

// LatestTables implements catalog.Store.
func (t catalogStore) LatestTables(ctx context.Context, ids []string) ([]catalog.Table, error) {
	return rows(ctx, t.tx, "latest tables", scanTable, `SELECT o.body, o.hash, o.published_at FROM destination_tables AS o
		WHERE o.id = ANY($1::TEXT[]) AND NOT EXISTS (SELECT 1 FROM destination_tables AS n WHERE n.id = o.id AND n.version > o.version)
		ORDER BY o.id`, ids)
}

// Tables implements catalog.Store.
func (t catalogStore) Tables(ctx context.Context, afterID string, afterVersion uint32, limit int) ([]catalog.Table, error) {
	return rows(ctx, t.tx, "tables", scanTable, `SELECT body, hash, published_at FROM destination_tables
		WHERE (id, version) > ($1, $2) ORDER BY id, version LIMIT $3`, afterID, int32(afterVersion), limit)
}
