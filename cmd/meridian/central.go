package main

import (
	"context"
	"errors"
	"fmt"
	"os"

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
			"on SIGTERM or SIGINT within 10 seconds. Any number of them may share one database.",
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

func printDefaults(cmd *cobra.Command, s interface{ Describe() ([]byte, error) }) error {
	data, err := s.Describe()
	if err != nil {
		return exitcode.Check("print the defaults: %w", err)
	}
	_, err = cmd.OutOrStdout().Write(data)
	return err
}

func runCentral(ctx context.Context, file string) error {
	cfg, logCfg, err := settings.LoadCentral(file)
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
		if errors.Is(err, store.ErrUnavailable) {
			err = fmt.Errorf("%w: see that the database of store_url runs", err)
		}
		return exitcode.Missing("%w", err)
	}
	defer server.Close()
	select {
	case <-ctx.Done():
		return nil
	case err := <-server.Failed():
		return exitcode.Check("the centre ended: %w", err)
	}
}
