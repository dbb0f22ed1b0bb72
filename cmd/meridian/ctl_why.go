package main

import (
	"fmt"
	"net/url"

	"github.com/spf13/cobra"
)

func (c *ctl) why() *cobra.Command {
	var lang string
	cmd := &cobra.Command{
		Use: "why ENTRY", Short: "Say why an entry of the books is what it is", Args: cobra.ExactArgs(1),
		Long: "ENTRY is the source of a statement's line (entry/north/1/17, payment/ID, claim/ID/0, correction/north/1/17/2), or an\n" +
			"entry's place (north/1/17). The answer has rule, tariff version, quantity, price, discounts, rounding and who paid, and\n" +
			"says whether the amount was computed again and came to the same; where it was not, why not.",
		Example: "  meridian ctl why entry/north/1/17 --lang ru --token-file .demo/keys/admin.token",
	}
	cmd.Flags().StringVar(&lang, "lang", "en", "`language` of the sentences: en, ru or ar")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		client, err := c.client()
		if err != nil {
			return err
		}
		answer, err := client.Raw(cmd.Context(), fmt.Sprintf("/v1/entries/%s/why?lang=%s", url.PathEscape(args[0]), url.QueryEscape(lang)))
		return c.print(cmd, answer, err)
	}
	return cmd
}
