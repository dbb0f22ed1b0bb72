package bench

import (
	"fmt"
	"runtime"
	"syscall"
	"time"

	"meridian/internal/charging"
	"meridian/internal/money"
	"meridian/internal/rating"
	"meridian/internal/tariff"
)

// rateBench measures the rating core and the catalog in this process.
func rateBench(cfg Config) ([]Result, error) {
	results, err := coreBench(cfg)
	if err != nil {
		return nil, err
	}
	more, err := catalogBench(cfg, catalogOfferings)
	return append(results, more...), err
}

// coreBench measures the rating core: CPU time of one operation.
func coreBench(cfg Config) ([]Result, error) {
	call, err := callPlan()
	if err != nil {
		return nil, err
	}
	data, from, err := dataPlan()
	if err != nil {
		return nil, err
	}
	table, err := millionPrefixes()
	if err != nil {
		return nil, err
	}
	var failed error
	keep := func(err error) {
		if err != nil {
			failed = err
		}
	}
	var buf [16]rating.Priced
	rate := func(p *rating.Plan, c rating.Context, u rating.Use) func(int) {
		return func(int) {
			_, _, err := p.Rate(buf[:0], c, rating.Tally{}, u)
			keep(err)
		}
	}
	var out charging.Result
	debit := func(w *charging.Wallet) func(int) {
		values := make([]int64, len(w.Buckets))
		for i, b := range w.Buckets {
			values[i] = b.Value
		}
		return func(int) {
			for i, b := range w.Buckets {
				b.Value = values[i]
			}
			s := charging.Session{Context: rating.Context{Component: 1}}
			keep(charging.Debit(call, &s, w, rating.Use{Quantity: 3600}, charging.Owe, &out))
		}
	}
	numbers := make([]string, 1<<12)
	for i := range numbers {
		numbers[i] = fmt.Sprintf("%015d", uint64(i)*2654435761%1_000_000_000_000_000)
	}
	cash := &charging.Bucket{ID: "cash", Name: tariff.MoneyBalance, Unit: tariff.Money, Priority: 9, Value: 1000 * money.Micro}
	bundle := &charging.Bucket{ID: "voice", Name: "voice", Unit: tariff.Seconds, Value: 1800}
	figures := []struct {
		name, note string
		op         func(int)
	}{
		{"rate/call_65s_ns", "60 s and then each second", rate(call, rating.Context{}, rating.Use{Quantity: 65})},
		{"rate/call_3600s_ns", "by the second, with a fee", rate(call, rating.Context{Component: 1}, rating.Use{Quantity: 3600})},
		{"rate/debit_call_3600s_ns", "that call from money", debit(charging.NewWallet(0, cash))},
		{"rate/debit_bundle_money_ns", "half of it from a voice bundle, the rest from money", debit(charging.NewWallet(0, bundle, cash))},
		{"rate/volume_windows_tier_ns", "volume over two windows and a tier", rate(data, rating.Context{}, rating.Use{Quantity: 1 << 30, From: from, To: from + 5*3600})},
		{"rate/prefix_1m_ns", fmt.Sprintf("longest prefix among %d, %.1f octets each", table.Len(), float64(table.Octets())/float64(table.Len())),
			func(i int) { table.Longest(numbers[i&(1<<12-1)]) }},
	}
	var results []Result
	for _, f := range figures {
		var runs []float64
		for run := range cfg.Runs + 1 { // the first one warms up
			ns, err := perOperation(cfg.duration()/4, f.op)
			if err != nil {
				return nil, err
			}
			if run > 0 {
				runs = append(runs, ns)
			}
		}
		results = append(results, newResult(f.name, "ns", fmt.Sprintf("CPU time; %s; %d CPUs", f.note, runtime.NumCPU()), runs))
	}
	return results, failed
}

// perOperation repeats op for about d and gives the CPU time of one, in ns.
func perOperation(d time.Duration, op func(int)) (float64, error) {
	runtime.GC()
	var before, after syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &before); err != nil {
		return 0, fmt.Errorf("CPU time of this process: %w", err)
	}
	n := 0
	for began := time.Now(); n == 0 || time.Since(began) < d; {
		for range 10_000 {
			op(n)
			n++
		}
	}
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &after); err != nil {
		return 0, fmt.Errorf("CPU time of this process: %w", err)
	}
	used := after.Utime.Nano() - before.Utime.Nano() + after.Stime.Nano() - before.Stime.Nano()
	return float64(used) / float64(n), nil
}

func benchOffering(usage ...tariff.Usage) *tariff.Offering {
	return &tariff.Offering{ID: "bench", Version: 1, Name: "Bench", Currency: "EUR", Service: "main", Overrun: tariff.Owed, Usage: usage,
		Profile: tariff.Profile{SessionLimit: 1, InterimSeconds: 60}, Reservation: tariff.Reservation{Quota: 1, TTLSeconds: 600}}
}

func callPlan() (*rating.Plan, error) {
	minute := tariff.Price{Amount: 100_000, Per: 60}
	return rating.Compile(benchOffering(
		tariff.Usage{Name: "steps", Unit: tariff.Seconds, Rates: []tariff.Rate{{First: 60, Next: 1, Price: minute}}},
		tariff.Usage{Name: "seconds", Unit: tariff.Seconds, Rates: []tariff.Rate{{Fee: 400_000, Price: minute}}}), rating.Env{})
}

// dataPlan has a day from 8 to 19 and a night from 22 to 6; usage from 18 o'clock
// on for five hours runs through the day's end, the evening and the night.
func dataPlan() (*rating.Plan, int64, error) {
	tiers := func(window string, a, b money.Amount) tariff.Rate {
		return tariff.Rate{Window: window, Mode: tariff.Graduated, Tiers: []tariff.Tier{{UpTo: 1 << 29, Price: tariff.Price{Amount: a, Per: 1 << 20}}, {Price: tariff.Price{Amount: b, Per: 1 << 20}}}}
	}
	o := benchOffering(tariff.Usage{Name: "data", Unit: tariff.Bytes, Rates: []tariff.Rate{tiers("", 700, 400), tiers("day", 1000, 500), tiers("night", 300, 100)}})
	o.Zone = "Europe/Berlin"
	o.Windows = []tariff.Window{{Name: "day", From: 8 * 3600, To: 19 * 3600}, {Name: "night", From: 22 * 3600, To: 6 * 3600}}
	p, err := rating.Compile(o, rating.Env{})
	return p, time.Date(2026, 11, 25, 17, 0, 0, 0, time.UTC).Unix(), err
}

func millionPrefixes() (*rating.Prefixes, error) {
	lines := make([]rating.PrefixZone, 0, 1_000_000)
	for i := range 1_000_000 {
		n := fmt.Sprintf("%06d", i)
		if i%3 == 0 {
			n += fmt.Sprint(i / 3 % 10)
		}
		lines = append(lines, rating.PrefixZone{Prefix: n, Zone: "zone " + n[:2]})
	}
	return rating.NewPrefixes(lines)
}
