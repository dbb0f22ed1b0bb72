package chaos

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"sync/atomic"
	"syscall"
	"time"
)

// process is a program on a machine.
type process struct {
	name, log string
	cmd       *exec.Cmd
	done      chan struct{}
	err       error       // how it ended; read after done
	expected  atomic.Bool // it was killed or asked to end
}

// start runs a command line on a machine. It dies with this process.
func start(m machine, name, log string, env []string, args ...string) (*process, error) {
	out, err := os.OpenFile(log, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return nil, err
	}
	cmd := exec.Command("nsenter", append([]string{"--net=/run/netns/" + m.name}, args...)...)
	for _, v := range os.Environ() {
		if !strings.HasPrefix(v, "CHAOS_") {
			cmd.Env = append(cmd.Env, v)
		}
	}
	cmd.Env = append(cmd.Env, env...)
	cmd.Stdout, cmd.Stderr = out, out
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	p := &process{name: name, log: log, cmd: cmd, done: make(chan struct{})}
	started := make(chan error)
	go func() {
		runtime.LockOSThread() // the death signal belongs to the thread that forked
		defer runtime.UnlockOSThread()
		err := cmd.Start()
		started <- err
		if err != nil {
			return
		}
		p.err = cmd.Wait()
		close(p.done)
	}()
	err = <-started
	return p, errors.Join(err, out.Close())
}

func (p *process) ended() bool {
	select {
	case <-p.done:
		return true
	default:
		return false
	}
}

// crashed tells of a process that ended though nobody wanted it to.
func (p *process) crashed() error {
	if p == nil || !p.ended() || p.expected.Load() {
		return nil
	}
	return fmt.Errorf("%s ended by itself (%v):\n%s", p.name, p.err, tail(p.log, 30))
}

func (p *process) signal(s syscall.Signal) error {
	if p.ended() {
		return nil
	}
	if err := p.cmd.Process.Signal(s); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("send %s to %s: %w", s, p.name, err)
	}
	return nil
}

// kill ends the process at once and waits until it is gone.
func (p *process) kill() error {
	p.expected.Store(true)
	err := p.signal(syscall.SIGKILL)
	<-p.done
	return err
}

// stop asks the process to end.
func (p *process) stop(within time.Duration) error {
	p.expected.Store(true)
	if err := p.signal(syscall.SIGTERM); err != nil {
		return err
	}
	select {
	case <-p.done:
		return nil
	case <-time.After(within):
		return errors.Join(fmt.Errorf("%s did not end within %s after SIGTERM", p.name, within), p.kill())
	}
}

// tail returns the last lines of a file.
func tail(path string, lines int) string {
	data, err := os.ReadFile(path)
	if err != nil {
		return err.Error()
	}
	all := strings.Split(strings.TrimSpace(string(data)), "\n")
	return strings.Join(all[max(0, len(all)-lines):], "\n")
}
