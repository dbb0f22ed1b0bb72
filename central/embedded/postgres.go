package embedded

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
)

const (
	// superuser is the only role of a private PostgreSQL.
	superuser = "meridian"

	// inside is the store's directory as the server's processes see it: file
	// descriptor 3, which they inherit. A path through it needs no permission on
	// the directories above, so a store may lie below /root or in a private
	// temporary directory although the server does not run as root.
	inside = "/proc/self/fd/3"

	// maxLogBytes is the size at which server.log is put aside at a start.
	maxLogBytes = 16 << 20

	// portAttempts bounds the retries when a free port was taken meanwhile.
	portAttempts = 5
)

// postgres is a private PostgreSQL in one directory.
type postgres struct {
	dir    string // DIR/postgres
	bin    string // directory of initdb and postgres
	owner  owner
	marker string
	cfg    Config
}

func startPostgres(ctx context.Context, cfg Config) (server, error) {
	pg := &postgres{dir: filepath.Join(cfg.Dir, "postgres"), cfg: cfg}
	// cluster_name carries the marker into the command line of the server and
	// the titles of its children.
	sum := sha256.Sum256([]byte(pg.dir))
	pg.marker = "meridian-" + hex.EncodeToString(sum[:12])

	var err error
	if pg.owner, err = chooseOwner(pg.data()); err != nil {
		return server{}, err
	}
	if err := pg.findBinaries(); err != nil {
		return server{}, err
	}
	if err := os.MkdirAll(pg.dir, 0o700); err != nil {
		return server{}, fmt.Errorf("create directory: %w", err)
	}
	if err := pg.owner.give(pg.dir); err != nil {
		return server{}, err
	}
	if !exists(pg.data()) {
		if err := pg.initialize(ctx); err != nil {
			return server{}, err
		}
	}
	password, err := pg.password()
	if err != nil {
		return server{}, err
	}
	srv, err := pg.adopt(ctx, password)
	if err != nil || srv.pid != 0 {
		return srv, err
	}
	return pg.run(ctx, password)
}

func (pg *postgres) data() string { return filepath.Join(pg.dir, "data") }

// findBinaries picks the programs of the version that wrote the data.
func (pg *postgres) findBinaries() error {
	version, err := os.ReadFile(filepath.Join(pg.data(), "PG_VERSION"))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("read the store's version: %w", err)
	}
	major := strings.TrimSpace(string(version))
	pg.bin = findPostgres(debianPostgres, major)
	switch {
	case pg.bin != "":
		return nil
	case major != "" && findPostgres(debianPostgres, "") != "":
		return fmt.Errorf("%w: its data are of PostgreSQL %s, which is not installed: install postgresql-%s, or use another directory",
			ErrForeignStore, major, major)
	}
	return fmt.Errorf("%w: initdb and postgres are neither in %s/*/bin nor in PATH: %s", ErrNotInstalled, debianPostgres, installRemedy)
}

// password reads the superuser's password.
func (pg *postgres) password() (string, error) {
	b, err := os.ReadFile(filepath.Join(pg.dir, "password"))
	if err != nil {
		return "", fmt.Errorf("%w: its password is not readable (restore the file, or use another directory): %w", ErrForeignStore, err)
	}
	return strings.TrimSpace(string(b)), nil
}

// initialize creates the data directory under another name and renames it, so
// that a start cut short leaves nothing that looks complete.
func (pg *postgres) initialize(ctx context.Context) error {
	pg.cfg.Log.Info("creating a private PostgreSQL", "dir", pg.dir)
	const unfinished = "data.new"
	if err := os.RemoveAll(filepath.Join(pg.dir, unfinished)); err != nil {
		return fmt.Errorf("remove what an earlier start left: %w", err)
	}
	password := rand.Text()
	if err := pg.owner.writeFile(filepath.Join(pg.dir, "password"), []byte(password+"\n")); err != nil {
		return err
	}
	args := []string{
		"--pgdata=" + inside + "/" + unfinished, "--username=" + superuser, "--pwfile=" + inside + "/password",
		"--auth=scram-sha-256", "--encoding=UTF8", "--locale=C", "--no-instructions",
	}
	if pg.cfg.NoSync {
		args = append(args, "--no-sync")
	}
	cmd, closeDir, err := pg.command("initdb", args...)
	if err != nil {
		return err
	}
	defer closeDir()
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	p, err := launch(cmd, syscall.SIGKILL)
	if err != nil {
		return err
	}
	select {
	case <-p.done:
	case <-ctx.Done():
		err := syscall.Kill(-p.pid, syscall.SIGKILL)
		<-p.done
		return errors.Join(fmt.Errorf("create the store: %w", ctx.Err()), err)
	}
	if p.err != nil {
		return fmt.Errorf("create the store: initdb: %w: %s", p.err, tail(out.Bytes()))
	}
	if err := os.Rename(filepath.Join(pg.dir, unfinished), pg.data()); err != nil {
		return fmt.Errorf("create the store: %w", err)
	}
	return nil
}

// command prepares a program of PostgreSQL that runs as the store's owner with
// the store's directory as descriptor 3. closeDir closes this process's copy.
func (pg *postgres) command(name string, args ...string) (cmd *exec.Cmd, closeDir func(), err error) {
	dir, err := os.Open(pg.dir)
	if err != nil {
		return nil, nil, fmt.Errorf("open the store's directory: %w", err)
	}
	cmd = exec.Command(filepath.Join(pg.bin, name), args...)
	cmd.Dir = "/"
	cmd.Env = []string{"PATH=" + pg.bin + ":/usr/bin:/bin", "LC_ALL=C", "TZ=UTC"}
	cmd.ExtraFiles = []*os.File{dir}
	cmd.SysProcAttr = pg.owner.attr()
	return cmd, func() { _ = dir.Close() }, nil
}

// settings are given on the command line, so that no file of the store can
// drift from what this version of the program wants.
func (pg *postgres) settings(port int) []string {
	set := []string{
		"cluster_name=" + pg.marker,
		fmt.Sprintf("port=%d", port),
		"listen_addresses=127.0.0.1",
		"unix_socket_directories=.", // the data directory, which is private
		"password_encryption=scram-sha-256",
		"timezone=UTC", "log_timezone=UTC",
		"default_transaction_isolation=serializable",
		"shared_buffers=128MB", "max_connections=100", "max_wal_size=512MB",
		// Many row locks before the whole table is taken for read: serializable
		// writers of disjoint rows must not meet.
		"max_pred_locks_per_transaction=1024", "max_pred_locks_per_relation=10000", "max_pred_locks_per_page=64",
		// The log gets starts, stops and fatal faults: statements that fail are
		// their client's to report, and may hold personal data.
		"log_min_messages=log", "log_checkpoints=off", "logging_collector=off",
	}
	if pg.cfg.NoSync {
		// A commit is still handed to the kernel before it is answered, so that it
		// outlives a killed server.
		set = append(set, "fsync=off", "full_page_writes=off")
	}
	args := make([]string, 0, 2*len(set))
	for _, s := range set {
		args = append(args, "-c", s)
	}
	return args
}

// run starts a server of its own and waits until it answers.
func (pg *postgres) run(ctx context.Context, password string) (server, error) {
	for attempt := 1; ; attempt++ {
		port := pg.cfg.Port
		if port == 0 {
			var err error
			if port, err = freePort(); err != nil {
				return server{}, err
			}
		}
		srv, logged, err := pg.runOn(ctx, port, password)
		taken := bytes.Contains(logged, []byte("could not bind"))
		if err != nil && taken && pg.cfg.Port != 0 {
			return server{}, fmt.Errorf("port %d on 127.0.0.1 is taken: free it or set Port to 0: %w", port, err)
		}
		if err == nil || !taken || attempt == portAttempts {
			return srv, err
		}
		pg.cfg.Log.Info("port was taken meanwhile, trying another", "port", port)
	}
}

// runOn starts the server on a port. On failure it returns what the server
// logged.
func (pg *postgres) runOn(ctx context.Context, port int, password string) (server, []byte, error) {
	srv := pg.server(port, password)
	log, err := openLog(srv.logFile)
	if err != nil {
		return server{}, nil, err
	}
	defer log.Close()
	from, err := log.Seek(0, 2)
	if err != nil {
		return server{}, nil, fmt.Errorf("server log: %w", err)
	}
	cmd, closeDir, err := pg.command("postgres", append([]string{"-D", inside + "/data"}, pg.settings(port)...)...)
	if err != nil {
		return server{}, nil, err
	}
	defer closeDir()
	cmd.Stdout, cmd.Stderr = log, log
	// SIGINT is PostgreSQL's fast stop: sessions are ended, data are written.
	if srv.proc, err = launch(cmd, syscall.SIGINT); err != nil {
		return server{}, nil, err
	}
	srv.pid = srv.proc.pid
	if err := srv.ready(ctx, pg.adminURL(port, password)); err != nil {
		err = errors.Join(err, killAll(srv.pid, srv.marker))
		<-srv.proc.done
		logged := readFrom(srv.logFile, from)
		return server{}, logged, fmt.Errorf("%w; %s says: %s", err, srv.logFile, tail(logged))
	}
	return srv, nil, nil
}

func (pg *postgres) server(port int, password string) server {
	return server{
		kind: Postgres, port: port, marker: pg.marker,
		url:     postgresURL(superuser, password, port, database),
		logFile: filepath.Join(pg.dir, "server.log"),
		stop:    syscall.SIGINT, atOnce: syscall.SIGQUIT,
	}
}

func (pg *postgres) adminURL(port int, password string) string {
	return postgresURL(superuser, password, port, "postgres")
}

// adopt returns the server that runs in the data directory, or a zero server if
// there is none, after it has dealt with what a dead one left.
func (pg *postgres) adopt(ctx context.Context, password string) (server, error) {
	pidFile := filepath.Join(pg.data(), "postmaster.pid")
	for {
		b, err := os.ReadFile(pidFile)
		if errors.Is(err, fs.ErrNotExist) {
			break
		}
		if err != nil {
			return server{}, fmt.Errorf("look for a running server: %w", err)
		}
		found := parsePidFile(string(b))
		if !slices.Contains(processesWith(pg.marker), found.pid) {
			break // the file is stale: its number is free or belongs to another program
		}
		if found.ready() {
			srv := pg.server(found.port, password)
			srv.pid = found.pid
			err := srv.ready(ctx, pg.adminURL(found.port, password))
			if err == nil {
				return srv, nil
			}
			if alive(found.pid) {
				return server{}, fmt.Errorf("adopt the running server (process %d): %w", found.pid, err)
			}
			continue // it ended while it was asked: look again
		}
		// It starts or stops: what it will be is not decided yet.
		if err := pause(ctx); err != nil {
			return server{}, fmt.Errorf("%w: the server found running (process %d) stays %q: %w", ErrNotReady, found.pid, found.status, err)
		}
	}
	// Children of a killed server end by themselves when they notice. A new one
	// beside them would damage the data.
	if err := waitGone(ctx, pg.marker); err != nil {
		return server{}, err
	}
	if err := os.Remove(pidFile); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return server{}, fmt.Errorf("remove a stale file: %w", err)
	}
	return server{}, nil
}

func postgresURL(user, password string, port int, db string) string {
	u := url.URL{
		Scheme: "postgres", Host: fmt.Sprintf("127.0.0.1:%d", port), Path: "/" + db,
		User: url.User(user), RawQuery: "sslmode=disable",
	}
	if password != "" {
		u.User = url.UserPassword(user, password)
	}
	return u.String()
}
