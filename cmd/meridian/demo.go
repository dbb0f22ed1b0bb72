package main

import (
	"errors"
	"os"

	"github.com/spf13/cobra"

	"meridian/cmd/meridian/demo"
	"meridian/cmd/meridian/exitcode"
	"meridian/cmd/meridian/plant"
	"meridian/ops/logging"
)

func demoCommand() *cobra.Command {
	cfg := demo.DefaultConfig()
	level := "warn"
	cmd := &cobra.Command{
		Use: "demo", Short: "Run the whole system on this machine and tell its story",
		Long: "Starts a store, a centre and a region of edge nodes, each a process of its own, and tells the story: online,\n" +
			"link cut, centre killed, leader killed, drained, verified. Then it leaves the system running until Ctrl-C;\n" +
			"with --once it stops, with exit status 0 only if every check has passed.\n\n" +
			"Addresses, below --network: centre API .0.1:8080, link .0.1:7000 (edges dial a relay at .0.1:7100, which is\n" +
			"how the link is cut), nodes .1.n with RADIUS 1812 and 1813, API 8090, NAS .2.n with Disconnect and CoA 3799.\n" +
			"Shared secret demo-secret; subscribers user000001 … with password pw-user000001 …",
		Example: "  meridian demo\n  meridian demo --once --report report.json\n  meridian demo --dir .demo --subscribers 100000",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg.Version, cfg.Out = version(), cmd.OutOrStdout()
			var err error
			if cfg.Logger, err = logging.New(os.Stderr, logging.Config{Level: level, Format: logging.Text}); err != nil {
				return exitcode.Misuse("%w", err)
			}
			return demo.Run(cmd.Context(), cfg)
		},
	}
	f := cmd.Flags()
	f.StringVar(&cfg.Dir, "dir", "", "`directory` that keeps the data, and from which a later demo goes on (default: a temporary one, removed at the end)")
	f.IntVar(&cfg.Subscribers, "subscribers", cfg.Subscribers, "how many subscribers there are at least")
	f.IntVar(&cfg.Nodes, "nodes", 0, "edge nodes of the region: 1, 3 or 5 (default 3, or as --dir has it)")
	f.StringVar(&cfg.Network, "network", "", "first two `octets` of all addresses (default "+plant.DefaultNetwork+", or as --dir has it)")
	f.BoolVar(&cfg.Once, "once", false, "stop after the story")
	f.BoolVar(&cfg.NoStory, "no-story", false, "set the system up and leave the story out")
	f.IntVar(&cfg.PhaseSeconds, "phase-seconds", cfg.PhaseSeconds, "how long each phase of the story lasts at least")
	f.IntVar(&cfg.Sessions, "sessions", cfg.Sessions, "subscribers online at a time")
	f.StringVar(&cfg.Report, "report", "", "`file` for the figures (JSON)")
	f.StringVar(&cfg.Witness, "witness", "", "`file` for what was acknowledged to the NAS (default: witness.jsonl in the directory)")
	f.StringVar(&cfg.StoreURL, "store-url", "", "`URL` of a database to use in place of an embedded one")
	f.StringVar(&level, "log-level", level, "what the demo itself logs: debug, info, warn or error")
	return cmd
}

// loadState reads a demo's directory for commands that work on one.
func loadState(dir string) (plant.State, error) {
	s, err := plant.LoadState(dir)
	if errors.Is(err, plant.ErrNoPlant) {
		return s, exitcode.Missing("%w", err)
	}
	if err != nil {
		return s, exitcode.Misuse("%w", err)
	}
	return s, nil
}
