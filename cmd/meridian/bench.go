package main

import (
	"os"
	"strings"

	"github.com/spf13/cobra"

	"meridian/cmd/meridian/bench"
	"meridian/cmd/meridian/exitcode"
	"meridian/ops/logging"
)

func benchCommand() *cobra.Command {
	cfg := bench.DefaultConfig()
	cmd := &cobra.Command{
		Use: "bench NAME", Short: "Measure the product on this machine: " + strings.Join(bench.Names(), ", "),
		Long: "Starts what is measured as processes of its own (rate needs none), and prints each figure as the median of several runs, with\n" +
			"the least and the greatest. NAME is one of " + strings.Join(bench.Names(), ", ") + ".",
		Example: "  meridian bench radius --json\n  meridian bench centre",
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 1 {
				return exitcode.Misuse("%d names were given: give one of %s", len(args), strings.Join(bench.Names(), ", "))
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			cfg.Name, cfg.Out = args[0], cmd.OutOrStdout()
			var err error
			if cfg.Logger, err = logging.New(os.Stderr, logging.Config{Level: "warn", Format: logging.Text}); err != nil {
				return exitcode.Misuse("%w", err)
			}
			return bench.Run(cmd.Context(), cfg)
		},
	}
	f := cmd.Flags()
	f.BoolVar(&cfg.JSON, "json", false, "print one JSON object a line")
	f.BoolVar(&cfg.Benchstat, "benchstat", false, "print a line for each run, as go test -bench does")
	f.IntVar(&cfg.Runs, "runs", cfg.Runs, "runs of each figure, at least 3")
	f.IntVar(&cfg.RunSeconds, "run-seconds", cfg.RunSeconds, "how long one run takes")
	f.IntVar(&cfg.Subscribers, "subscribers", cfg.Subscribers, "size of the region whose memory, snapshot and restart are measured (region), or that is new (seed)")
	f.IntVar(&cfg.Backlog, "backlog", cfg.Backlog, "entries that wait when the centre is back (drain)")
	f.IntVar(&cfg.Failovers, "failovers", cfg.Failovers, "how often the leader is killed, at least once (region)")
	f.StringVar(&cfg.Network, "network", cfg.Network, "first two `octets` of all addresses")
	cmd.MarkFlagsMutuallyExclusive("json", "benchstat")
	return cmd
}

// benchMemberCommand is what a bench starts as the processes that it measures.
func benchMemberCommand() *cobra.Command {
	return &cobra.Command{
		Use: bench.MemberCommand, Short: "Be a member of a region that is measured", Example: "  meridian " + bench.MemberCommand,
		Hidden: true, Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			logger, err := logging.New(os.Stderr, logging.Config{Level: "warn", Format: logging.Text})
			if err != nil {
				return exitcode.Misuse("%w", err)
			}
			if err := bench.RunMember(cmd.Context(), cmd.InOrStdin(), cmd.OutOrStdout(), logger); err != nil {
				return exitcode.Missing("%w", err)
			}
			return nil
		},
	}
}
