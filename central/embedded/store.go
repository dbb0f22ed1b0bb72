package embedded

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"syscall"
	"time"
)

// database is the name of the one database that Start makes sure of.
const database = "meridian"

// server is what the two kinds have in common once they run.
type server struct {
	kind    string
	url     string // of the database `meridian`
	port    int
	pid     int
	marker  string   // found in the command line of all its processes
	proc    *process // nil if the server was adopted
	logFile string

	stop   syscall.Signal // an orderly stop that does not wait for clients
	atOnce syscall.Signal // a stop that leaves recovery to the next start
}

// Store is a running embedded store. Its methods may be called from several
// goroutines.
type Store struct {
	srv         server
	stopTimeout time.Duration
	log         *slog.Logger

	closing  sync.Once
	closeErr error
}

// Start brings up the store in cfg.Dir, or adopts the server that runs there
// already, and returns when the database `meridian` answers. ctx bounds the
// start only; the server lives until Close, Kill or the end of this process.
//
// Errors: ErrNotInstalled, ErrForeignStore, ErrNotReady, ctx's, and those of
// the file system.
func Start(ctx context.Context, cfg Config) (*Store, error) {
	cfg = cfg.withDefaults()
	if err := cfg.Validate(); err != nil {
		return nil, fmt.Errorf("embedded store: %w", err)
	}
	dir, err := filepath.Abs(cfg.Dir)
	if err != nil {
		return nil, fmt.Errorf("embedded store: directory %q: %w", cfg.Dir, err)
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, fmt.Errorf("embedded store: create directory: %w", err)
	}
	// Two ways to one directory are one store.
	if dir, err = filepath.EvalSymlinks(dir); err != nil {
		return nil, fmt.Errorf("embedded store: directory %q: %w", cfg.Dir, err)
	}
	cfg.Dir = dir

	ctx, cancel := context.WithTimeout(ctx, cfg.StartTimeout)
	defer cancel()
	unlock, err := lockDir(ctx, dir)
	if err != nil {
		return nil, fmt.Errorf("embedded store: %w", err)
	}
	defer unlock()

	srv, err := startKind(ctx, cfg)
	if err != nil {
		return nil, fmt.Errorf("embedded store in %s: %w", dir, err)
	}
	s := &Store{srv: srv, stopTimeout: cfg.StopTimeout, log: cfg.Log}
	s.log.Info("embedded store ready", "kind", srv.kind, "port", srv.port, "pid", srv.pid, "adopted", s.Adopted())
	return s, nil
}

func startKind(ctx context.Context, cfg Config) (server, error) {
	kind, binary, err := chooseKind(cfg)
	if err != nil {
		return server{}, err
	}
	if kind == Cockroach {
		return startCockroach(ctx, cfg, binary)
	}
	return startPostgres(ctx, cfg)
}

// chooseKind decides which server to run and returns cockroach's binary.
func chooseKind(cfg Config) (kind, binary string, err error) {
	prefer := cfg.Prefer
	holdsPostgres := exists(filepath.Join(cfg.Dir, "postgres", "data"))
	holdsCockroach := exists(filepath.Join(cfg.Dir, "cockroach", "data"))
	switch {
	case prefer == Cockroach && holdsPostgres && !holdsCockroach,
		prefer == Postgres && holdsCockroach && !holdsPostgres:
		return "", "", fmt.Errorf("%w: it holds a store of the other kind than %q: use another directory, or Prefer %q",
			ErrForeignStore, prefer, Auto)
	case prefer == Auto && holdsCockroach:
		prefer = Cockroach
	case prefer == Auto && holdsPostgres:
		prefer = Postgres
	}
	if prefer == Postgres {
		return Postgres, "", nil
	}
	binary, err = findCockroach(cfg.CockroachBinary)
	if err != nil {
		return "", "", err
	}
	switch {
	case binary != "":
		return Cockroach, binary, nil
	case prefer == Cockroach:
		return "", "", fmt.Errorf("%w: no cockroach binary: name one in COCKROACH_BINARY or put it in PATH", ErrNotInstalled)
	}
	return Postgres, "", nil
}

// URL is the connection string of the database `meridian`, credentials
// included: do not log it.
func (s *Store) URL() string { return s.srv.url }

// Kind is Cockroach or Postgres.
func (s *Store) Kind() string { return s.srv.kind }

// Port is the server's TCP port on 127.0.0.1.
func (s *Store) Port() int { return s.srv.port }

// PID is the server's main process.
func (s *Store) PID() int { return s.srv.pid }

// Adopted tells whether the server ran before Start, so that another process
// owns it.
func (s *Store) Adopted() bool { return s.srv.proc == nil }

// Alive tells whether the server's main process runs.
func (s *Store) Alive() bool {
	if s.srv.proc != nil {
		return !s.srv.proc.exited() && alive(s.srv.pid) // killed, it is a zombie for a moment
	}
	// The number alone may belong to another program by now.
	return slices.Contains(processesWith(s.srv.marker), s.srv.pid)
}

// Close stops the server if this Store owns it, and returns when its processes
// have ended: an orderly stop first, after Config.StopTimeout one at once,
// which loses nothing committed. A second call returns the first one's result.
func (s *Store) Close() error {
	s.closing.Do(func() { s.closeErr = s.stop() })
	return s.closeErr
}

func (s *Store) stop() error {
	if s.Adopted() {
		return nil
	}
	for _, step := range []struct {
		signal  syscall.Signal
		timeout time.Duration
	}{{s.srv.stop, s.stopTimeout}, {s.srv.atOnce, 5 * time.Second}} {
		if s.srv.proc.exited() {
			break
		}
		if err := syscall.Kill(s.srv.pid, step.signal); err != nil && !errors.Is(err, syscall.ESRCH) {
			return fmt.Errorf("stop the embedded store (process %d): %w", s.srv.pid, err)
		}
		select {
		case <-s.srv.proc.done:
		case <-time.After(step.timeout):
			s.log.Warn("embedded store is slow to stop", "signal", step.signal.String(), "waited", step.timeout)
		}
	}
	if s.srv.proc.exited() {
		return nil
	}
	return s.Kill()
}

// Kill ends all processes of the server with SIGKILL, adopted or not, and
// returns when they are gone. What was committed is there after the next Start.
// A server that has ended already, and one started since then in the same
// directory, are left alone.
func (s *Store) Kill() error {
	if !s.Alive() {
		if s.srv.proc != nil {
			<-s.srv.proc.done
		}
		return nil
	}
	if err := killAll(s.srv.pid, s.srv.marker); err != nil {
		return fmt.Errorf("kill the embedded store: %w", err)
	}
	if s.srv.proc != nil {
		<-s.srv.proc.done
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if err := waitGone(ctx, s.srv.marker); err != nil {
		return fmt.Errorf("kill the embedded store: %w", err)
	}
	// A dying process has no command line any more before it is a zombie.
	for alive(s.srv.pid) {
		if err := pause(ctx); err != nil {
			return fmt.Errorf("kill the embedded store: process %d does not end: %w", s.srv.pid, err)
		}
	}
	return nil
}

// lockDir makes sure that one Start at a time looks at a directory.
func lockDir(ctx context.Context, dir string) (unlock func(), err error) {
	f, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open the lock file: %w", err)
	}
	for {
		err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		if err == nil {
			// Closing gives the lock up; a failure to close a file that was never
			// written has no consequence.
			return func() { _ = f.Close() }, nil
		}
		if !errors.Is(err, syscall.EWOULDBLOCK) && !errors.Is(err, syscall.EINTR) {
			_ = f.Close()
			return nil, fmt.Errorf("lock %s: %w", f.Name(), err)
		}
		if err := pause(ctx); err != nil {
			_ = f.Close()
			return nil, fmt.Errorf("another process is starting the store: wait for %s: %w", f.Name(), err)
		}
	}
}

// freePort asks the kernel for a port on the loopback interface. Another
// process may take it before the server does, so a start tries several times.
func freePort() (int, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, fmt.Errorf("find a free port: %w", err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port, nil
}

func exists(path string) bool {
	_, err := os.Lstat(path)
	return err == nil
}
