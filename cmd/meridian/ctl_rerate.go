package main

import (
	"encoding/json"
	"fmt"

	"github.com/spf13/cobra"

	"meridian/cmd/meridian/exitcode"
)

// rerateAsk is the body of POST /v1/rerate.
type rerateAsk struct {
	Run         string `json:"run,omitempty"`
	Propose     bool   `json:"propose,omitempty"`
	After       string `json:"after,omitempty"`
	Offering    string `json:"offering,omitempty"`
	Version     uint32 `json:"version,omitempty"`
	Corrected   uint32 `json:"corrected,omitempty"`
	Account     string `json:"account,omitempty"`
	From        string `json:"from,omitempty"`
	To          string `json:"to,omitempty"`
	Undercharge string `json:"undercharge,omitempty"`
	Late        bool   `json:"late,omitempty"`
	Reason      string `json:"reason,omitempty"`
}

func (c *ctl) rerate() *cobra.Command {
	var ask rerateAsk
	var dry bool
	var key string
	cmd := &cobra.Command{
		Use: "rerate", Short: "Price usage again by a corrected version, or usage that came late", Args: cobra.NoArgs,
		Long: "First publish the version with the right prices. --dry-run says what a correction would come to; --propose asks\n" +
			"for it; when another admin has approved the proposal, --run with its id does it, account by account. What was\n" +
			"charged too much is given back to the buckets that had paid; what was charged too little is owed or waived. A record\n" +
			"is corrected once by each version: a run that was cut off is given again.",
		Example: "  meridian ctl rerate --dry-run --offering prepaid-volume --version 2 --corrected 3 --to 2026-12-01T00:00:00Z\n" +
			"  meridian ctl rerate --run 6f1c…",
	}
	f := cmd.Flags()
	f.BoolVar(&dry, "dry-run", false, "change nothing")
	f.BoolVar(&ask.Propose, "propose", false, "ask another admin to approve it")
	f.StringVar(&ask.Run, "run", "", "`id` of an approved proposal: do it")
	f.StringVar(&ask.Offering, "offering", "", "whose usage: the offering's `id`")
	f.Uint32Var(&ask.Version, "version", 0, "version that rated it")
	f.Uint32Var(&ask.Corrected, "corrected", 0, "version with the right prices")
	f.StringVar(&ask.Account, "account", "", "only this account's `id` (default: all)")
	f.StringVar(&ask.From, "from", "", "records from this `instant` on (default: the first)")
	f.StringVar(&ask.To, "to", "", "records before this `instant`, RFC 3339")
	f.StringVar(&ask.Undercharge, "undercharge", "waive", "usage charged too little: receivable or waive")
	f.BoolVar(&ask.Late, "late", false, "charge usage that lies in quarantine because it came too late")
	f.StringVar(&ask.Reason, "reason", "", "why, for the person who approves it")
	f.StringVar(&key, "key", "", "idempotency `key` (default: a new one)")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		switch {
		case ask.Run != "" && (dry || ask.Propose || ask.Offering != "" || ask.Account != "" || ask.From != "" || ask.To != ""):
			return exitcode.Misuse("--run does what was approved: give none of the others")
		case ask.Run == "" && dry == ask.Propose:
			return exitcode.Misuse("give --dry-run to see what it comes to, --propose to ask for it, or --run to do it")
		}
		if ask.Run != "" {
			ask.Undercharge, ask.Reason = "", ""
		}
		return c.rerateAll(cmd, ask, newKey(key))
	}
	return cmd
}

// rerateAll asks page by page and prints each answer.
func (c *ctl) rerateAll(cmd *cobra.Command, ask rerateAsk, key string) error {
	client, err := c.client()
	if err != nil {
		return err
	}
	for page := 1; ; page++ {
		answer, err := client.Send(cmd.Context(), "/v1/rerate", fmt.Sprintf("%s-%d", key, page), ask)
		if err := c.print(cmd, answer, err); err != nil {
			return err
		}
		var got struct {
			NextAfter string `json:"next_after"`
		}
		if err := json.Unmarshal([]byte(answer), &got); err != nil {
			return exitcode.Check("the answer is not a report: %w", err)
		}
		if got.NextAfter == "" {
			return nil
		}
		ask.After = got.NextAfter
	}
}
