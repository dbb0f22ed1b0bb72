package main

import (
	"context"
	"errors"
	"os"

	"github.com/spf13/cobra"

	"meridian/cmd/meridian/exitcode"
	"meridian/cmd/meridian/settings"
	"meridian/edge"
	"meridian/ops/logging"
	"meridian/ops/metrics"
)

func edgeCommand() *cobra.Command {
	var config string
	var defaults, found, join bool
	cmd := &cobra.Command{
		Use: "edge --config FILE", Short: "Run a node of a region",
		Long: "Runs one node of a region: RADIUS, the replicated state, and the link to the centre while it leads. It\n" +
			"ends on SIGTERM or SIGINT within shutdown_timeout; a leader hands over first, and nothing acknowledged is lost.\n" +
			"Asked to stop while it still opens its data, it ends at once, with status 0: it has taken nothing in yet.\n\n" +
			"A variable MERIDIAN_EDGE_ and the field's name in capitals (MERIDIAN_EDGE_POLICY_CUT_AGE) overrides the file;\n" +
			"one that begins with MERIDIAN_ and is no field is refused. Secrets are read from files of mode 0600 only.\n\n" +
			"Every node is started by the same command line. One without state waits until all its peers are there: if all of\n" +
			"them are as empty and name the same peers, they found the region; if the region runs and does not know the node, it\n" +
			"waits to be added (meridian ctl edge add). A member that lost its disk is refused until it was removed: it would vote\n" +
			"without what it had acknowledged. --found and --join say it beforehand, for who orchestrates nodes by himself.",
		Example: "  meridian edge --print-defaults > north-1.yaml\n  meridian edge --config north-1.yaml", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if defaults {
				return printDefaults(cmd, settings.DefaultEdge())
			}
			start := edge.Resume
			switch {
			case found:
				start = edge.Found
			case join:
				start = edge.Join
			}
			return runEdge(cmd.Context(), config, start)
		},
	}
	configFlags(cmd, &config, &defaults)
	cmd.Flags().BoolVar(&found, "found", false, "found a new region together with all peers, if there is no state yet")
	cmd.Flags().BoolVar(&join, "join", false, "wait to be added by the region's leader, if there is no state yet")
	cmd.MarkFlagsMutuallyExclusive("found", "join")
	return cmd
}

func runEdge(ctx context.Context, file string, start edge.Start) error {
	cfg, logCfg, err := settings.LoadEdge(file, os.Environ())
	if err != nil {
		return exitcode.Misuse("%w", err)
	}
	cfg.Version, cfg.Start = version(), start
	if cfg.Logger, err = logging.New(os.Stderr, logCfg); err != nil {
		return exitcode.Misuse("%w", err)
	}
	if cfg.Registry, err = metrics.NewRegistry(); err != nil {
		return exitcode.Check("metrics: %w", err)
	}
	if err := cfg.Validate(); err != nil {
		return exitcode.Misuse("%s: %w", file, err)
	}
	if err := testControl(&cfg); err != nil {
		return exitcode.Missing("%w", err)
	}
	return serveNode(ctx, cfg, func() (runner, error) {
		settled, err := edge.Settle(ctx, cfg)
		if err != nil {
			return nil, err
		}
		return edge.New(settled)
	})
}

// runner is what serveNode needs of a node.
type runner interface {
	Start(ctx context.Context) error
	Close() error
}

// serveNode opens a node, which takes as long as its state is large, and runs it
// until ctx ends. When that is while the node is being opened, the process ends as
// it is: nothing was taken in, and what is on disk bears a crash at any point.
func serveNode(ctx context.Context, cfg edge.Config, open func() (runner, error)) error {
	type result struct {
		node runner
		err  error
	}
	opened := make(chan result, 1)
	go func() {
		node, err := open()
		opened <- result{node, err}
	}()
	var r result
	select {
	case r = <-opened:
	case <-ctx.Done():
		cfg.Logger.Warn("asked to stop while the node's data was being opened: the node ends without having served")
		return nil
	}
	if r.err != nil {
		return exitcode.Missing("%w", r.err)
	}
	// A signal must not end what Close stops in order, the leadership first.
	if err := r.node.Start(context.WithoutCancel(ctx)); err != nil {
		return exitcode.Missing("%w", errors.Join(err, r.node.Close()))
	}
	<-ctx.Done()
	return within(cfg.ShutdownTimeout, "the node", r.node.Close)
}
