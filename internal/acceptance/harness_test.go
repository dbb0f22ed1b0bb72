package acceptance

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"meridian/internal/verify"
)

// binary is the path of the meridian that TestMain built.
var binary string

func TestMain(m *testing.M) { os.Exit(build(m)) }

func build(m *testing.M) int {
	dir, err := os.MkdirTemp("", "meridian-acceptance-")
	if err != nil {
		fmt.Fprintln(os.Stderr, "acceptance:", err)
		return 1
	}
	defer os.RemoveAll(dir)
	binary = filepath.Join(dir, "meridian")
	cmd := exec.Command("go", "build", "-buildvcs=false", "-o", binary, "meridian/cmd/meridian")
	if out, err := cmd.CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "acceptance: build meridian: %v\n%s", err, out)
		return 1
	}
	return m.Run()
}

// network is the first half of a test's addresses; n keeps tests apart, the
// process's number keeps runs apart.
func network(n int) string { return fmt.Sprintf("127.%d", 20+(os.Getpid()*8+n)%220) }

// process is a running meridian and what it prints.
type process struct {
	cmd  *exec.Cmd
	done chan struct{}
	err  error

	mu    sync.Mutex
	lines []string
	more  chan struct{} // closed at the next line
}

// start runs meridian; it is killed at the test's end if it still runs.
func start(t *testing.T, args ...string) *process {
	t.Helper()
	p := &process{cmd: exec.Command(binary, args...), done: make(chan struct{}), more: make(chan struct{})}
	out, w := io.Pipe()
	p.cmd.Stdout, p.cmd.Stderr = w, w
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := p.cmd.Start(); err != nil {
		t.Fatalf("start meridian %v: %v", args, err)
	}
	var read sync.WaitGroup
	read.Go(func() {
		for s := bufio.NewScanner(out); s.Scan(); {
			p.mu.Lock()
			p.lines = append(p.lines, s.Text())
			close(p.more)
			p.more = make(chan struct{})
			p.mu.Unlock()
		}
	})
	go func() {
		p.err = p.cmd.Wait()
		w.Close()
		read.Wait()
		close(p.done)
	}()
	t.Cleanup(func() {
		p.signal(syscall.SIGKILL)
		<-p.done
		if t.Failed() {
			t.Logf("meridian %s printed:\n%s", strings.Join(args, " "), p.output())
		}
	})
	return p
}

func (p *process) output() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return strings.Join(p.lines, "\n")
}

func (p *process) signal(s syscall.Signal) {
	select {
	case <-p.done:
	default:
		_ = p.cmd.Process.Signal(s) // it may have ended just now
	}
}

// prints waits until a line contains text.
func (p *process) prints(t *testing.T, text string, within time.Duration) {
	t.Helper()
	deadline := time.After(within)
	for {
		p.mu.Lock()
		more, found := p.more, strings.Contains(strings.Join(p.lines, "\n"), text)
		p.mu.Unlock()
		if found {
			return
		}
		select {
		case <-more:
		case <-p.done:
			if !strings.Contains(p.output(), text) {
				t.Fatalf("meridian ended (%v) before it printed %q", p.err, text)
			}
		case <-deadline:
			t.Fatalf("meridian did not print %q within %s", text, within)
		}
	}
}

// wait returns the exit status.
func (p *process) wait(t *testing.T, within time.Duration) int {
	t.Helper()
	select {
	case <-p.done:
	case <-time.After(within):
		t.Fatalf("meridian %v did not end within %s", p.cmd.Args[1:], within)
	}
	return p.cmd.ProcessState.ExitCode()
}

// stop asks the process to end and wants status 0.
func (p *process) stop(t *testing.T, within time.Duration) {
	t.Helper()
	p.signal(syscall.SIGTERM)
	if code := p.wait(t, within); code != 0 {
		t.Fatalf("meridian %v ended with status %d after SIGTERM", p.cmd.Args[1:], code)
	}
}

// findings runs meridian verify and returns what it found, by id.
func findings(t *testing.T, wantStatus int, args ...string) map[string]verify.Finding {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), binary, append([]string{"verify", "--json"}, args...)...)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	if code := cmd.ProcessState.ExitCode(); code != wantStatus {
		t.Fatalf("verify ended with status %d, want %d\n%s%s", code, wantStatus, &out, &errs)
	}
	var list []verify.Finding
	if err := json.Unmarshal(out.Bytes(), &list); err != nil {
		t.Fatalf("verify printed no findings: %v\n%s%s", err, &out, &errs)
	}
	byID := map[string]verify.Finding{}
	for _, f := range list {
		byID[f.ID] = f
	}
	return byID
}

// eventually tries until try returns nil.
func eventually(t *testing.T, within time.Duration, try func() error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), within)
	defer cancel()
	tick := time.NewTicker(30 * time.Millisecond)
	defer tick.Stop()
	for {
		err := try()
		if err == nil {
			return
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatalf("not within %s: %v", within, err)
		}
	}
}

// ask sends a request and decodes the answer's JSON into out; it returns the
// status.
func ask(t *testing.T, method, url, token, body string, out any) (int, error) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	req.Header.Set("Idempotency-Key", "acceptance-"+t.Name())
	resp, err := (&http.Client{Timeout: 10 * time.Second}).Do(req)
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	if err != nil {
		return resp.StatusCode, err
	}
	if out != nil && resp.StatusCode < 300 {
		if err := json.Unmarshal(data, out); err != nil {
			return resp.StatusCode, fmt.Errorf("%s: %w: %s", url, err, data)
		}
	}
	return resp.StatusCode, nil
}

// readFile reads a file's text without the white space around it.
func readFile(t *testing.T, path ...string) string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(path...))
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(data))
}
