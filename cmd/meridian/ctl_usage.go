package main

import (
	"bufio"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"net/url"

	"github.com/spf13/cobra"

	"meridian/central/usage"
	"meridian/cmd/meridian/exitcode"
)

func (c *ctl) usage() *cobra.Command {
	return group("usage", "Recorded usage", c.usageExport())
}

func (c *ctl) usageExport() *cobra.Command {
	var region, from, to string
	cmd := &cobra.Command{
		Use: "export", Short: "Write a region's usage as a file that rate and simulate read", Args: cobra.NoArgs,
		Long: "Writes CSV with the columns of deploy/catalog/README.md to standard output, a line for each usage record, or for\n" +
			"each report where the price hangs on them, as the centre has them. A session that began before --from is rated as if\n" +
			"it had begun with the first line: export from before its beginning where tiers and steps matter.",
		Example: "  meridian ctl usage export --region north --from 2026-11-01T00:00:00Z --to 2026-12-01T00:00:00Z > november.csv\n" +
			"  meridian catalog simulate --tariff draft.yaml --usage november.csv",
	}
	f := cmd.Flags()
	f.StringVar(&region, "region", "", "the region's `name`")
	f.StringVar(&from, "from", "", "records from this `instant` of region time on, RFC 3339 (default: the first)")
	f.StringVar(&to, "to", "", "records before this `instant` (default: the last)")
	mustMark(cmd, "region")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		client, err := c.client()
		if err != nil {
			return err
		}
		buffered := bufio.NewWriter(cmd.OutOrStdout())
		out := csv.NewWriter(buffered)
		if err := out.Write([]string{"subscription", "offering", "usage", "session", "start", "end", "quantity", "zone", "charged"}); err != nil {
			return exitcode.Check("write: %w", err)
		}
		skipped := 0
		for after, more := "", true; more; {
			q := url.Values{"region": {region}, "from": {from}, "to": {to}, "after": {after}}
			answer, err := client.Raw(cmd.Context(), "/v1/usage?"+q.Encode())
			if err != nil {
				return c.print(cmd, answer, err)
			}
			var page struct {
				Usage   []usage.Event `json:"usage"`
				Skipped int           `json:"skipped"`
				Next    string        `json:"next"`
			}
			if err := json.Unmarshal([]byte(answer), &page); err != nil {
				return exitcode.Check("the answer is no usage: %w", err)
			}
			for _, e := range page.Usage {
				if err := out.Write([]string{e.Subscription, e.Offering, e.Usage, e.Session, e.Start, e.End, e.Quantity, e.Zone, e.Charged}); err != nil {
					return exitcode.Check("write: %w", err)
				}
			}
			skipped += page.Skipped
			after, more = page.Next, page.Next != ""
		}
		out.Flush()
		if err := out.Error(); err != nil {
			return exitcode.Check("write: %w", err)
		}
		if skipped > 0 {
			fmt.Fprintf(cmd.ErrOrStderr(), "%d records were left out: the catalog lacks the version that rated them\n", skipped)
		}
		return buffered.Flush()
	}
	return cmd
}
