package embedded

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"syscall"
	"time"
)

// pollInterval is how often a condition outside this process is looked at.
const pollInterval = 20 * time.Millisecond

// process is a child that this process started and will reap.
type process struct {
	pid  int
	done chan struct{} // closed after the child was reaped
	err  error         // how it ended; read only after done
}

// launch starts cmd so that it is sent deathSignal when this process dies.
//
// The kernel ties that signal to the thread that forked, not to the process,
// and Go ends threads as it pleases. So one goroutine keeps its thread locked
// from the fork until the child has ended.
func launch(cmd *exec.Cmd, deathSignal syscall.Signal) (*process, error) {
	if cmd.SysProcAttr == nil {
		cmd.SysProcAttr = &syscall.SysProcAttr{}
	}
	cmd.SysProcAttr.Pdeathsig = deathSignal
	// A group of its own: Ctrl-C in the terminal is for the owner, which stops
	// its clients before the store.
	cmd.SysProcAttr.Setpgid = true

	p := &process{done: make(chan struct{})}
	started := make(chan error)
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := cmd.Start()
		if err == nil {
			p.pid = cmd.Process.Pid
		}
		started <- err
		if err != nil {
			return
		}
		p.err = cmd.Wait()
		close(p.done)
	}()
	if err := <-started; err != nil {
		return nil, fmt.Errorf("start %s: %w", cmd.Path, err)
	}
	return p, nil
}

// ending says how a child that has ended did so.
func (p *process) ending() string {
	if p.err != nil {
		return p.err.Error()
	}
	return "exit status 0"
}

func (p *process) exited() bool {
	select {
	case <-p.done:
		return true
	default:
		return false
	}
}

// alive tells whether a process exists and is more than a zombie.
func alive(pid int) bool {
	stat, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "stat"))
	if err != nil {
		return false
	}
	// The state follows the command's name, which stands in parentheses and may
	// hold any character.
	end := bytes.LastIndexByte(stat, ')')
	if end < 0 || end+2 >= len(stat) {
		return false
	}
	state := stat[end+2]
	return state != 'Z' && state != 'X'
}

// processesWith lists the live processes whose command line contains marker.
// Command lines can be read by everyone, other than a process's directory or
// executable, for which root in a container may lack the capability.
func processesWith(marker string) []int {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil
	}
	var pids []int
	for _, entry := range entries {
		pid, err := strconv.Atoi(entry.Name())
		if err != nil {
			continue
		}
		line, err := os.ReadFile(filepath.Join("/proc", entry.Name(), "cmdline"))
		if err != nil {
			continue // it ended meanwhile
		}
		if bytes.Contains(line, []byte(marker)) && alive(pid) {
			pids = append(pids, pid)
		}
	}
	return pids
}

// killAll ends a server and all its children without giving them a chance to
// notice, as a loss of power would. The parent is stopped first so that it
// cannot fork or react while its children die.
func killAll(parent int, marker string) error {
	var faults []error
	send := func(pid int, sig syscall.Signal) {
		if err := syscall.Kill(pid, sig); err != nil && !errors.Is(err, syscall.ESRCH) {
			faults = append(faults, fmt.Errorf("send %s to process %d: %w", sig, pid, err))
		}
	}
	send(parent, syscall.SIGSTOP)
	pids := processesWith(marker)
	if !slices.Contains(pids, parent) {
		pids = append(pids, parent)
	}
	for _, pid := range pids {
		send(pid, syscall.SIGKILL)
	}
	return errors.Join(faults...)
}

// waitGone waits until no process with marker is left.
func waitGone(ctx context.Context, marker string) error {
	for {
		pids := processesWith(marker)
		if len(pids) == 0 {
			return nil
		}
		if err := pause(ctx); err != nil {
			return fmt.Errorf("processes %v of the store are still running: %w", pids, err)
		}
	}
}

func pause(ctx context.Context) error {
	timer := time.NewTimer(pollInterval)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}
