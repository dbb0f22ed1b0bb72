package cockroach

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
)

//go:embed migrations/*.sql
var migrationFiles embed.FS

// ErrMigration: the database's schema is not the one of this program.
var ErrMigration = errors.New("schema migration")

const (
	migrationLease = 2 * time.Minute        // a runner that died lets others in after this
	migrationPoll  = 100 * time.Millisecond // while another runner has the lease
)

// bootstrap makes the two tables that migrating itself needs.
func bootstrap() []string {
	return []string{
		`CREATE TABLE IF NOT EXISTS schema_migrations (name TEXT NOT NULL PRIMARY KEY, checksum TEXT NOT NULL, applied_at INT8 NOT NULL)`,
		`CREATE TABLE IF NOT EXISTS schema_lease (id INT2 NOT NULL PRIMARY KEY, holder TEXT NOT NULL, expires_at INT8 NOT NULL)`,
		`INSERT INTO schema_lease (id, holder, expires_at) VALUES (1, '', 0) ON CONFLICT (id) DO NOTHING`,
	}
}

// migrator is one run of migrations.
type migrator struct {
	db     *DB
	files  fs.FS         // migrations/*.sql
	lease  time.Duration // how long others wait for a runner that died
	before func(file string)
	holder string
}

// Migrate brings the schema up to this program's: each file of migrations is one
// idempotent statement, run on its own and recorded with its checksum. Any number
// of servers may call it at once, and others may serve meanwhile; a lease row lets
// one work at a time, is kept while that one lives, and passes on 2 minutes after
// it died. It fails with ErrMigration when a file that was applied has changed
// since. Files that another version of the program has applied are left alone.
func (db *DB) Migrate(ctx context.Context) error {
	m := migrator{db: db, files: migrationFiles, lease: migrationLease, before: func(string) {}}
	return m.run(ctx)
}

func (m *migrator) run(ctx context.Context) error {
	conn, err := m.db.pool.Acquire(ctx)
	if err != nil {
		return fmt.Errorf("migrate: %w", connected(err))
	}
	defer conn.Release()
	c := conn.Conn()
	for _, sql := range bootstrap() {
		if err := execAlone(ctx, c, sql); err != nil {
			return fmt.Errorf("prepare migrations: %w", classify(err))
		}
	}
	m.holder = rand.Text()
	if err := m.take(ctx, c); err != nil {
		return err
	}
	work, cancel := context.WithCancelCause(ctx)
	var keeper sync.WaitGroup
	keeper.Go(func() { m.keep(work, cancel) })
	err = m.apply(work, c)
	if lost := context.Cause(work); err != nil && lost != nil && ctx.Err() == nil {
		err = errors.Join(lost, err)
	}
	cancel(nil)
	keeper.Wait()
	release, done := context.WithTimeout(context.WithoutCancel(ctx), rollbackTimeout)
	defer done()
	_, relErr := m.db.pool.Exec(release, `UPDATE schema_lease SET holder = '', expires_at = 0 WHERE id = 1 AND holder = $1`, m.holder)
	return errors.Join(err, relErr)
}

// keep renews the lease, on a connection of its own: one statement may take longer
// than the lease lasts. When the lease is lost, the work is stopped.
func (m *migrator) keep(ctx context.Context, cancel context.CancelCauseFunc) {
	t := time.NewTicker(m.lease / 4)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-t.C:
		}
		tag, err := m.db.pool.Exec(ctx, `UPDATE schema_lease SET expires_at = $2 WHERE id = 1 AND holder = $1`,
			m.holder, time.Now().Add(m.lease).UnixMicro())
		if err == nil && tag.RowsAffected() != 1 {
			cancel(fmt.Errorf("%w: another runner took the lease over: start again", ErrMigration))
			return
		}
		// A failure to renew is tried again; if it lasts, step finds out.
	}
}

// execAlone runs one statement outside a transaction, again when another session
// was making the same thing: both servers then report a failure of the catalog
// that a second run finds settled.
func execAlone(ctx context.Context, c *pgx.Conn, sql string, args ...any) error {
	var err error
	for n := 1; n <= 5; n++ {
		_, err = c.Exec(ctx, sql, args...)
		switch sqlState(err) {
		case codeSerialization, codeDeadlock, codeUnique, "42P07", "42710", "XX000":
			if perr := pause(ctx, n); perr != nil {
				return perr
			}
			continue
		}
		return err
	}
	return err
}

// take waits until this runner holds the lease row.
func (m *migrator) take(ctx context.Context, c *pgx.Conn) error {
	poll := time.NewTicker(migrationPoll)
	defer poll.Stop()
	for {
		now := time.Now()
		tag, err := c.Exec(ctx, `UPDATE schema_lease SET holder = $1, expires_at = $2 WHERE id = 1 AND expires_at < $3`,
			m.holder, now.Add(m.lease).UnixMicro(), now.UnixMicro())
		if err != nil && sqlState(err) != codeSerialization {
			return fmt.Errorf("take the migration lease: %w", classify(err))
		}
		if err == nil && tag.RowsAffected() == 1 {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("wait for the migration lease: %w", ctx.Err())
		case <-poll.C:
		}
	}
}

func (m *migrator) apply(ctx context.Context, c *pgx.Conn) error {
	applied := make(map[string]string)
	r, err := c.Query(ctx, `SELECT name, checksum FROM schema_migrations`)
	if err != nil {
		return fmt.Errorf("read schema_migrations: %w", err)
	}
	var name, sum string
	if _, err := pgx.ForEachRow(r, []any{&name, &sum}, func() error { applied[name] = sum; return nil }); err != nil {
		return fmt.Errorf("read schema_migrations: %w", err)
	}
	files, err := fs.Glob(m.files, "migrations/*.sql") // sorted by name
	if err != nil {
		return err
	}
	for _, file := range files {
		body, err := fs.ReadFile(m.files, file)
		if err != nil {
			return err
		}
		digest := sha256.Sum256(body)
		checksum := hex.EncodeToString(digest[:])
		if before, done := applied[file]; done {
			if before != checksum {
				return fmt.Errorf("%w: %s was applied with checksum %.12s…, this program has %.12s…: run the program that fits, or restore the file and add a new one",
					ErrMigration, file, before, checksum)
			}
			continue
		}
		if err := m.step(ctx, c, file, string(body), checksum); err != nil {
			return err
		}
	}
	return nil
}

// step runs one file and records it, while the lease is still ours.
func (m *migrator) step(ctx context.Context, c *pgx.Conn, file, sql, checksum string) error {
	now := time.Now()
	tag, err := c.Exec(ctx, `UPDATE schema_lease SET expires_at = $2 WHERE id = 1 AND holder = $1`, m.holder, now.Add(m.lease).UnixMicro())
	if err != nil && sqlState(err) != codeSerialization { // the keeper has just renewed it
		return fmt.Errorf("keep the migration lease: %w", classify(err))
	}
	if err == nil && tag.RowsAffected() != 1 {
		return fmt.Errorf("%w: another runner took the lease over: start again", ErrMigration)
	}
	m.before(file)
	if err := execAlone(ctx, c, sql); err != nil {
		return fmt.Errorf("%w: %s: %w", ErrMigration, file, err)
	}
	if err := execAlone(ctx, c, `INSERT INTO schema_migrations (name, checksum, applied_at) VALUES ($1, $2, $3) ON CONFLICT (name) DO NOTHING`,
		file, checksum, now.UnixMicro()); err != nil {
		return fmt.Errorf("record %s: %w", file, err)
	}
	return nil
}
