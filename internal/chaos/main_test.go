package chaos

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

var (
	seedFlag = flag.Uint64("seed", 1, "chooses the faults; 0: one at random")
	minutes  = flag.Float64("minutes", 0, "how long faults are injected; 0: the short version")
	keep     = flag.Bool("keep", false, "keep the directory of a run that passed")
)

// The stages of this program: go test starts the first, which starts the second in
// new namespaces, which starts the third; the store is the third's child.
const (
	stageVar   = "CHAOS_STAGE"
	binaryVar  = "CHAOS_BINARY"
	stageInit  = "init"
	stageTests = "tests"
	stageStore = "store"
)

func TestMain(m *testing.M) {
	flag.Parse()
	switch os.Getenv(stageVar) {
	case stageInit:
		os.Exit(reap())
	case stageTests:
		os.Exit(m.Run())
	case stageStore:
		os.Exit(runStore())
	}
	os.Exit(enter())
}

// enter builds the binaries and goes on in new namespaces. Where that cannot be, no
// test runs; testrun reports the required ones.
func enter() int {
	runtime.LockOSThread() // the child's death signal belongs to this thread
	if os.Geteuid() != 0 {
		fmt.Fprintln(os.Stderr, "chaos: not run: network namespaces and mounts need root; run it as root")
		return 0
	}
	dir, err := os.MkdirTemp("", "meridian-chaos-bin-")
	if err != nil {
		fmt.Fprintln(os.Stderr, "chaos:", err)
		return 1
	}
	defer os.RemoveAll(dir)
	for name, tags := range map[string]string{"meridian": "", "meridian-chaos": "chaos"} {
		cmd := exec.Command("go", "build", "-buildvcs=false", "-tags", tags, "-o", filepath.Join(dir, name), "meridian/cmd/meridian")
		if out, err := cmd.CombinedOutput(); err != nil {
			fmt.Fprintf(os.Stderr, "chaos: build %s: %v\n%s", name, err, out)
			return 1
		}
	}
	cmd := again(stageInit, binaryVar+"="+dir)
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: unix.CLONE_NEWNS | unix.CLONE_NEWNET | unix.CLONE_NEWPID, Pdeathsig: syscall.SIGKILL}
	err = cmd.Start()
	if errors.Is(err, syscall.EPERM) {
		fmt.Fprintln(os.Stderr, "chaos: not run: this machine gives no new namespaces, even to root; run it where they can be had")
		return 0
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "chaos: new namespaces:", err)
		return 1
	}
	signals := make(chan os.Signal, 4)
	signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM, syscall.SIGQUIT)
	go func() {
		<-signals
		_ = cmd.Process.Kill() // it takes all others with it
	}()
	return status(cmd.Wait())
}

// again is this program once more, at another stage.
func again(stage string, env ...string) *exec.Cmd {
	cmd := exec.Command("/proc/self/exe", os.Args[1:]...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	for _, v := range os.Environ() {
		if !strings.HasPrefix(v, stageVar+"=") {
			cmd.Env = append(cmd.Env, v)
		}
	}
	cmd.Env = append(append(cmd.Env, stageVar+"="+stage), env...)
	return cmd
}

func status(err error) int {
	var exit *exec.ExitError
	switch {
	case err == nil:
		return 0
	case errors.As(err, &exit) && exit.ExitCode() >= 0:
		return exit.ExitCode()
	}
	fmt.Fprintln(os.Stderr, "chaos:", err)
	return 1
}

// reap is the namespace's first process: it waits for every child that lost its
// parent, and ends with the tests.
func reap() int {
	err := errors.Join(
		unix.Mount("none", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""),
		unix.Mount("proc", "/proc", "proc", unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC, ""),
		os.MkdirAll("/run/netns", 0o755),
		unix.Mount("chaos", "/run/netns", "tmpfs", 0, "size=1m"),
	)
	if err != nil {
		fmt.Fprintln(os.Stderr, "chaos: mounts:", err)
		return 1
	}
	cmd := again(stageTests)
	if err := cmd.Start(); err != nil {
		fmt.Fprintln(os.Stderr, "chaos: start the tests:", err)
		return 1
	}
	for {
		var ws syscall.WaitStatus
		pid, err := syscall.Wait4(-1, &ws, 0, nil)
		switch {
		case errors.Is(err, syscall.EINTR):
		case err != nil:
			fmt.Fprintln(os.Stderr, "chaos: wait:", err)
			return 1
		case pid == cmd.Process.Pid && ws.Exited():
			return ws.ExitStatus()
		case pid == cmd.Process.Pid:
			fmt.Fprintln(os.Stderr, "chaos: the tests ended by", ws.Signal())
			return 1
		}
	}
}
