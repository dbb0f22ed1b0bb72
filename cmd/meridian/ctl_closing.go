package main

import "github.com/spf13/cobra"

// aboutRegion is what a request about a region says.
type aboutRegion struct {
	Region string `json:"region"`
	Reason string `json:"reason"`
	After  string `json:"after,omitempty"`
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
		Use: "release-suspense", Short: "Give back what a closed region had, as a named loss", Args: cobra.NoArgs,
		Long: "The first call proposes it, and another admin approves it. After that each call gives back what the region had of up to 500\n" +
			"buckets: go on with --after as the answer says, while it says more. Repeated, it gives nothing twice.",
		Example: "  meridian ctl region release-suspense --region north --reason 'no disk of it was found'",
	}
	b.flags(cmd)
	cmd.Flags().StringVar(&b.After, "after", "", "go on after this `bucket`")
	c.write(cmd, "/v1/regions/release-suspense", func() any { return b })
	mustMark(cmd, "region")
	mustMark(cmd, "reason")
	return cmd
}
