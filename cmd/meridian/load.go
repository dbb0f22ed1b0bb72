package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"meridian/cmd/meridian/exitcode"
	"meridian/cmd/meridian/traffic"
	"meridian/cmd/meridian/witness"
	"meridian/ops/logging"
)

func loadCommand() *cobra.Command {
	var dir, file string
	var seconds, sessions int
	var seed uint64
	cmd := &cobra.Command{
		Use: "load --dir DIR", Short: "Put subscribers to work on a running demo",
		Long: "Lets simulated NAS log the demo's subscribers in, report their usage and obey Disconnect, until the time is\n" +
			"over or it is interrupted. What was acknowledged is appended to a witness, for `meridian verify --witness`.",
		Example: "  meridian demo --dir .demo\n  meridian load --dir .demo --seconds 30", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) (err error) {
			s, err := loadState(dir)
			if err != nil {
				return err
			}
			c := s.Traffic()
			c.Sessions, c.Seed = sessions, seed
			if c.Logger, err = logging.New(os.Stderr, logging.Config{Level: "warn", Format: logging.Text}); err != nil {
				return exitcode.Misuse("%w", err)
			}
			if file == "" {
				file = filepath.Join(dir, "witness.jsonl")
			}
			if c.Witness, err = witness.Open(file); err != nil {
				return exitcode.Missing("%w", err)
			}
			defer func() { err = errors.Join(err, c.Witness.Close()) }()
			return runLoad(cmd, c, time.Duration(seconds)*time.Second)
		},
	}
	f := cmd.Flags()
	f.StringVar(&dir, "dir", "", "`directory` of the demo")
	f.IntVar(&seconds, "seconds", 10, "how long to go on; 0: until interrupted")
	f.IntVar(&sessions, "sessions", traffic.DefaultConfig().Sessions, "subscribers online at a time")
	f.Uint64Var(&seed, "seed", 1, "chooses who does what")
	f.StringVar(&file, "witness", "", "`file` for what was acknowledged (default: witness.jsonl in the directory)")
	mustMark(cmd, "dir")
	return cmd
}

// mustMark marks a flag as required; that it exists is known when this is written.
func mustMark(cmd *cobra.Command, flag string) {
	if err := cmd.MarkFlagRequired(flag); err != nil {
		panic(err)
	}
}

func runLoad(cmd *cobra.Command, c traffic.Config, lasts time.Duration) error {
	t, err := traffic.New(c)
	if err != nil {
		return exitcode.Misuse("%w", err)
	}
	ctx := cmd.Context()
	if lasts > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, lasts)
		defer cancel()
	}
	began := time.Now()
	// Interrupted traffic still ends its sessions by a Stop, so it has a context of
	// its own.
	if err := t.Start(context.WithoutCancel(ctx)); err != nil {
		return exitcode.Missing("%w", err)
	}
	tick := time.NewTicker(2 * time.Second)
	defer tick.Stop()
	for running := true; running; {
		select {
		case <-tick.C:
			printLoad(cmd, time.Since(began), t.Counters())
		case <-ctx.Done():
			running = false
		}
	}
	if err := t.Stop(); err != nil {
		return exitcode.Check("%w", err)
	}
	printLoad(cmd, time.Since(began), t.Counters())
	return nil
}

func printLoad(cmd *cobra.Command, took time.Duration, c traffic.Counters) {
	fmt.Fprintf(cmd.OutOrStdout(), "%6.1f s  auth %d ok %d rejected %d timed out  acct %d acked %d given up  %d at their limit, %d disconnected, %d fail-overs\n",
		took.Seconds(), c.AuthOK, c.AuthReject, c.AuthTimeouts, c.AcctAcked, c.AcctTimeouts, c.LimitStops, c.Disconnected, c.Failovers)
}
