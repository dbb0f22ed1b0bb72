package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net/url"
	"os"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"meridian/cmd/meridian/exitcode"
)

func (c *ctl) catalog() *cobra.Command {
	return group("catalog", "The published catalog", c.publish(), c.publishTable(), c.catalogStatus("meridian ctl catalog status"))
}

func (c *ctl) publish() *cobra.Command {
	var urgent, key string
	cmd := &cobra.Command{
		Use: "publish FILE", Short: "Publish the offerings of a tariff sheet", Args: cobra.ExactArgs(1),
		Long: "Each offering becomes its next version and goes to every region. A price of zero is kept as a proposal until\n" +
			"another admin approves it. So is a valid-from nearer than the centre's lead time, when --urgent says why; a region\n" +
			"that is cut off goes on by the version before until it has the new one.",
		Example: "  meridian ctl catalog publish deploy/catalog/demo/flat-home.yaml",
	}
	cmd.Flags().StringVar(&urgent, "urgent", "", "`reason` for a valid-from within the lead time")
	cmd.Flags().StringVar(&key, "key", "", "idempotency `key`: repeated with it, the request has one effect (default: a new one)")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		sheet, err := os.ReadFile(args[0])
		if err != nil {
			return exitcode.Misuse("tariff sheet: %w", err)
		}
		client, err := c.client()
		if err != nil {
			return err
		}
		path := "/v1/offerings"
		if urgent != "" {
			path += "?urgent=" + url.QueryEscape(urgent)
		}
		answer, err := client.SendText(cmd.Context(), path, newKey(key), "application/yaml", sheet)
		return c.print(cmd, answer, err)
	}
	return cmd
}

func (c *ctl) publishTable() *cobra.Command {
	var key string
	cmd := &cobra.Command{
		Use: "table NAME FILE", Short: "Publish a table of destinations that offerings share", Args: cobra.ExactArgs(2),
		Long: "FILE is CSV with the columns prefix and zone. The table becomes the next version of NAME and goes to every region.\n" +
			"Offerings that name it (table: NAME) keep the version that they were published with: publish them again to have\n" +
			"them rate by this one.",
		Example: "  meridian ctl catalog table world world.csv",
	}
	cmd.Flags().StringVar(&key, "key", "", "idempotency `key`: repeated with it, the request has one effect (default: a new one)")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		table, err := os.ReadFile(args[1])
		if err != nil {
			return exitcode.Misuse("table of destinations: %w", err)
		}
		client, err := c.client()
		if err != nil {
			return err
		}
		answer, err := client.SendText(cmd.Context(), "/v1/tables?id="+url.QueryEscape(args[0]), newKey(key), "text/csv", table)
		return c.print(cmd, answer, err)
	}
	return cmd
}

// newKey is the idempotency key given, or a new one.
func newKey(key string) string {
	if key == "" {
		key = fmt.Sprintf("ctl-%d-%d", time.Now().UnixNano(), os.Getpid())
	}
	return key
}

// catalogAnswer is GET /v1/catalog/status.
type catalogAnswer struct {
	TZData   string `json:"tzdata"`
	LeadTime int64  `json:"lead_time_seconds"`
	Regions  []struct {
		Region    string `json:"region"`
		Connected bool   `json:"connected"`
		HeardAt   string `json:"heard_at"`
	} `json:"regions"`
	Versions []struct {
		ID        string `json:"id"`
		Version   uint32 `json:"version"`
		ValidFrom string `json:"valid_from"`
		InForce   bool   `json:"in_force"`
		Applied   int    `json:"applied"`
		Regions   []struct {
			Region string `json:"region"`
			State  string `json:"state"`
		} `json:"regions"`
	} `json:"versions"`
}

func (c *ctl) catalogStatus(example string) *cobra.Command {
	var offering, after string
	var limit int
	var asJSON bool
	cmd := &cobra.Command{
		Use: "status", Short: "Show which regions have which offering version", Args: cobra.NoArgs,
		Long: "Of each published version: since when it is valid, how many regions have said that they have it, and which have\n" +
			"not. A region that this server has not heard since it started is unheard.",
		Example: "  " + example,
	}
	f := cmd.Flags()
	f.StringVar(&offering, "offering", "", "only the versions of this `id`")
	f.StringVar(&after, "after", "", "offerings whose id comes after this `id`")
	f.IntVar(&limit, "limit", 100, "most versions to show, 1 to 500")
	f.BoolVar(&asJSON, "json", false, "print the API's answer")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		client, err := c.client()
		if err != nil {
			return err
		}
		q := url.Values{"limit": {fmt.Sprint(limit)}, "offering": {offering}, "after": {after}}
		answer, err := client.Raw(cmd.Context(), "/v1/catalog/status?"+q.Encode())
		if err != nil || asJSON {
			return c.print(cmd, answer, err)
		}
		var in catalogAnswer
		if err := json.Unmarshal([]byte(answer), &in); err != nil {
			return exitcode.Check("the answer is not the catalog's status: %w", err)
		}
		return in.print(cmd.OutOrStdout())
	}
	return cmd
}

func (in *catalogAnswer) print(out io.Writer) error {
	for _, r := range in.Regions {
		state := "connected"
		if !r.Connected {
			state = "not connected"
		}
		if r.HeardAt != "" {
			state += ", heard at " + r.HeardAt
		}
		if _, err := fmt.Fprintf(out, "region %s: %s\n", r.Region, state); err != nil {
			return err
		}
	}
	if _, err := fmt.Fprintf(out, "zone data IANA %s; lead time %s\n", in.TZData, time.Duration(in.LeadTime)*time.Second); err != nil {
		return err
	}
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "OFFERING\tVERSION\tVALID FROM\t\tAPPLIED\tNOT YET")
	for _, v := range in.Versions {
		force, missing := "to come", []string{}
		if v.InForce {
			force = "in force"
		}
		for _, r := range v.Regions {
			if r.State != "applied" {
				missing = append(missing, r.Region+" ("+r.State+")")
			}
		}
		fmt.Fprintf(w, "%s\t%d\t%s\t%s\t%d of %d\t%s\n", v.ID, v.Version, v.ValidFrom, force, v.Applied, len(v.Regions), strings.Join(missing, ", "))
	}
	return w.Flush()
}

func (c *ctl) proposals() *cobra.Command {
	decide := func(use, outcome, short string) *cobra.Command {
		var d struct {
			ID      string `json:"id"`
			Outcome string `json:"outcome"`
		}
		d.Outcome = outcome
		cmd := &cobra.Command{Use: use + " ID", Short: short, Args: cobra.ExactArgs(1), Example: "  meridian ctl proposal " + use + " 6f1c…"}
		cmd.PreRun = func(_ *cobra.Command, args []string) { d.ID = args[0] }
		c.write(cmd, "/v1/proposals/decide", func() any { return d })
		return cmd
	}
	return group("proposal", "What waits for a second person",
		c.show("list", "List what waits for a second admin", "proposal list", 0, "/v1/proposals"),
		decide("approve", "approved", "Approve another admin's proposal; it is carried out at once"),
		decide("reject", "rejected", "Reject a proposal, or take one's own back"))
}
