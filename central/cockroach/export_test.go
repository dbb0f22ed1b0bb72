package cockroach

import (
	"context"
	"io/fs"
	"time"
)

// MigrationFiles are the program's own.
func MigrationFiles() fs.FS { return migrationFiles }

// MigrateWith runs migrations with other files, another lease, and a hook before
// each statement.
func (db *DB) MigrateWith(ctx context.Context, files fs.FS, lease time.Duration, before func(file string)) error {
	m := migrator{db: db, files: files, lease: lease, before: before}
	return m.run(ctx)
}
