package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"meridian/cmd/meridian/exitcode"
	"meridian/internal/money"
	"meridian/internal/rating"
	"meridian/internal/sheet"
	"meridian/internal/tariff"
	"meridian/internal/trial"
	"meridian/internal/why"
)

// rateFlags are the command's flags.
type rateFlags struct {
	tariff, usage, balances, lang string
	tables                        []string
	explain, json                 bool
}

func rateCommand() *cobra.Command {
	var r rateFlags
	cmd := &cobra.Command{
		Use: "rate --tariff FILE --usage FILE", Short: "Rate usage from a file by a tariff sheet",
		Long: "Rates each event of the usage file in order, and prints what it costs and which balances pay.\n\n" +
			"Usage is CSV with the columns' names in its first line, or JSON, a list of objects with the same names and every\n" +
			"value in quotes:\n" +
			"  subscription  who; rows of one share balances and periods          offering  id, when the sheet has several\n" +
			"  usage         component, or service: which of the offering's        session   rows of one session go on with it\n" +
			"  start         2026-03-02T18:00:00Z                                  end       volume lies evenly from start to end\n" +
			"  quantity      500MB, 65s, 3, 12.50; time: end − start               destination  number, or zone\n" +
			"  weight        weighted units: parts of the component's weight_scale\n" +
			"  event         left out = usage; or what happens to the subscription: activate, renew (time passes), change (to the\n" +
			"                offering), cancel, pause, resume, top-up and referral (of the quantity). From activate on fees,\n" +
			"                promotions and minima are charged as they fall due, each a line of its own\n" +
			"  born, since, holds  of an activate event: day of birth, a customer since, ids of other offerings\n" +
			"Balances (--balances, or the list balances of a JSON object {\"usage\": …, \"balances\": …}):\n" +
			"  subscription, balance (an allowance's name, or money), value, expires\n" +
			"A subscription begins with the offering's allowances, given at its first event, and pays money on account unless\n" +
			"it is given a money balance. What then cannot be paid is shown as overrun. deploy/catalog/README.md tells it in\n" +
			"full, with examples. Exit status 1 when the sheet or an event has a fault; events without one are rated.",
		Example: "  meridian rate --tariff deploy/catalog/demo/prepaid-volume.yaml --usage usage.csv --explain\n" +
			"  printf 'event,start\\nactivate,2026-03-11T09:00:00Z\\nrenew,2026-05-01T00:00:00Z\\n' | meridian rate --tariff deploy/catalog/library/triple-play.yaml --usage - --explain\n" +
			"  printf 'start,quantity\\n2026-03-02T18:00:00Z,1500MB\\n' | meridian rate --tariff deploy/catalog/demo/prepaid-volume.yaml --usage - --explain --lang ru\n" +
			"  meridian rate --tariff voice.yaml --table world=prefixes.csv --usage calls.csv --balances start.csv --json",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return r.run(cmd) },
	}
	f := cmd.Flags()
	f.StringVar(&r.tariff, "tariff", "", "tariff sheet, a `file` of YAML or JSON")
	f.StringVar(&r.usage, "usage", "", "`file` of usage, CSV or JSON; - is standard input")
	f.StringVar(&r.balances, "balances", "", "`file` of starting balances, CSV or JSON")
	f.StringSliceVar(&r.tables, "table", nil, tableHelp)
	f.BoolVar(&r.explain, "explain", false, "print each priced piece and why it costs what it does")
	f.StringVar(&r.lang, "lang", string(why.English), "`language` of the sentences: en, ru or ar")
	f.BoolVar(&r.json, "json", false, "print one JSON object a line for each event")
	for _, name := range []string{"tariff", "usage"} {
		if err := cmd.MarkFlagRequired(name); err != nil {
			panic(err) // a flag of this name is defined above
		}
	}
	return cmd
}

func (r *rateFlags) run(cmd *cobra.Command) error {
	lang := why.Language(r.lang)
	if !slices.Contains(why.Languages(), lang) {
		return exitcode.Misuse("--lang is %q: use en, ru or ar", r.lang)
	}
	tables, err := readTables(r.tables)
	if err != nil {
		return err
	}
	offerings, err := readSheet(r.tariff, tables)
	if err != nil {
		return faulty(r.tariff, err)
	}
	in, err := readUsage(cmd.InOrStdin(), r.usage, r.balances)
	if err != nil {
		return faulty(r.usage, err)
	}
	t, err := trial.New(offerings, tables)
	if err != nil {
		return exitcode.Check("%w", err)
	}
	if err := t.Start(r.usage, in.Balances); err != nil {
		return faulty(r.usage, err)
	}
	rated, faults := t.Rate(r.usage, in.Usage, lang)
	if err := r.print(cmd.OutOrStdout(), rated); err != nil {
		return exitcode.Check("print: %w", err)
	}
	if faults != nil {
		return faulty(r.usage, faults)
	}
	return nil
}

func readTables(list []string) (map[string]*rating.Prefixes, error) {
	tables := map[string]*rating.Prefixes{}
	for _, pair := range list {
		name, file, ok := strings.Cut(pair, "=")
		if !ok {
			return nil, exitcode.Misuse("--table is %q: write name=file", pair)
		}
		data, err := os.ReadFile(file)
		if err != nil {
			return nil, exitcode.Misuse("table %s: %w", name, err)
		}
		zones, faults := sheet.ReadPrefixes(file, data)
		if len(faults) > 0 {
			return nil, faulty(file, faults)
		}
		var lines []rating.PrefixZone
		for _, z := range zones {
			for _, p := range z.Prefixes {
				lines = append(lines, rating.PrefixZone{Prefix: p, Zone: z.Zone})
			}
		}
		if tables[name], err = rating.NewPrefixes(lines); err != nil {
			return nil, exitcode.Check("table %s: %w", name, err)
		}
	}
	return tables, nil
}

// maxUsage bounds a file of usage or balances.
const maxUsage = 1 << 30

func readUsage(stdin io.Reader, file, balances string) (*trial.Input, error) {
	data, err := readAll(stdin, file)
	if err != nil {
		return nil, err
	}
	in, err := trial.ReadUsage(file, data)
	if err != nil || balances == "" {
		return in, err
	}
	if data, err = readAll(stdin, balances); err != nil {
		return nil, err
	}
	more, err := trial.ReadBalances(balances, data)
	in.Balances = append(in.Balances, more...)
	return in, err
}

func readAll(stdin io.Reader, file string) ([]byte, error) {
	from := stdin
	if file != "-" {
		f, err := os.Open(file)
		if err != nil {
			return nil, exitcode.Misuse("%w", err)
		}
		defer f.Close()
		from = f
	}
	data, err := io.ReadAll(io.LimitReader(from, maxUsage+1))
	if err != nil {
		return nil, exitcode.Misuse("read %s: %w", file, err)
	}
	if len(data) > maxUsage {
		return nil, exitcode.Misuse("%s has more than %d octets: split it", file, maxUsage)
	}
	return data, nil
}

func (r *rateFlags) print(out io.Writer, rated []trial.Rated) error {
	var b strings.Builder
	totals := map[[2]string]money.Amount{}
	var order [][2]string
	for i := range rated {
		x := &rated[i]
		if r.json {
			if err := json.NewEncoder(&b).Encode(x); err != nil {
				return err
			}
			continue
		}
		r.line(&b, x)
		key := [2]string{x.Subscription, x.Currency}
		if _, seen := totals[key]; !seen {
			order = append(order, key)
		}
		sum, err := money.Add(totals[key], x.Cost)
		if err != nil {
			return err
		}
		totals[key] = sum
	}
	for _, key := range order {
		fmt.Fprintf(&b, "total%s: %s %s\n", after(" ", key[0]), totals[key], key[1])
	}
	_, err := io.WriteString(out, b.String())
	return err
}

func after(gap, s string) string {
	if s == "" {
		return ""
	}
	return gap + s
}

func (r *rateFlags) line(b *strings.Builder, x *trial.Rated) {
	what := x.Usage + after(" ", x.Quantity) + after(" to ", x.Zone)
	if x.Event != "" {
		what = x.Event + after(" ", x.Usage) + after(" ", x.Quantity) + after(" from ", x.From) + after(" to ", x.Until) + after(", ", x.Part)
	}
	fmt.Fprintf(b, "%s%s  %s: %s %s", x.Start, after(" ", x.Subscription), what, x.CostText, x.Currency)
	var paid []string
	for _, p := range x.Payments {
		amount := p.Amount
		if p.Unit == tariff.Money {
			amount += " " + x.Currency
		}
		paid = append(paid, amount+" from "+p.Balance)
	}
	if len(paid) > 0 {
		fmt.Fprintf(b, " (%s)", strings.Join(paid, ", "))
	}
	for _, o := range x.Promotions {
		if o.Gives != "" {
			fmt.Fprintf(b, "; %s gives %s to %s", o.Name, o.Amount, o.Gives)
		} else {
			fmt.Fprintf(b, "; %s -%s", o.Name, o.Amount)
		}
	}
	for _, more := range []struct{ form, text string }{{"; overrun %s", x.Overrun}, {"; raised %s", strings.Join(x.Raised, ", ")}, {"; profile %s", x.Profile}, {"; no service: %s", x.Barred}} {
		if more.text != "" {
			fmt.Fprintf(b, more.form, more.text)
		}
	}
	b.WriteString("\n")
	if !r.explain {
		return
	}
	for _, p := range x.Pieces {
		fmt.Fprintf(b, "    %s: %s\n", p.Rule, p.Why)
	}
}

// ratable checks what only an offering's plan shows.
func ratable(tables map[string]*rating.Prefixes) func(*tariff.Offering) error {
	return func(o *tariff.Offering) error {
		err := trial.Check(o, tables)
		if err != nil && len(tariff.Faults(err)) == 0 {
			return errors.Join(&tariff.Fault{Path: "usage", Value: err.Error(), Remedy: "correct the component"})
		}
		return err
	}
}
