package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"syscall"
	"time"
)

// Exit statuses, as those of all of Meridian's programs.
const (
	exitOK     = 0
	exitFailed = 1
	exitUsage  = 2
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	os.Exit(run(ctx, os.Args[1:], os.Stdout, os.Stderr, os.Getenv("CI") == "true"))
}

func run(ctx context.Context, args []string, stdout, stderr io.Writer, strict bool) int {
	own, groups := split(args)
	flags := flag.NewFlagSet("testrun", flag.ContinueOnError)
	flags.SetOutput(stderr)
	slowest := flags.Int("slowest", 20, "how many of the slowest tests to list")
	requiredFile := flags.String("required", "", "file with a 'package Test' a line: tests that must have passed")
	if err := flags.Parse(own); err != nil {
		return exitUsage
	}
	if len(groups) == 0 || flags.NArg() > 0 {
		fmt.Fprintln(stderr, "testrun: name the packages after --, as in: testrun -- -race ./...")
		return exitUsage
	}
	required, err := readRequired(*requiredFile)
	if err != nil {
		fmt.Fprintln(stderr, "testrun:", err)
		return exitUsage
	}

	rep := newReport(stdout)
	failed := false
	for _, group := range groups {
		if err := goTest(ctx, group, rep, stderr); err != nil {
			failed = true
			fmt.Fprintf(stderr, "testrun: go test: %v\n", err)
		}
		if ctx.Err() != nil {
			break
		}
	}
	clean := rep.summary(*slowest, required)
	if strict && !clean {
		failed = true
		fmt.Fprintln(stdout, "\nCI=true: a test that was skipped or did not run fails the run")
	}
	rep.packageLines()
	if failed || rep.failed() {
		fmt.Fprintln(stdout, "FAIL")
		return exitFailed
	}
	return exitOK
}

// split separates the program's own arguments from the groups, each of which
// begins with `--`. A group without an argument is dropped: `go test` alone
// would test the current directory.
func split(args []string) (own []string, groups [][]string) {
	current := -1
	for _, arg := range args {
		switch {
		case arg == "--":
			groups = append(groups, nil)
			current++
		case current < 0:
			own = append(own, arg)
		default:
			groups[current] = append(groups[current], arg)
		}
	}
	kept := groups[:0]
	for _, group := range groups {
		if namesPackage(group) {
			kept = append(kept, group)
		}
	}
	return own, kept
}

// namesPackage tells whether a group has more than flags. A flag's value in an
// argument of its own looks like a package; those are durations and numbers
// here, which no package's name begins with.
func namesPackage(group []string) bool {
	for _, arg := range group {
		if !strings.HasPrefix(arg, "-") && (arg[0] < '0' || arg[0] > '9') {
			return true
		}
	}
	return false
}

// goTest runs one group. An error says that the run failed as a whole; failed
// tests are in the report too.
func goTest(ctx context.Context, args []string, rep *report, stderr io.Writer) error {
	cmd := exec.CommandContext(ctx, "go", append([]string{"test", "-json"}, args...)...)
	// go test passes an interrupt on to the tests and reports what ran.
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = 10 * time.Second
	cmd.Stderr = stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		return fmt.Errorf("read its output: %w", err)
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	readErr := rep.read(out)
	return errors.Join(readErr, cmd.Wait())
}
