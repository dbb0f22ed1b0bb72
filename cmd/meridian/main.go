// Command meridian is all of Meridian in one binary: the centre, the edge nodes,
// the demo, the checks and the benches.
//
// It owns flags, signals, exit statuses and the wiring of processes. Everything
// else is in the packages that it wires.
package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime/debug"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"meridian/cmd/meridian/exitcode"
	"meridian/internal/zones"
)

func main() { os.Exit(run(os.Args[1:], os.Stdout, os.Stderr)) }

// run executes a command line and returns its exit status. The first SIGTERM or
// SIGINT asks the command to end; a second one ends the process at once.
func run(args []string, stdout, stderr io.Writer) int {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	context.AfterFunc(ctx, stop)
	root := newRoot()
	root.SetArgs(args)
	root.SetOut(stdout)
	root.SetErr(stderr)
	err := root.ExecuteContext(ctx)
	code := exitcode.Of(err)
	if err != nil {
		fmt.Fprintln(stderr, "meridian:", err)
		if code == exitcode.Usage {
			fmt.Fprintln(stderr, "run `meridian --help`, or `meridian COMMAND --help` for an example")
		}
	}
	return code
}

func newRoot() *cobra.Command {
	root := &cobra.Command{
		Use:   "meridian",
		Short: "Convergent billing that goes on when the centre cannot be reached",
		Long: "Meridian is one settlement centre and regional edge clusters that keep authorizing, counting and charging\n" +
			"when the centre cannot be reached. Exit status: 0 done, 1 a check failed, 2 wrong use, 3 something could\n" +
			"not be reached or installed.",
		SilenceUsage: true, SilenceErrors: true,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	root.CompletionOptions.HiddenDefaultCmd = true
	root.AddCommand(centralCommand(), edgeCommand(), demoCommand(), loadCommand(), verifyCommand(), benchCommand(), benchMemberCommand(), ctlCommand(), keysCommand(), catalogCommand(), rateCommand(), versionCommand())
	return root
}

func versionCommand() *cobra.Command {
	return &cobra.Command{
		Use: "version", Short: "Print the version, and the versions of the zone data inside", Example: "  meridian version", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			_, err := fmt.Fprintf(cmd.OutOrStdout(), "%s\nzone data IANA %s\n", version(), strings.Join(zones.Versions(), ", "))
			return err
		},
	}
}

// version is the module's version, or the revision it was built from.
func version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	v := info.Main.Version
	if v == "" || v == "(devel)" {
		v = "devel"
	}
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" && v == "devel" {
			v = "devel-" + s.Value[:min(12, len(s.Value))]
		}
	}
	return v
}
