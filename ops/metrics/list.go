package metrics

import (
	"fmt"
	"slices"
	"strings"

	"github.com/prometheus/client_golang/prometheus"
)

// Row is a metric as it is exported: what ops/METRICS.md says of it.
type Row struct {
	Name   string
	Kind   string // counter, gauge or histogram
	Labels []string
	Help   string
}

// List reads what a registry exports of the metrics whose names begin with prefix.
func List(reg prometheus.Gatherer, prefix string) ([]Row, error) {
	families, err := reg.Gather()
	if err != nil {
		return nil, fmt.Errorf("gather the metrics: %w", err)
	}
	var out []Row
	for _, f := range families {
		if !strings.HasPrefix(f.GetName(), prefix) {
			continue
		}
		r := Row{Name: f.GetName(), Kind: strings.ToLower(f.GetType().String()), Help: f.GetHelp()}
		for _, m := range f.GetMetric() {
			for _, l := range m.GetLabel() {
				if !slices.Contains(r.Labels, l.GetName()) {
					r.Labels = append(r.Labels, l.GetName())
				}
			}
		}
		slices.Sort(r.Labels)
		out = append(out, r)
	}
	return out, nil
}

// Rows are the rows of described metrics; constant are the names of their constant
// labels.
func Rows(namespace string, constant []string, list []Metric) []Row {
	var out []Row
	for _, m := range list {
		labels := append(slices.Clone(constant), m.Labels...)
		slices.Sort(labels)
		out = append(out, Row{Name: namespace + "_" + m.Name, Kind: [...]string{"counter", "gauge", "histogram"}[m.Kind], Labels: labels, Help: m.Help})
	}
	slices.SortFunc(out, func(a, b Row) int { return strings.Compare(a.Name, b.Name) })
	return out
}

// Table writes rows as the lines of a Markdown table.
func Table(rows []Row) string {
	var b strings.Builder
	b.WriteString("| metric | kind | labels | what it is |\n| --- | --- | --- | --- |\n")
	for _, r := range rows {
		fmt.Fprintf(&b, "| `%s` | %s | %s | %s |\n", r.Name, r.Kind, strings.Join(r.Labels, ", "), strings.ReplaceAll(r.Help, "|", "\\|"))
	}
	return b.String()
}

// Section finds the table of a prefix in a document: it lies between two lines,
// <!-- PREFIX --> and <!-- end -->.
func Section(document, prefix string) (before, table, after string, err error) {
	begin := "<!-- " + prefix + " -->\n"
	before, rest, ok := strings.Cut(document, begin)
	table, after, end := strings.Cut(rest, "<!-- end -->\n")
	if !ok || !end {
		return "", "", "", fmt.Errorf("there is no section %q that ends: write the two comment lines", begin)
	}
	return before + begin, table, "<!-- end -->\n" + after, nil
}
