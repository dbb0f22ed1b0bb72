package plant

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

// Process is a process of this binary that the plant started.
type Process struct {
	Name string
	PID  int

	log    string
	done   chan struct{}
	err    error // how it ended; read only after done
	killed atomic.Bool
	told   atomic.Bool // its end by itself has been reported
}

// launch starts this binary with args. Its output goes to a log file, appended.
// It gets SIGTERM when this process dies, in whatever way.
//
// The kernel ties that signal to the thread that forked. So one goroutine keeps
// its thread from the fork until the child has ended.
func launch(binary, name, logFile string, args ...string) (*Process, error) {
	out, err := os.OpenFile(logFile, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return nil, fmt.Errorf("log of %s: %w", name, err)
	}
	cmd := exec.Command(binary, args...)
	cmd.Stdout, cmd.Stderr = out, out
	// A group of its own: Ctrl-C in the terminal is for the owner, which stops the
	// processes in order.
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGTERM, Setpgid: true}
	p := &Process{Name: name, log: logFile, done: make(chan struct{})}
	started := make(chan error)
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := cmd.Start()
		if err == nil {
			p.PID = cmd.Process.Pid
		}
		started <- err
		if err != nil {
			return
		}
		p.err = cmd.Wait()
		close(p.done)
	}()
	err = <-started
	if err = errors.Join(err, out.Close()); err != nil {
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	return p, nil
}

// Done is closed when the process has ended.
func (p *Process) Done() <-chan struct{} { return p.done }

// Exited tells whether the process has ended.
func (p *Process) Exited() bool {
	select {
	case <-p.done:
		return true
	default:
		return false
	}
}

// failed tells whether the process has ended by itself.
func (p *Process) failed() bool { return p.Exited() && !p.killed.Load() }

// ending says how the process ended, with the last lines of its log.
func (p *Process) ending() error {
	p.told.Store(true)
	how := "exit status 0"
	if p.err != nil {
		how = p.err.Error()
	}
	return fmt.Errorf("%s ended (%s): %s: see %s", p.Name, how, tail(p.log, 3), p.log)
}

// Kill ends the process with SIGKILL and waits until it is gone.
func (p *Process) Kill() error {
	p.killed.Store(true)
	if err := p.signal(syscall.SIGKILL); err != nil {
		return err
	}
	<-p.done
	return nil
}

// Stop asks the process to end, and kills it after patience.
func (p *Process) Stop(patience time.Duration) error {
	if p.killed.Load() || (p.Exited() && p.told.Load()) {
		return nil
	}
	if err := p.signal(syscall.SIGTERM); err != nil {
		return err
	}
	select {
	case <-p.done:
	case <-time.After(patience):
		return errors.Join(fmt.Errorf("%s did not end within %s and was killed: see %s", p.Name, patience, p.log), p.Kill())
	}
	if p.err != nil {
		return p.ending()
	}
	return nil
}

// signal reaches only a process that has not been reaped, so its number cannot
// belong to another one.
func (p *Process) signal(sig syscall.Signal) error {
	if p.Exited() {
		return nil
	}
	if err := syscall.Kill(p.PID, sig); err != nil && !errors.Is(err, syscall.ESRCH) {
		return fmt.Errorf("send %s to %s (process %d): %w", sig, p.Name, p.PID, err)
	}
	return nil
}

// tail returns the last lines of a log on one line.
func tail(path string, lines int) string {
	data, err := os.ReadFile(path)
	if err != nil {
		return "no log"
	}
	all := strings.Split(strings.TrimSpace(string(data)), "\n")
	if len(all) > lines {
		all = all[len(all)-lines:]
	}
	return strings.Join(all, " | ")
}
