package embedded

import (
	"context"
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
	"strconv"
	"strings"
	"syscall"
)

// cockroach is a single-node CockroachDB in one directory, without TLS and
// therefore on the loopback interface only.
type cockroach struct {
	dir    string // DIR/cockroach
	binary string
	marker string
	cfg    Config
}

func startCockroach(ctx context.Context, cfg Config, binary string) (server, error) {
	c := &cockroach{dir: filepath.Join(cfg.Dir, "cockroach"), binary: binary, cfg: cfg}
	// The name of the store's own URL file is in the command line of the server.
	sum := sha256.Sum256([]byte(c.dir))
	c.marker = "meridian-" + hex.EncodeToString(sum[:12])
	if err := os.MkdirAll(c.dir, 0o700); err != nil {
		return server{}, fmt.Errorf("create directory: %w", err)
	}
	srv, err := c.adopt(ctx)
	if err != nil || srv.pid != 0 {
		return srv, err
	}
	if srv, err = c.run(ctx); err != nil {
		return server{}, err
	}
	return srv, nil
}

func (c *cockroach) pidFile() string { return filepath.Join(c.dir, "pid") }
func (c *cockroach) urlFile() string { return filepath.Join(c.dir, c.marker+".url") }

// adopt returns the server that runs in the directory, or a zero server.
func (c *cockroach) adopt(ctx context.Context) (server, error) {
	pid, port, err := c.running()
	if err != nil {
		return server{}, err
	}
	if pid == 0 || port == 0 || !slices.Contains(processesWith(c.marker), pid) {
		// A server that was cut off while starting, or is stopping, has to end
		// before its store can be opened.
		return server{}, waitGone(ctx, c.marker)
	}
	srv := c.server(port)
	srv.pid = pid
	if err := srv.ready(ctx, cockroachURL(port, "defaultdb")); err != nil {
		if !alive(pid) { // it ended while it was asked
			return server{}, waitGone(ctx, c.marker)
		}
		return server{}, fmt.Errorf("adopt the running server (process %d): %w", pid, err)
	}
	return srv, nil
}

// running reads what the server wrote when it was ready; zeroes if it did not.
func (c *cockroach) running() (pid, port int, err error) {
	b, err := os.ReadFile(c.pidFile())
	if errors.Is(err, fs.ErrNotExist) {
		return 0, 0, nil
	}
	if err != nil {
		return 0, 0, fmt.Errorf("look for a running server: %w", err)
	}
	if pid, err = strconv.Atoi(strings.TrimSpace(string(b))); err != nil {
		return 0, 0, nil // half written: the server never became ready
	}
	b, err = os.ReadFile(c.urlFile())
	if errors.Is(err, fs.ErrNotExist) {
		return pid, 0, nil
	}
	if err != nil {
		return 0, 0, fmt.Errorf("look for a running server: %w", err)
	}
	u, err := url.Parse(strings.TrimSpace(string(b)))
	if err != nil {
		return pid, 0, nil
	}
	port, err = strconv.Atoi(u.Port())
	if err != nil {
		return pid, 0, nil
	}
	return pid, port, nil
}

// arguments are those of `cockroach start-single-node`.
func (c *cockroach) arguments(port int) []string {
	return []string{
		"start-single-node", "--insecure",
		fmt.Sprintf("--listen-addr=127.0.0.1:%d", port),
		"--http-addr=127.0.0.1:0",
		"--store=path=" + filepath.Join(c.dir, "data"),
		"--external-io-dir=disabled",
		"--cache=128MiB", "--max-sql-memory=128MiB",
		"--pid-file=" + c.pidFile(),
		"--listening-url-file=" + c.urlFile(),
	}
}

// run starts a server of its own. CockroachDB finds a free port by itself and
// writes it into its URL file.
func (c *cockroach) run(ctx context.Context) (server, error) {
	for _, stale := range []string{c.pidFile(), c.urlFile()} {
		if err := os.Remove(stale); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return server{}, fmt.Errorf("remove a stale file: %w", err)
		}
	}
	srv := c.server(c.cfg.Port)
	log, err := openLog(srv.logFile)
	if err != nil {
		return server{}, err
	}
	defer log.Close()
	from, err := log.Seek(0, 2)
	if err != nil {
		return server{}, fmt.Errorf("server log: %w", err)
	}
	cmd := exec.Command(c.binary, c.arguments(c.cfg.Port)...)
	cmd.Dir = c.dir
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + c.dir, "USER=meridian", "TZ=UTC", "COCKROACH_SKIP_ENABLING_DIAGNOSTIC_REPORTING=true"}
	cmd.Stdout, cmd.Stderr = log, log
	if srv.proc, err = launch(cmd, syscall.SIGTERM); err != nil {
		return server{}, err
	}
	srv.pid = srv.proc.pid
	if srv.port, err = c.awaitPort(ctx, srv.proc); err == nil {
		srv.url = cockroachURL(srv.port, database)
		err = srv.ready(ctx, cockroachURL(srv.port, "defaultdb"))
	}
	if err != nil {
		err = errors.Join(err, killAll(srv.pid, srv.marker))
		<-srv.proc.done
		return server{}, fmt.Errorf("%w; %s says: %s", err, srv.logFile, tail(readFrom(srv.logFile, from)))
	}
	return srv, nil
}

func (c *cockroach) awaitPort(ctx context.Context, p *process) (int, error) {
	for {
		_, port, err := c.running()
		if err != nil || port != 0 {
			return port, err
		}
		if p.exited() {
			return 0, fmt.Errorf("%w: the server ended: %s", ErrNotReady, p.ending())
		}
		if err := pause(ctx); err != nil {
			return 0, fmt.Errorf("%w: %w", ErrNotReady, err)
		}
	}
}

func (c *cockroach) server(port int) server {
	return server{
		kind: Cockroach, port: port, marker: c.marker,
		url:     cockroachURL(port, database),
		logFile: filepath.Join(c.dir, "server.log"),
		stop:    syscall.SIGTERM, atOnce: syscall.SIGKILL,
	}
}

func cockroachURL(port int, db string) string { return postgresURL("root", "", port, db) }
