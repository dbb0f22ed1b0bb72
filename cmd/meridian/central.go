package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"time"

	"github.com/spf13/cobra"

	"meridian/central"
	"meridian/central/store"
	"meridian/cmd/meridian/exitcode"
	"meridian/cmd/meridian/settings"
	"meridian/ops/logging"
	"meridian/ops/metrics"
)

func centralCommand() *cobra.Command {
	var config string
	var defaults bool
	cmd := &cobra.Command{
		Use: "central --config FILE", Short: "Run a centre server",
		Long: "Runs a centre server: the API, the link that regions connect to, and the books in the database. It ends\n" +
			"on SIGTERM or SIGINT within 10 seconds. Any number of them may share one database.\n\n" +
			"A variable MERIDIAN_CENTRAL_ and the field's name in capitals (MERIDIAN_CENTRAL_HTTP) overrides the file;\n" +
			"one that begins with MERIDIAN_ and is no field is refused. Secrets are read from files of mode 0600 only.",
		Example: "  meridian central --print-defaults > centre.yaml\n  meridian central --config centre.yaml", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if defaults {
				return printDefaults(cmd, settings.DefaultCentral())
			}
			return runCentral(cmd.Context(), config)
		},
	}
	configFlags(cmd, &config, &defaults)
	return cmd
}

func configFlags(cmd *cobra.Command, config *string, defaults *bool) {
	cmd.Flags().StringVar(config, "config", "", "configuration `file` (YAML)")
	cmd.Flags().BoolVar(defaults, "print-defaults", false, "print a configuration with all fields and their defaults")
	cmd.MarkFlagsOneRequired("config", "print-defaults")
	cmd.MarkFlagsMutuallyExclusive("config", "print-defaults")
}

func printDefaults(cmd *cobra.Command, s interface{ Describe() []byte }) error {
	_, err := cmd.OutOrStdout().Write(s.Describe())
	return err
}

func runCentral(ctx context.Context, file string) error {
	cfg, logCfg, err := settings.LoadCentral(file, os.Environ())
	if err != nil {
		return exitcode.Misuse("%w", err)
	}
	if cfg.Logger, err = logging.New(os.Stderr, logCfg); err != nil {
		return exitcode.Misuse("%w", err)
	}
	if cfg.Registry, err = metrics.NewRegistry(); err != nil {
		return exitcode.Check("metrics: %w", err)
	}
	server, err := central.New(cfg)
	if err != nil {
		return exitcode.Misuse("%s: %w", file, err)
	}
	if err := server.Start(ctx); err != nil {
		return notStarted(ctx, cfg.Logger, err)
	}
	select {
	case <-ctx.Done():
	case failed := <-server.Failed():
		err = exitcode.Check("the centre ended: %w", failed)
	}
	// Requests are waited for up to ShutdownTimeout, the rest takes a moment.
	return errors.Join(err, within(cfg.ShutdownTimeout+time.Second, "the centre", func() error {
		server.Close()
		return nil
	}))
}

// notStarted is what the process ends with: nothing is wrong when it was told to stop
// while it started, and everything was taken down again.
func notStarted(ctx context.Context, log *slog.Logger, err error) error {
	if ctx.Err() != nil {
		log.Warn("asked to stop while the centre started: it ends without having served", "error", err)
		return nil
	}
	if errors.Is(err, store.ErrUnavailable) {
		err = fmt.Errorf("%w: see that the database of store_url runs", err)
	}
	return exitcode.Missing("%w", err)
}

// within stops a part and ends the process when that takes longer than the
// budget: what was acknowledged is on disk, and a supervisor that waits kills.
func within(budget time.Duration, what string, stop func() error) error {
	stopped := make(chan error, 1)
	go func() { stopped <- stop() }()
	timer := time.NewTimer(budget)
	defer timer.Stop()
	select {
	case err := <-stopped:
		if err != nil {
			return exitcode.Check("stop %s: %w", what, err)
		}
		return nil
	case <-timer.C:
		return exitcode.Check("%s did not stop within %s: it is left as it is; nothing acknowledged is lost", what, budget)
	}
}
