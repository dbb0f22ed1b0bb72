package rating

import (
	"fmt"
	"testing"
	"time"

	"meridian/internal/money"
	"meridian/internal/tariff"
)

func benchRate(b *testing.B, p *Plan, ctx Context, u Use) {
	var buf [16]Priced
	b.ReportAllocs()
	for b.Loop() {
		if _, _, err := p.Rate(buf[:0], ctx, Tally{}, u); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkCall65s(b *testing.B) {
	p := compile(b, offering(tariff.Usage{Name: "calls", Unit: tariff.Seconds, Rates: []tariff.Rate{{First: 60, Next: 1, Price: tariff.Price{Amount: 100_000, Per: 60}}}}), Env{})
	benchRate(b, p, Context{}, Use{Quantity: 65})
}

func BenchmarkCall3600s(b *testing.B) {
	o := offering(tariff.Usage{Name: "calls", Unit: tariff.Seconds, Rates: []tariff.Rate{{Fee: 400_000, Next: 1, Price: tariff.Price{Amount: 100_000, Per: 60}}, {Window: "day", Price: tariff.Price{Amount: 200_000, Per: 60}}}})
	o.Windows, o.Zone = windows(), "Europe/Berlin"
	p := compile(b, o, Env{})
	benchRate(b, p, Context{Start: 1_795_000_000}, Use{Quantity: 3600})
}

func BenchmarkVolumeTwoWindowsAndATier(b *testing.B) {
	tiers := func(a, c money.Amount) tariff.Rate {
		return tariff.Rate{Mode: tariff.Graduated, Tiers: []tariff.Tier{{UpTo: 1 << 29, Price: tariff.Price{Amount: a, Per: 1 << 20}}, {Price: tariff.Price{Amount: c, Per: 1 << 20}}}}
	}
	day, night := tiers(1000, 500), tiers(300, 100)
	day.Window, night.Window = "day", "night"
	o := offering(tariff.Usage{Name: "data", Unit: tariff.Bytes, Rates: []tariff.Rate{tiers(700, 400), day, night}})
	o.Windows, o.Zone = windows(), "Europe/Berlin"
	p := compile(b, o, Env{})
	from := time.Date(2026, 11, 25, 18, 0, 0, 0, berlin(b)).Unix()
	benchRate(b, p, Context{}, Use{Quantity: 1 << 30, From: from, To: from + 5*3600})
}

func BenchmarkPrefixMillion(b *testing.B) {
	p := millionPrefixes(b)
	numbers := make([]string, 1<<12)
	for i := range numbers {
		numbers[i] = fmt.Sprintf("%015d", uint64(i)*2654435761%1_000_000_000_000_000)
	}
	i := 0
	for b.Loop() {
		p.Longest(numbers[i&(1<<12-1)])
		i++
	}
	b.ReportMetric(float64(p.Octets())/float64(p.Len()), "B/prefix")
}

// millionPrefixes are dense under some country codes, as numbering plans are.
func millionPrefixes(t interface{ Fatal(...any) }) *Prefixes {
	lines := make([]PrefixZone, 0, 1_000_000)
	for i := range 1_000_000 {
		n := fmt.Sprintf("%06d", i)
		lines = append(lines, PrefixZone{n[:1+i%6] + n[i%6+1:], "zone" + n[:2]})
		if i%3 == 0 {
			lines[i].Prefix += fmt.Sprint(i % 10)
		}
	}
	p, err := NewPrefixes(lines)
	if err != nil {
		t.Fatal(err)
	}
	return p
}
