package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"meridian/cmd/meridian/apiclient"
	"meridian/cmd/meridian/exitcode"
)

// ctl is what all its subcommands share.
type ctl struct{ url, token, tokenFile string }

func ctlCommand() *cobra.Command {
	c := &ctl{}
	cmd := &cobra.Command{
		Use: "ctl", Short: "Ask and tell the centre and the edge nodes by their API",
		Long: "A thin client of the API: it prints the answer's JSON. A write that is repeated with the same --key has one effect.",
		Example: "  meridian ctl region list --token-file .demo/keys/admin.token\n" +
			"  meridian ctl edge status --url http://127.0.1.1:8090",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	c.flags(cmd.PersistentFlags())
	cmd.MarkFlagsMutuallyExclusive("token", "token-file")
	region := group("region", "Regions", c.show("list", "List the regions", "region list", 0, "/v1/regions"), c.release(), c.closeRegion(), c.releaseSuspense(), c.newEpoch())
	account := group("account", "Accounts",
		c.show("show ID", "Show an account, its buckets, leases and subscriptions", "account show acc000001", 1, "/v1/accounts/%s"),
		c.show("statement ID", "Show an account's statement", "account statement acc000001", 1, "/v1/accounts/%s/statement"))
	node := group("edge", "Edge nodes",
		c.show("status", "Show a node's view of itself and its region", "edge status --url http://127.0.1.1:8090", 0, "/status"),
		c.show("account ID", "Show what the region knows of an account", "edge account acc000001 --url http://127.0.1.1:8090", 1, "/v1/accounts/%s"))
	node.AddCommand(c.memberCommands()...)
	cmd.AddCommand(region, account, node, c.catalog(), c.proposals(), c.rerate(), c.usage(), c.why(), c.deposit(), c.chargeback(), c.order(), c.password())
	return cmd
}

// flags are how the API is reached.
func (c *ctl) flags(f *pflag.FlagSet) {
	f.StringVar(&c.url, "url", "http://127.0.0.1:8080", "`URL` of the centre, or of the node for edge commands; the authority of an https one is the system's or SSL_CERT_FILE's")
	f.StringVar(&c.token, "token", "", "operator's token; --token-file keeps it out of the process list")
	f.StringVar(&c.tokenFile, "token-file", "", "`file` that holds an operator's token")
}

func group(name, short string, commands ...*cobra.Command) *cobra.Command {
	g := &cobra.Command{Use: name, Short: short, Args: cobra.NoArgs, RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() }}
	for _, c := range commands {
		g.Example += c.Example + "\n"
	}
	g.Example = strings.TrimSuffix(g.Example, "\n")
	g.AddCommand(commands...)
	return g
}

func (c *ctl) client() (*apiclient.Client, error) {
	token := c.token
	if c.tokenFile != "" {
		data, err := os.ReadFile(c.tokenFile)
		if err != nil {
			return nil, exitcode.Misuse("read the token: %w", err)
		}
		token = strings.TrimSpace(string(data))
	}
	return apiclient.New(c.url, token), nil
}

// show is a command that asks for a path; its argument fills the path.
func (c *ctl) show(use, short, example string, args int, path string) *cobra.Command {
	return &cobra.Command{
		Use: use, Short: short, Example: "  meridian ctl " + example, Args: cobra.ExactArgs(args),
		RunE: func(cmd *cobra.Command, args []string) error {
			client, err := c.client()
			if err != nil {
				return err
			}
			to := path
			if len(args) == 1 {
				to = fmt.Sprintf(path, url.PathEscape(args[0]))
			}
			answer, err := client.Raw(cmd.Context(), to)
			return c.print(cmd, answer, err)
		},
	}
}

func (c *ctl) deposit() *cobra.Command {
	var d apiclient.Deposit
	cmd := &cobra.Command{
		Use: "deposit", Short: "Credit an account", Args: cobra.NoArgs,
		Example: "  meridian ctl deposit --account acc000001 --amount 5.00 --currency EUR --method desk --key receipt-4711",
	}
	f := cmd.Flags()
	f.StringVar(&d.Account, "account", "", "the account's `id`")
	f.StringVar(&d.Amount, "amount", "", "a `decimal`, e.g. 5.00")
	f.StringVar(&d.Currency, "currency", "EUR", "the account's currency")
	f.StringVar(&d.Method, "method", "desk", "how it was paid: bank, card, desk")
	f.StringVar(&d.Reference, "reference", "", "the payer's reference")
	c.write(cmd, "/v1/deposits", func() any { return d })
	mustMark(cmd, "account")
	mustMark(cmd, "amount")
	return cmd
}

func (c *ctl) chargeback() *cobra.Command {
	var b struct {
		Payment string `json:"payment"`
		Amount  string `json:"amount,omitempty"`
		Reason  string `json:"reason"`
	}
	cmd := &cobra.Command{
		Use: "chargeback", Short: "Book a payment that the bank or card company took back", Args: cobra.NoArgs,
		Long: "The subscriber owes it at once. What no region holds pays it now; the rest is a claim, served from what regions\n" +
			"return and from new credit before anything else.",
		Example: "  meridian ctl chargeback --payment 01J9Z3 --reason 'card company, case 4711'",
	}
	f := cmd.Flags()
	f.StringVar(&b.Payment, "payment", "", "the payment's `id`")
	f.StringVar(&b.Amount, "amount", "", "a `decimal` (default: all that was not taken back before)")
	f.StringVar(&b.Reason, "reason", "", "who took it back and why")
	c.write(cmd, "/v1/chargebacks", func() any { return b })
	mustMark(cmd, "payment")
	mustMark(cmd, "reason")
	return cmd
}

func (c *ctl) password() *cobra.Command {
	var p struct {
		Subscription string `json:"subscription"`
		Password     string `json:"password"`
	}
	cmd := &cobra.Command{
		Use: "password", Short: "Give a subscription another password", Args: cobra.NoArgs,
		Long: "The password is the first line of standard input: an argument would be seen in the process list.\n" +
			"It is in force when the subscription's home has the change; sessions go on.",
		Example: "  meridian ctl password --subscription sub000001 < new-password.txt",
	}
	cmd.Flags().StringVar(&p.Subscription, "subscription", "", "the subscription's `id`")
	cmd.PreRunE = func(cmd *cobra.Command, _ []string) error {
		line, err := bufio.NewReader(io.LimitReader(cmd.InOrStdin(), 4096)).ReadString('\n')
		if err != nil && !errors.Is(err, io.EOF) {
			return exitcode.Misuse("read the password from standard input: %w", err)
		}
		if p.Password = strings.TrimRight(line, "\r\n"); p.Password == "" {
			return exitcode.Misuse("standard input is empty: give the password as its first line")
		}
		return nil
	}
	c.write(cmd, "/v1/subscriptions/password", func() any { return p })
	mustMark(cmd, "subscription")
	return cmd
}

func (c *ctl) order() *cobra.Command {
	var o struct {
		Subscription string `json:"subscription"`
		Action       string `json:"action"`
		Offering     string `json:"offering,omitempty"`
		Amount       string `json:"amount,omitempty"`
		Reason       string `json:"reason,omitempty"`
		Channel      string `json:"channel,omitempty"`
	}
	cmd := &cobra.Command{
		Use: "order", Short: "Order a subscription's home to change or charge it", Args: cobra.NoArgs,
		Example: "  meridian ctl order --subscription sub000001 --action bar --reason 'asked for by the owner'",
	}
	f := cmd.Flags()
	f.StringVar(&o.Subscription, "subscription", "", "the subscription's `id`")
	f.StringVar(&o.Action, "action", "", "bar, unbar, change_offering, terminate or debit")
	f.StringVar(&o.Offering, "offering", "", "new offering's `id`, for change_offering")
	f.StringVar(&o.Amount, "amount", "", "a `decimal`, for debit")
	f.StringVar(&o.Reason, "reason", "", "why")
	f.StringVar(&o.Channel, "channel", "", "the `channel` of the sale, for change_offering to an offering that asks")
	c.write(cmd, "/v1/orders", func() any { return o })
	mustMark(cmd, "subscription")
	mustMark(cmd, "action")
	return cmd
}

func (c *ctl) release() *cobra.Command {
	var r struct {
		Region  string `json:"region"`
		Reason  string `json:"reason"`
		Discard bool   `json:"discard_heads"`
	}
	cmd := &cobra.Command{
		Use: "release", Short: "Let a held region speak again, after its ledger was looked at", Args: cobra.NoArgs,
		Long: "A region is held when a head that one of its nodes signed contradicts the ledger. Find out which node is right,\n" +
			"take the other out of the region, then release. The heads that wait are kept, so that entries which contradict\n" +
			"them hold the region anew; --discard-heads gives them up and keeps them in the audit log only.",
		Example: "  meridian ctl region release --region north --reason 'north-1 had been broken into; it was removed'",
	}
	f := cmd.Flags()
	f.StringVar(&r.Region, "region", "", "the region's `name`")
	f.StringVar(&r.Reason, "reason", "", "what was found and done")
	f.BoolVar(&r.Discard, "discard-heads", false, "the entries are right, and the heads that wait are not")
	c.write(cmd, "/v1/regions/release", func() any { return r })
	mustMark(cmd, "region")
	mustMark(cmd, "reason")
	return cmd
}

// write makes cmd post a body under an idempotency key.
func (c *ctl) write(cmd *cobra.Command, path string, body func() any) {
	var key string
	cmd.Flags().StringVar(&key, "key", "", "idempotency `key`: repeated with it, the request has one effect (default: a new one)")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		client, err := c.client()
		if err != nil {
			return err
		}
		answer, err := client.Send(cmd.Context(), path, newKey(key), body())
		return c.print(cmd, answer, err)
	}
}

func (c *ctl) print(cmd *cobra.Command, answer string, err error) error {
	var refused *apiclient.APIError
	switch {
	case errors.As(err, &refused):
		return exitcode.Check("%w", err)
	case err != nil:
		return exitcode.Missing("%w: see that the server of --url %s runs", err, c.url)
	}
	var out bytes.Buffer
	if err := json.Indent(&out, []byte(answer), "", "  "); err != nil {
		return exitcode.Check("the answer is not JSON: %w", err)
	}
	_, err = fmt.Fprintln(cmd.OutOrStdout(), out.String())
	return err
}
