package embedded

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// ready waits until the server answers at adminURL and its database exists.
func (s server) ready(ctx context.Context, adminURL string) error {
	// An attempt must not outlast the server: if its port was taken, another
	// program may hold the connection open without a word.
	attempt, cancel := context.WithCancel(ctx)
	defer cancel()
	if s.proc != nil {
		go func() {
			select {
			case <-s.proc.done:
				cancel()
			case <-attempt.Done():
			}
		}()
	}
	var last error
	for {
		if s.proc != nil && s.proc.exited() {
			return fmt.Errorf("%w: the server ended: %s", ErrNotReady, s.proc.ending())
		}
		if s.proc == nil && !alive(s.pid) {
			return fmt.Errorf("%w: the server ended", ErrNotReady)
		}
		if last = createDatabase(attempt, adminURL, s.kind); last == nil {
			return nil
		}
		// Wrong credentials do not become right by waiting.
		var refused *pgconn.PgError
		if errors.As(last, &refused) && strings.HasPrefix(refused.Code, "28") {
			return fmt.Errorf("%w: it refuses the store's own password: %w", ErrForeignStore, last)
		}
		if err := pause(ctx); err != nil {
			return fmt.Errorf("%w: %w: %w", ErrNotReady, err, last)
		}
	}
}

// createDatabase makes sure that the database exists.
func createDatabase(ctx context.Context, adminURL, kind string) error {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	conn, err := pgx.Connect(ctx, adminURL)
	if err != nil {
		return fmt.Errorf("connect: %w", err)
	}
	defer conn.Close(context.WithoutCancel(ctx))
	var found bool
	err = conn.QueryRow(ctx, "SELECT EXISTS (SELECT 1 FROM pg_database WHERE datname = $1)", database).Scan(&found)
	if err != nil {
		return fmt.Errorf("look for database %s: %w", database, err)
	}
	if found {
		return nil
	}
	create := "CREATE DATABASE " + database
	if kind == Postgres {
		create += " TEMPLATE template0 ENCODING 'UTF8' LC_COLLATE 'C' LC_CTYPE 'C'"
	}
	_, err = conn.Exec(ctx, create)
	var exists *pgconn.PgError
	if errors.As(err, &exists) && exists.Code == "42P04" { // duplicate_database
		return nil
	}
	if err != nil {
		return fmt.Errorf("create database %s: %w", database, err)
	}
	return nil
}

// postmaster is what PostgreSQL's postmaster.pid says.
type postmaster struct {
	pid, port int
	status    string // starting, ready, standby, stopping; "" while being written
}

func (p postmaster) ready() bool { return p.pid > 0 && p.port > 0 && p.status == "ready" }

// parsePidFile reads postmaster.pid: one value a line, the first is the
// process, the fourth the port, the eighth the status. What is missing stays
// zero: the file grows while the server starts.
func parsePidFile(content string) postmaster {
	lines := strings.Split(content, "\n")
	number := func(i int) int {
		if i >= len(lines) {
			return 0
		}
		n, err := strconv.Atoi(strings.TrimSpace(lines[i]))
		if err != nil {
			return 0
		}
		return n
	}
	p := postmaster{pid: number(0), port: number(3)}
	if len(lines) > 7 {
		p.status = strings.TrimSpace(lines[7])
	}
	return p
}

// openLog opens the server's log for appending; a large one is put aside first,
// in place of the one put aside before.
func openLog(path string) (*os.File, error) {
	if info, err := os.Stat(path); err == nil && info.Size() > maxLogBytes {
		if err := os.Rename(path, path+".1"); err != nil {
			return nil, fmt.Errorf("rotate the server log: %w", err)
		}
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return nil, fmt.Errorf("server log: %w", err)
	}
	return f, nil
}

// readFrom returns a file's bytes from an offset on, for an error's text: what
// cannot be read is left out.
func readFrom(path string, offset int64) []byte {
	f, err := os.Open(path)
	if err != nil {
		return nil
	}
	defer f.Close()
	if _, err := f.Seek(offset, io.SeekStart); err != nil {
		return nil
	}
	b, err := io.ReadAll(io.LimitReader(f, 1<<20))
	if err != nil {
		return nil
	}
	return b
}

// tail returns the last lines of a program's output on one line.
func tail(out []byte) string {
	const maxLines = 5
	lines := strings.Split(strings.TrimSpace(string(out)), "\n")
	if len(lines) > maxLines {
		lines = lines[len(lines)-maxLines:]
	}
	for i := range lines {
		lines[i] = strings.TrimSpace(lines[i])
	}
	return strings.Join(lines, " | ")
}
