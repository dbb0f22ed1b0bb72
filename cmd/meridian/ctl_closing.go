package main

import "github.com/spf13/cobra"

// aboutRegion is what a request about a region says.
type aboutRegion struct {
	Region string `json:"region"`
	Reason string `json:"reason"`
	After  string `json:"after,omitempty"`
	Epoch  uint64 `json:"epoch,omitempty"`
	Heir   string `json:"heir,omitempty"`
}

func (b *aboutRegion) flags(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringVar(&b.Region, "region", "", "the region's `name`")
	f.StringVar(&b.Reason, "reason", "", "what happened and what was decided")
}

func (c *ctl) closeRegion() *cobra.Command {
	var b aboutRegion
	cmd := &cobra.Command{
		Use: "close", Short: "Propose the end of a region that is lost for good", Args: cobra.NoArgs,
		Long: "Another admin approves it (meridian ctl proposals). Then nothing is taken of the region any more, its epoch ends with the\n" +
			"last entry accepted, and what its leases had goes to suspense: nobody can know what it still spent.",
		Example: "  meridian ctl region close --region north --reason 'the site burnt down, no disk was saved'",
	}
	b.flags(cmd)
	c.write(cmd, "/v1/regions/close", func() any { return b })
	mustMark(cmd, "region")
	mustMark(cmd, "reason")
	return cmd
}

func (c *ctl) releaseSuspense() *cobra.Command {
	var b aboutRegion
	cmd := &cobra.Command{
		Use: "release-suspense", Short: "Give back what an ended epoch had, as a named loss", Args: cobra.NoArgs,
		Long: "The first call proposes it, and another admin approves it. After that each call gives back what the region had of up to 500\n" +
			"buckets: go on with --after as the answer says, while it says more. Repeated, it gives nothing twice.",
		Example: "  meridian ctl region release-suspense --region north --reason 'no disk of it was found'",
	}
	b.flags(cmd)
	cmd.Flags().StringVar(&b.After, "after", "", "go on after this `bucket`")
	cmd.Flags().Uint64Var(&b.Epoch, "epoch", 0, "the `epoch` that has ended (default: the newest)")
	c.write(cmd, "/v1/regions/release-suspense", func() any { return b })
	mustMark(cmd, "region")
	mustMark(cmd, "reason")
	return cmd
}

func (c *ctl) newEpoch() *cobra.Command {
	var b aboutRegion
	cmd := &cobra.Command{
		Use: "new-epoch", Short: "Give a region that was restored, or is set up anew, its next epoch", Args: cobra.NoArgs,
		Long: "The first call proposes it, and another admin approves it: then the present epoch ends with the last entry accepted, and what its\n" +
			"leases had goes to suspense (meridian ctl region release-suspense gives it back). After that each call tells the region's feed of\n" +
			"500 subscriptions: repeat it while it says more. Only the ledger that --heir names may take the epoch: the refusal in the status of\n" +
			"the region's leader says where its ledger ends.",
		Example: "  meridian ctl region new-epoch --region north --heir 1/1200/9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08 --reason 'restored from the backup of Monday'\n" +
			"  meridian ctl region new-epoch --region north --heir new --reason 'the site was built again'",
	}
	b.flags(cmd)
	cmd.Flags().StringVar(&b.Heir, "heir", "", "the `ledger` that takes the epoch, EPOCH/SEQ/HASH, or new")
	c.write(cmd, "/v1/regions/new-epoch", func() any { return b })
	mustMark(cmd, "region")
	mustMark(cmd, "reason")
	return cmd
}
