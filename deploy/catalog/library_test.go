package catalog_test

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"testing"

	"meridian/deploy/catalog"
	"meridian/internal/sheet"
	"meridian/internal/tariff"
	"meridian/internal/trial"
	"meridian/internal/why"
)

// library holds, for each row of an offering's usage file, what it costs, what the
// balances pay, and what else happens. The sums are worked out by hand in the usage
// files' comments.
func library() map[string][]string {
	return map[string][]string{
		"home-fair-use": {"0.00 fair use 150GB", "0.00 fair use 20GB; four fifths used", "0.00 fair use 30GB; profile slow", "0.00 fair use 1GB"},
		"prepaid-hour":  {"1.20 money 1.20", "1.20 money 0.60; overrun 0.60", "0.60 money 0.60", "0.60 money 0.60"},
		"night-free":    {"2.00 money 2.00", "0.00", "1.00 money 1.00"},
		"triple-play":   {"0.00", "0.00", "3.99 money 3.99", "3.99 money 3.99", "0.00"},
		"converged-mobile": {"0.00 gigabytes 2GB", "0.00 minutes 17970s", "0.09 minutes 30s money 0.09", "0.00 messages included 98",
			"0.21 messages included 2 money 0.21", "0.00 gigabytes 7500MB; one gigabyte left", "5.00 gigabytes 500MB money 5.00", "0.00 minutes 5h"},
		"voice-destinations": {"0.27 money 0.27", "0.125 money 0.125", "0.0305 money 0.0305", "1.00 money 1.00", "0.00", "0.03 money 0.03"},
		"company-pool":       {"2.50 pool minutes 400m money 2.50", "2.50 pool minutes 200m money 2.50; pool almost empty", "0.00 pool minutes 400m"},
		"student":            {"0.60 money 0.60", "0.40 money 0.40", "0.00", "0.15 money 0.15"},
		"top-up-bonus":       {"0.60 bonus 0.60", "1.00 money 1.00", "0.60 bonus 0.40 money 0.20", "1.20 money 1.20", "2.90 money 2.60; overrun 0.30; credit is low"},
		"cinema-ticket": {"25.50 money 25.50", "84.00 money 84.00", "76.50 money 76.50", "7.50 money 7.50", "76.50 money 76.50",
			"-6.50 money -6.50", "0.46 money 0.46"},
		"turbo":            {"0.00", "1.00 money 1.00", "1.00 money 1.00", "0.50 money 0.50"},
		"tourist-sim":      {"0.00 visitor data 9GB", "0.00 visitor minutes 2m", "1.00 money 1.00; profile stopped", "0.00; profile stopped bars new sessions"},
		"roaming-day-pass": {"2.99 money 2.99", "1.00 money 1.00", "1.00 money 1.00", "2.99 money 2.99", "0.316666 money 0.316666", "2.98 money 2.98"},
		"loyalty":          {"4.80 thank-you minutes 30m money 4.80", "34.80 money 34.80; ten hours of calls"},
		"legacy-branch":    {"0.50 money 0.50", "6.10 money 6.10", "2.50 money 2.50"},
	}
}

// lives holds what each offering charges apart from usage over the life in its life
// file, where the sums are worked out.
func lives() map[string][]string {
	student := []string{"fee monthly fee 0.00; First month free 5.419355"}
	for range 11 {
		student = append(student, "fee monthly fee 4.00; Student discount 4.00")
	}
	return map[string][]string{
		"home-fair-use":      {"fee monthly fee 5.98", "fee monthly fee 29.90", "credit monthly fee -20.254839"},
		"prepaid-hour":       nil,
		"night-free":         {"fee monthly fee 9.90", "fee monthly fee 9.90", "fee monthly fee 9.90"},
		"triple-play":        {"one-time installation 49.00", "fee internet 100 23.709677", "fee television 6.774194", "fee fixed address 3.00", "credit internet 100 -11.290322", "credit television -3.225807"},
		"converged-mobile":   {"fee monthly fee 17.409677", "fee monthly fee 17.99"},
		"voice-destinations": nil,
		"company-pool":       {"fee pool fee 16.258065", "fee pool fee 12.00"},
		"student":            append(student, "fee monthly fee 8.00"),
		"top-up-bonus":       {"top-up  0.00", "top-up  0.00; Top-up bonus 2.00 to bonus", "top-up  0.00; Top-up bonus 15.00 to bonus"},
		"cinema-ticket":      nil,
		"turbo":              {"fee monthly fee 6.00"},
		"tourist-sim":        {"one-time card 19.90"},
		"roaming-day-pass":   nil,
		"loyalty":            {"fee monthly fee 13.50; Loyalty discount 1.50", "fee monthly fee 12.00; Loyalty discount 3.00", "credit monthly fee -10.285714"},
		"legacy-branch":      nil,
	}
}

func TestLibraryLives(t *testing.T) {
	files, err := fs.Sub(catalog.Library, "library")
	if err != nil {
		t.Fatal(err)
	}
	if len(lives()) != len(library()) {
		t.Fatalf("%d lives of %d offerings", len(lives()), len(library()))
	}
	for name, want := range lives() {
		offerings, err := sheet.Read(name+".yaml", read(t, files, name+".yaml"), files)
		if err != nil {
			t.Fatal(err)
		}
		in, err := trial.ReadUsage(name, read(t, files, name+".life.csv"))
		if err != nil {
			t.Fatal(err)
		}
		x, err := trial.New(offerings, nil)
		if err != nil {
			t.Fatal(err)
		}
		rated, err := x.Rate(name, in.Usage, why.English)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, r := range rated {
			line := fmt.Sprintf("%s %s %s", r.Event, r.Usage, r.CostText)
			for _, o := range r.Promotions {
				line += fmt.Sprintf("; %s %s", o.Name, o.Amount)
				if o.Gives != "" {
					line += " to " + o.Gives
				}
			}
			got = append(got, line)
		}
		if strings.Join(got, "\n") != strings.Join(want, "\n") {
			t.Errorf("%s:\n%s\nwant\n%s", name, strings.Join(got, "\n"), strings.Join(want, "\n"))
		}
	}
}

// Every offering passes schema and reader, and its usage comes to the money that was
// worked out by hand.
func TestLibrary(t *testing.T) {
	files, err := fs.Sub(catalog.Library, "library")
	if err != nil {
		t.Fatal(err)
	}
	sheets, err := fs.Glob(files, "*.yaml")
	if err != nil || len(sheets) != len(library()) {
		t.Fatalf("sheets %v, %v; want the %d that are listed", sheets, err, len(library()))
	}
	schema := compile(t)
	for name, want := range library() {
		t.Run(name, func(t *testing.T) {
			data := read(t, files, name+".yaml")
			passes(t, schema, name, data)
			offerings, err := sheet.Read(name+".yaml", data, files, func(o *tariff.Offering) error { return trial.Check(o, nil) })
			if err != nil || len(offerings) != 1 || offerings[0].ID != name {
				t.Fatalf("%d offerings, %v; want one of the file's name", len(offerings), err)
			}
			got := rate(t, files, name, offerings)
			for i := range max(len(got), len(want)) {
				if i >= len(got) || i >= len(want) || got[i] != want[i] {
					t.Fatalf("row %d of\n%s\nwant\n%s", i+1, strings.Join(got, "\n"), strings.Join(want, "\n"))
				}
			}
		})
	}
}

func read(t *testing.T, files fs.FS, name string) []byte {
	t.Helper()
	data, err := fs.ReadFile(files, name)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func rate(t *testing.T, files fs.FS, name string, offerings []tariff.Offering) (out []string) {
	t.Helper()
	x, err := trial.New(offerings, nil)
	if err != nil {
		t.Fatal(err)
	}
	in, err := trial.ReadUsage(name, read(t, files, name+".usage.csv"))
	if err != nil {
		t.Fatal(err)
	}
	balances, err := fs.ReadFile(files, name+".balances.csv")
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	if err == nil {
		if in.Balances, err = trial.ReadBalances(name, balances); err != nil {
			t.Fatal(err)
		}
	}
	if err := x.Start(name, in.Balances); err != nil {
		t.Fatal(err)
	}
	rated, err := x.Rate(name, in.Usage, why.English)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range rated {
		line := r.CostText
		for _, p := range r.Payments {
			line += fmt.Sprintf(" %s %s", p.Balance, p.Amount)
		}
		for _, more := range []struct{ before, text string }{{"overrun ", r.Overrun}, {"", strings.Join(r.Raised, ", ")}, {"profile ", r.Profile}, {"", r.Barred}} {
			if more.text != "" {
				line += "; " + more.before + more.text
			}
		}
		out = append(out, line)
	}
	return out
}
