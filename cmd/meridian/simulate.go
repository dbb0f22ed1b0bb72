package main

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"meridian/cmd/meridian/exitcode"
	"meridian/internal/rating"
	"meridian/internal/tariff"
	"meridian/internal/trial"
	"meridian/internal/why"
)

// simulateFlags are the command's flags.
type simulateFlags struct {
	tariff, against, usage, balances string
	tables                           []string
	json                             bool
	others                           trial.Others
}

func simulateCommand() *cobra.Command {
	var s simulateFlags
	cmd := &cobra.Command{
		Use: "simulate --tariff DRAFT --usage FILE", Short: "Say what past usage would cost by a draft, and who gains and loses",
		Long: "Rates usage, as `meridian rate` reads it, by a draft and compares with what it cost: by the sheet that --against\n" +
			"names, or else by the usage file's column charged. Prints each customer, those who gain most first, the sums, and\n" +
			"how many customers see which change. What usage costs is compared, overrun included; fees and promotions of\n" +
			"subscriptions that the file activates too. Of subscriptions of offerings that the draft lacks, --as rates the usage\n" +
			"as one that it has, and --skip-others leaves them out; the result says how many events that were. Exit status 1 when a sheet or an event has a fault.",
		Example: "  meridian catalog simulate --tariff draft.yaml --usage last-month.csv\n" +
			"  meridian catalog simulate --tariff draft.yaml --against current.yaml --usage last-month.csv --json\n" +
			"  meridian catalog simulate --tariff draft.yaml --as home-300 --usage last-month.csv",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return s.run(cmd) },
	}
	f := cmd.Flags()
	f.StringVar(&s.tariff, "tariff", "", "the draft, a `file` of YAML or JSON")
	f.StringVar(&s.against, "against", "", "the sheet to compare with, a `file` of YAML or JSON")
	f.StringVar(&s.usage, "usage", "", "`file` of usage, CSV or JSON; - is standard input")
	f.StringVar(&s.balances, "balances", "", "`file` of starting balances, CSV or JSON")
	f.StringSliceVar(&s.tables, "table", nil, tableHelp)
	f.StringVar(&s.others.As, "as", "", "rate usage of offerings that the draft lacks as this `offering` of the draft")
	f.BoolVar(&s.others.Skip, "skip-others", false, "leave out subscriptions of offerings that the draft lacks")
	cmd.MarkFlagsMutuallyExclusive("as", "skip-others")
	f.BoolVar(&s.json, "json", false, "print one JSON object")
	for _, name := range []string{"tariff", "usage"} {
		if err := cmd.MarkFlagRequired(name); err != nil {
			panic(err) // a flag of this name is defined above
		}
	}
	return cmd
}

func (s *simulateFlags) run(cmd *cobra.Command) error {
	tables, err := readTables(s.tables)
	if err != nil {
		return err
	}
	in, err := readUsage(cmd.InOrStdin(), s.usage, s.balances)
	if err != nil {
		return faulty(s.usage, err)
	}
	draft, err := readSheet(s.tariff, tables)
	if err != nil {
		return faulty(s.tariff, err)
	}
	taken, err := s.others.Take(draft, in.Usage)
	if err != nil {
		return exitcode.Misuse("--as: %w", err)
	}
	after, err := s.side(s.tariff, draft, taken.Events, in.Balances, tables)
	if err != nil {
		return err
	}
	var before []trial.Rated
	if s.against != "" {
		var against []tariff.Offering
		if against, err = readSheet(s.against, tables); err != nil {
			return faulty(s.against, err)
		}
		before, err = s.side(s.against, against, taken.Kept, in.Balances, tables)
	} else if before, err = trial.Charged(s.usage, taken.Kept); err != nil {
		err = faulty(s.usage, err)
	}
	if err != nil {
		return err
	}
	result, err := trial.Compare(before, after)
	if err != nil {
		return exitcode.Check("%w", err)
	}
	result.As, result.RatedAs, result.LeftOut, result.LeftOutOf = s.others.As, taken.RatedAs, taken.LeftOut, taken.LeftOutOf
	if err := printSimulation(cmd.OutOrStdout(), result, s.json); err != nil {
		return exitcode.Check("print: %w", err)
	}
	return nil
}

// side is what the usage costs by a sheet's offerings.
func (s *simulateFlags) side(file string, offerings []tariff.Offering, events []trial.Event, balances []trial.Balance, tables map[string]*rating.Prefixes) ([]trial.Rated, error) {
	t, err := trial.New(offerings, tables)
	if err != nil {
		return nil, exitcode.Check("%w", err)
	}
	if err := t.Start(s.usage, balances); err != nil {
		return nil, faulty(s.usage, err)
	}
	rated, err := t.Rate(s.usage, events, why.Language(""))
	if err != nil {
		return nil, faulty(s.usage+" by "+file, err)
	}
	return rated, nil
}

// widest is the length of the longest bar of the histogram.
const widest = 40

func printSimulation(out io.Writer, s *trial.Simulation, asJSON bool) error {
	if asJSON {
		return json.NewEncoder(out).Encode(s)
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%-24s %14s %14s %14s\n", "customer", "before", "by the draft", "change")
	for _, c := range s.Customers {
		fmt.Fprintf(&b, "%-24s %14s %14s %14s\n", c.Subscription, c.BeforeText, c.AfterText, c.Change)
	}
	fmt.Fprintf(&b, "%-24s %14s %14s %14s %s\n\n", fmt.Sprintf("all %d", len(s.Customers)), s.Before, s.After, s.Change, s.Currency)
	if s.RatedAs > 0 {
		fmt.Fprintf(&b, "%d of %d events are of offerings that the draft lacks, rated as %s\n", s.RatedAs, s.Events, s.As)
	}
	if s.LeftOut > 0 {
		fmt.Fprintf(&b, "%d events were left out with their subscriptions: the draft lacks %s\n", s.LeftOut, strings.Join(s.LeftOutOf, ", "))
	}
	fmt.Fprintf(&b, "of %d customers %d pay less, %d pay more, %d the same\n", len(s.Customers), s.Gain, s.Lose, s.Same)
	most := 1
	for _, bar := range s.Histogram {
		most = max(most, bar.Customers)
	}
	for _, bar := range s.Histogram {
		length := (bar.Customers*widest + most - 1) / most
		fmt.Fprintf(&b, "%20s %8d%s\n", bar.Change, bar.Customers, after(" ", strings.Repeat("#", length)))
	}
	_, err := io.WriteString(out, b.String())
	return err
}
