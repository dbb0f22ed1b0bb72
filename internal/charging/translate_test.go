package charging

import (
	"fmt"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/goccy/go-yaml"

	"meridian/internal/money"
	"meridian/internal/rating"
	"meridian/internal/tariff"
)

// The cases speak the peers' vocabulary; what follows translates it into the
// language of internal/tariff. Numbers are read as text, so that they are exact.

type slotText struct {
	From       string `yaml:"from"`
	ConnectFee string `yaml:"connect_fee"`
	Rate       string `yaml:"rate"`
	Per        string `yaml:"per"`
	Increment  string `yaml:"increment"`
}

type roundingText struct {
	Method   string `yaml:"method"`
	Decimals int    `yaml:"decimals"`
}

type windowText struct {
	Days     string     `yaml:"days"`
	Start    string     `yaml:"start"`
	Weight   int        `yaml:"weight"`
	Month    int        `yaml:"month"`
	MonthDay int        `yaml:"month_day"`
	Slots    []slotText `yaml:"slots"`
	Use      string     `yaml:"use"`
	MaxCost  string     `yaml:"max_cost"`
	Strategy string     `yaml:"max_cost_strategy"`
}

type tariffText struct {
	Rounding *roundingText `yaml:"rounding"`
	Prefixes []string      `yaml:"prefixes"`
	Windows  []windowText  `yaml:"windows"`
	Slots    []slotText    `yaml:"slots"`
	MaxCost  string        `yaml:"max_cost"`
	Strategy string        `yaml:"max_cost_strategy"`
}

type balanceText struct {
	ID       string   `yaml:"id"`
	Type     string   `yaml:"type"`
	Value    string   `yaml:"value"`
	Seconds  string   `yaml:"value_seconds"`
	Weight   int      `yaml:"weight"`
	Prefixes []string `yaml:"prefixes"`
	RatedBy  string   `yaml:"rated_by"`
	Factor   string   `yaml:"factor"`
	PerSec   string   `yaml:"factor_per_second"`
	Blocker  bool     `yaml:"blocker"`
	Active   string   `yaml:"active"`
}

type accountText struct {
	AllowNegative bool          `yaml:"allow_negative"`
	Balances      []balanceText `yaml:"balances"`
	Group         *struct {
		Strategy string `yaml:"strategy"`
	} `yaml:"shared_group"`
	Members  map[string][]balanceText `yaml:"members"`
	Counter  map[string]int64         `yaml:"counter"`
	Triggers []struct {
		When      string   `yaml:"when"`
		Recurrent bool     `yaml:"recurrent"`
		Actions   []string `yaml:"actions"`
	} `yaml:"triggers"`
}

type eventText struct {
	Type          string  `yaml:"type"`
	Destination   string  `yaml:"destination"`
	Start         string  `yaml:"start"`
	End           string  `yaml:"end"`
	Seconds       any     `yaml:"seconds"`
	Units         string  `yaml:"units"`
	Segment       int     `yaml:"segment_index"`
	Rounding      *bool   `yaml:"perform_rounding"`
	ForceDuration bool    `yaml:"force_duration"`
	Repeat        int     `yaml:"repeat"`
	CountUnits    []int64 `yaml:"count_units"`
}

type ratingCase struct {
	ID       string         `yaml:"id"`
	Kind     string         `yaml:"kind"`
	Tariff   any            `yaml:"tariff"`
	Event    eventText      `yaml:"event"`
	Account  *accountText   `yaml:"account"`
	Expected map[string]any `yaml:"expected"`
}

type ratingFile struct {
	Tariffs map[string]tariffText `yaml:"tariffs"`
	Cases   []ratingCase          `yaml:"cases"`
}

func load(t testing.TB, path string, into any) {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := yaml.Unmarshal(b, into); err != nil {
		t.Fatalf("%s: %v", path, err)
	}
}

// decimal reads a number as an exact count of 10^-places.
func decimal(text string) (n int64, places int) {
	text = strings.TrimSpace(text)
	if text == "" || text == "null" {
		return 0, 0
	}
	body, neg := strings.CutPrefix(text, "-")
	whole, frac, _ := strings.Cut(body, ".")
	n, err := strconv.ParseInt(whole+frac, 10, 64)
	if err != nil {
		panic(err)
	}
	if neg {
		n = -n
	}
	return n, len(frac)
}

// micro reads a number in millionths, rounded to the nearest where it has more
// places.
func micro(text string) int64 {
	n, places := decimal(text)
	for ; places < 6; places++ {
		n *= 10
	}
	for ; places > 6; places-- {
		n = (n + 5) / 10
	}
	return n
}

// price is an exact price of per counts.
func price(text string, per int64) tariff.Price {
	n, places := decimal(text)
	for ; places < 6; places++ {
		n *= 10
	}
	for ; places > 6; places-- {
		per *= 10
	}
	return tariff.Price{Amount: money.Amount(n), Per: per}
}

// counts reads "60s", "10 units" or "0".
func counts(text string) int64 {
	n, err := strconv.ParseInt(strings.TrimRight(text, " abcdefghijklmnopqrstuvwxyz"), 10, 64)
	if err != nil {
		panic(err)
	}
	return n
}

func clock(text string) int {
	var h, m, s int
	if _, err := fmt.Sscanf(text, "%d:%d:%d", &h, &m, &s); err != nil {
		panic(err)
	}
	return h*3600 + m*60 + s
}

func instant(text string) int64 {
	for _, layout := range []string{time.RFC3339, "2006-01-02T15:04:05"} {
		if at, err := time.Parse(layout, text); err == nil {
			return at.Unix()
		}
	}
	panic("no instant: " + text)
}

func days(text string) []tariff.Weekday {
	if text == "any" || text == "" {
		return nil
	}
	var out []tariff.Weekday
	week := tariff.Weekdays()
	for _, part := range strings.Split(text, ",") {
		from, to, span := strings.Cut(part, "-")
		if !span {
			to = from
		}
		for i := slices.Index(week, tariff.Weekday(from)); i <= slices.Index(week, tariff.Weekday(to)); i++ {
			out = append(out, week[i])
		}
	}
	return out
}

// translator builds one offering out of a case.
type translator struct {
	file  *ratingFile
	o     *tariff.Offering
	zones []string // every prefix that the case speaks of is a zone
}

func (tr *translator) tariffOf(v any) tariffText {
	switch v := v.(type) {
	case string:
		text, ok := tr.file.Tariffs[v]
		if !ok {
			panic("no tariff " + v)
		}
		return text
	case nil:
		return tariffText{Slots: []slotText{{From: "0", Rate: "0", Per: "1", Increment: "1"}}}
	}
	b, err := yaml.Marshal(v)
	if err != nil {
		panic(err)
	}
	var text tariffText
	if err := yaml.Unmarshal(b, &text); err != nil {
		panic(err)
	}
	return text
}

func newOffering() *tariff.Offering {
	return &tariff.Offering{ID: "case", Version: 1, Name: "Case", Currency: "EUR", Service: "main", Overrun: tariff.Owed,
		Profile: tariff.Profile{SessionLimit: 1, InterimSeconds: 60}, Reservation: tariff.Reservation{Quota: 1, TTLSeconds: 600}}
}

func (tr *translator) collect(prefixes []string) {
	for _, p := range prefixes {
		if p != "*any" && !slices.Contains(tr.zones, p) {
			tr.zones = append(tr.zones, p)
		}
	}
}

// under are the zones whose numbers all begin with one of the prefixes.
func (tr *translator) under(prefixes []string) []string {
	var out []string
	for _, z := range tr.zones {
		if slices.ContainsFunc(prefixes, func(p string) bool { return strings.HasPrefix(z, p) }) {
			out = append(out, z)
		}
	}
	return out
}

// usage adds a component that prices by the tariff.
func (tr *translator) usage(name string, unit tariff.Unit, text tariffText) {
	u := tariff.Usage{Name: name, Unit: unit, Partial: true}
	for _, z := range tr.zones {
		u.Destinations = append(u.Destinations, tariff.Destination{Zone: z, Prefixes: []string{z}})
	}
	zones := tr.under(text.Prefixes)
	if len(text.Prefixes) == 0 || slices.Contains(text.Prefixes, "*any") {
		zones = append(slices.Clone(tr.zones), "")
	}
	windows := text.Windows
	if len(windows) == 0 {
		windows = []windowText{{Slots: text.Slots, MaxCost: text.MaxCost, Strategy: text.Strategy}}
	}
	for _, w := range windows {
		window := ""
		if len(text.Windows) > 0 {
			window = tr.window(w)
		}
		slots := w.Slots
		if w.Use != "" {
			slots = tr.file.Tariffs[w.Use].Slots
		}
		if len(slots) == 0 { // a window alone: what it would cost is not asked
			slots = []slotText{{From: "0", Rate: "0", Per: "1", Increment: "1"}}
		}
		for _, z := range zones {
			r := rate(slots, w.MaxCost, w.Strategy)
			r.Zone, r.Window = z, window
			u.Rates = append(u.Rates, r)
		}
	}
	tr.o.Usage = append(tr.o.Usage, u)
}

func (tr *translator) window(w windowText) string {
	out := tariff.Window{Name: fmt.Sprintf("w%d", len(tr.o.Windows)), Days: days(w.Days), Weight: w.Weight}
	if w.Start != "" {
		out.From = clock(w.Start)
	}
	if w.Month > 0 {
		out.Months = []int{w.Month}
	}
	if w.MonthDay > 0 {
		out.MonthDays = []int{w.MonthDay}
	}
	if w.Month > 0 || w.MonthDay > 0 {
		out.Name = fmt.Sprintf("month %d day %d", w.Month, w.MonthDay)
	}
	tr.o.Windows = append(tr.o.Windows, out)
	return out.Name
}

func rate(slots []slotText, maxCost, strategy string) tariff.Rate {
	r := tariff.Rate{Fee: money.Amount(micro(slots[0].ConnectFee)), MaxCost: money.Amount(micro(maxCost))}
	switch strategy {
	case "free":
		r.AfterMax = tariff.FreeAfter
	case "disconnect":
		r.AfterMax = tariff.Disconnect
	}
	if len(slots) == 1 {
		r.Price, r.Next = price(slots[0].Rate, counts(slots[0].Per)), counts(slots[0].Increment)
		return r
	}
	r.Mode = tariff.Graduated
	for i, s := range slots {
		t := tariff.Tier{Price: price(s.Rate, counts(s.Per)), Step: counts(s.Increment)}
		if i+1 < len(slots) {
			t.UpTo = counts(slots[i+1].From)
		}
		r.Tiers = append(r.Tiers, t)
	}
	return r
}

// unit is what an event counts.
func (e *eventText) unit() tariff.Unit {
	if e.End != "" || e.Seconds != nil {
		return tariff.Seconds
	}
	return tariff.Events
}

// uses are the pieces of usage of an event.
func (e *eventText) uses() []rating.Use {
	at := int64(0)
	if e.Start != "" {
		at = instant(e.Start)
	}
	var out []rating.Use
	switch s := e.Seconds.(type) {
	case []any:
		for _, n := range s {
			out = append(out, rating.Use{Quantity: counts(fmt.Sprint(n)), From: at, To: at})
		}
	case nil:
		n := int64(0)
		if e.End != "" {
			n = instant(e.End) - at
		} else if e.Units != "" {
			n = counts(e.Units)
		}
		out = append(out, rating.Use{Quantity: n, From: at, To: at})
	default:
		out = append(out, rating.Use{Quantity: counts(fmt.Sprint(s)), From: at, To: at})
	}
	for range max(e.Repeat, 1) - 1 {
		out = append(out, out[0])
	}
	return out
}

// balances lists the balances by the names that the expectations use.
func (a *accountText) balances() []balanceText {
	out := slices.Clone(a.Balances)
	var members []string
	for name := range a.Members {
		members = append(members, name)
	}
	slices.Sort(members)
	for _, name := range members {
		for _, b := range a.Members[name] {
			b.ID = name + "." + b.ID
			out = append(out, b)
		}
	}
	if a.Group != nil {
		slices.SortStableFunc(out, func(x, y balanceText) int {
			switch {
			case strings.HasPrefix(a.Group.Strategy, "lowest"):
				return int(micro(x.Value) - micro(y.Value))
			case strings.HasPrefix(a.Group.Strategy, "highest"):
				return int(micro(y.Value) - micro(x.Value))
			}
			return 0 // one's own first: members are listed by name
		})
		for i := range out {
			out[i].Weight = 900 - i
		}
	}
	return out
}

var steps = regexp.MustCompile(`^free in steps of (\d+)s$`)

// allowances adds the balances to the offering, in the peer's order: what counts
// units before money, and by weight.
func (tr *translator) allowances(c *ratingCase, list []balanceText, unit tariff.Unit) {
	for _, b := range list {
		if b.Type != "monetary" && b.Type != "generic" && c.Event.Type != "" && b.Type != c.Event.Type {
			continue // pays for another service
		}
		a := tariff.Allowance{Name: b.ID, Unit: unit, Amount: 1, Priority: -b.Weight, Blocking: b.Blocker, Filter: tariff.Filter{Usage: []string{"usage"}}}
		if len(b.Prefixes) > 0 {
			if a.Filter.Zones = tr.under(b.Prefixes); len(a.Filter.Zones) == 0 {
				continue
			}
		}
		switch b.Type {
		case "monetary":
			a.Unit, a.Priority = tariff.Money, 1000-max(b.Weight, 0)
		case "generic":
			a.Unit, a.Factor = tariff.Units, tariff.Ratio{Num: 1_000_000, Den: 1}
			if num, den, ok := strings.Cut(b.PerSec, "/"); ok {
				a.Factor = tariff.Ratio{Num: 1_000_000 * counts(num), Den: counts(den)}
			}
		}
		if b.Factor != "" {
			n, places := decimal(b.Factor)
			a.Factor = tariff.Ratio{Num: n, Den: 1}
			for range places {
				a.Factor.Den *= 10
			}
		}
		if m := steps.FindStringSubmatch(b.RatedBy); m != nil {
			a.Step = counts(m[1])
		} else if b.RatedBy != "" {
			a.RatedBy = "rated by " + b.RatedBy
			if !slices.ContainsFunc(tr.o.Usage, func(u tariff.Usage) bool { return u.Name == a.RatedBy }) {
				tr.usage(a.RatedBy, unit, tr.file.Tariffs[b.RatedBy])
			}
		}
		if from, to, ok := strings.Cut(b.Active, "-"); ok {
			w := tariff.Window{Name: "active " + b.ID, From: clock(from), To: clock(to) + 1}
			tr.o.Windows = append(tr.o.Windows, w)
			a.Filter.Windows = []string{w.Name}
		}
		tr.o.Allowances = append(tr.o.Allowances, a)
	}
}

// value is a balance's amount in its unit's counts.
func (b *balanceText) value() int64 {
	if b.Seconds != "" {
		return counts(b.Seconds)
	}
	if b.Type == "monetary" || b.Type == "generic" {
		return micro(b.Value)
	}
	return counts(b.Value)
}

// world is a case made ready.
type world struct {
	o       *tariff.Offering
	plan    *rating.Plan
	wallet  *Wallet
	session Session
}

func (f *ratingFile) build(t *testing.T, c *ratingCase) *world {
	t.Helper()
	tr := &translator{file: f, o: newOffering()}
	text := tr.tariffOf(c.Tariff)
	account := c.Account
	if account == nil {
		account = &accountText{}
	}
	list := account.balances()
	tr.collect(text.Prefixes)
	for _, b := range list {
		tr.collect(b.Prefixes)
		if other, ok := f.Tariffs[b.RatedBy]; ok {
			tr.collect(other.Prefixes)
		}
	}
	for _, win := range text.Windows {
		if text.Rounding == nil && win.Use != "" {
			text.Rounding = f.Tariffs[win.Use].Rounding
		}
	}
	if text.Rounding != nil {
		mode := map[string]tariff.RoundingMode{"up": tariff.Up, "down": tariff.Down, "middle": tariff.HalfUp}[text.Rounding.Method]
		tr.o.Rounding = &tariff.Rounding{Mode: mode, Places: text.Rounding.Decimals}
	} else {
		tr.o.Rounding = &tariff.Rounding{Mode: tariff.HalfEven, Places: 6}
	}
	tr.usage("usage", c.Event.unit(), text)
	tr.allowances(c, list, c.Event.unit())
	for i := range tr.o.Allowances {
		a := &tr.o.Allowances[i]
		if a.Unit == tariff.Money {
			a.RatedBy = "" // in the language money pays prices; the test gives it terms of its own
		}
	}
	plan, err := rating.Compile(tr.o, rating.Env{})
	if err != nil {
		t.Fatalf("%s: %v", c.ID, err)
	}
	w := &world{o: tr.o, plan: plan}
	var buckets []*Bucket
	for i := range tr.o.Allowances {
		a := &tr.o.Allowances[i]
		b := list[slices.IndexFunc(list, func(b balanceText) bool { return b.ID == a.Name })]
		buckets = append(buckets, &Bucket{ID: a.Name, Name: a.Name, Unit: a.Unit, Priority: a.Priority, Value: b.value(), Given: b.value(), Terms: NewTerms(tr.o, plan, a)})
		if b.Type == "monetary" && b.RatedBy != "" {
			buckets[i].RatedBy = 1 + plan.Component("rated by "+b.RatedBy)
		}
	}
	w.wallet = NewWallet(0, buckets...)
	zone, _ := plan.Zone(0, c.Event.Destination)
	w.session.Context = rating.Context{Zone: zone}
	if c.Event.Start != "" {
		w.session.Context.Start = instant(c.Event.Start)
	}
	w.session.State.Started = c.Event.Segment > 0
	return w
}
