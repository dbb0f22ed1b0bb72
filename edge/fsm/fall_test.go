package fsm

import (
	"fmt"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"meridian/edge/balance"
	"meridian/edge/command"
	"meridian/internal/charging"
	"meridian/internal/feed"
	"meridian/internal/journal"
	"meridian/internal/money"
	"meridian/internal/rating"
	"meridian/internal/tariff"
)

// megabytes prices 10.00 for each MB, and 4.00 for all of them beyond 1000; a bonus
// of money pays first when it is more than nothing.
func megabytes(bonus money.Amount) *tariff.Offering {
	o := perGigabyte()
	o.Profile.SessionLimit, o.Reservation.Quota = 2, 1
	mb := int64(1_000_000)
	o.Usage = []tariff.Usage{{Name: "data", Unit: tariff.Bytes, Rates: []tariff.Rate{{Mode: tariff.Volume,
		Tiers: []tariff.Tier{{UpTo: 1000 * mb, Price: tariff.Price{Amount: 10 * eur, Per: mb}, Step: mb}, {Price: tariff.Price{Amount: 4 * eur, Per: mb}, Step: mb}}}}}}
	if bonus > 0 {
		o.Allowances = []tariff.Allowance{{Name: "bonus", Unit: tariff.Money, Amount: int64(bonus), Priority: -1, Every: &tariff.Period{Unit: tariff.Day, Count: 1}}}
	}
	return o
}

// falls runs the script of a hand-worked case: "a 900" uses MB in session a, "+cash
// 50" grants, "cut", "isolated", "connected", "@3600" lets time go by.
type falls struct {
	*region
	used map[string]uint64
	from map[string]int64
	cash money.Amount
	loan money.Amount
}

func (f *falls) step(step string) {
	f.t.Helper()
	name, arg, _ := strings.Cut(step, " ")
	var n int64
	fmt.Sscan(arg, &n)
	switch {
	case name == "cut":
		f.apply(&command.CutAll{Limit: 100})
	case name == "isolated":
		f.apply(&command.SetMode{Mode: command.Isolated})
	case name == "connected":
		f.apply(&command.SetMode{Mode: command.Connected})
	case name == "+cash":
		f.cash += money.Amount(n) * eur
		f.grant(f.cash, 0, f.loan)
	case strings.HasPrefix(name, "@"):
		var seconds int64
		fmt.Sscanf(name, "@%d", &seconds)
		f.tick(seconds)
	default:
		f.tick(60)
		if _, open := f.from[name]; !open {
			f.from[name] = f.now - 60
			f.acct(command.Start, name, f.now-60, 0, 0)
		}
		f.used[name] += uint64(n) * 1_000_000
		f.acct(command.Interim, name, f.from[name], f.now-f.from[name], f.used[name])
	}
	f.reloaded()
}

// worth is what is left of a bucket, less what the region owes of it.
func worth(b *balance.Bucket) int64 { return b.Available() + b.H - b.Debt() }

// balances writes what each bucket of the account is worth, in whole units, and what
// is owed in all.
func (f *falls) balances() string {
	var out []string
	for _, list := range [][]*balance.Bucket{f.s.bucketsOf("a"), f.s.own["sub"]} {
		for _, b := range list {
			name := b.ID
			if b.Made != nil && b.Made.Allowance != "" {
				name = b.Made.Allowance
			} else if b.Made != nil {
				name = "made"
			}
			out = append(out, fmt.Sprintf("%s %d", strings.TrimPrefix(name, "a/"), worth(b)/int64(eur)))
		}
	}
	owed := f.sum(journal.KindOverrun) - f.sum(journal.KindReversed)
	for _, sess := range f.s.sessions {
		owed += money.Amount(sess.overrunning())
	}
	return strings.Join(append(out, fmt.Sprintf("owed %d", owed/eur)), ", ")
}

// The cases of internal/charging (TestAFallGoesBackToWhoPaid), at the edge, cut or
// not between reports. A MB costs 10.00, and 4.00 for all beyond 1000.
func TestAFallAtTheEdgeGoesBackToWhoPaid(t *testing.T) {
	for _, c := range []struct {
		name  string
		cash  int64
		bonus money.Amount
		loan  int64
		steps string
		want  string
	}{
		{"one bucket", 20_000, 0, 0, "a 900; a 200; a 100", "cash 15200, owed 0"},
		{"one report", 20_000, 0, 0, "a 1200", "cash 15200, owed 0"},
		{"bonus, then money", 20_000, 3000, 0, "a 900; a 200", "cash 18600, bonus 0, owed 0"},
		{"the bonus gets its own back", 20_000, 9000, 0, "a 1100", "cash 20000, bonus 4600, owed 0"},
		{"dry: what nobody paid is not given back", 4000, 0, 0, "a 400; a 600; a 200", "cash 0, owed 800"},
		{"dry midway, then cheaper", 9000, 0, 0, "a 950; a 150", "cash 4600, owed 0"},
		{"dry midway, then a top-up", 4000, 0, 0, "a 400; a 100; +cash 20000; a 400; a 200", "cash 19600, owed 0"},
		// a holds one MB ahead, 10.00, which b cannot have
		{"two sessions", 12_000, 0, 0, "a 900; b 900; a 200; b 100", "cash 3610, owed 6010"},
		{"two sessions, each gets its own back", 12_000, 0, 0, "a 900; b 900; b 200; a 200", "cash 4610, owed 1410"},
		{"a bonus that was given anew: what the last one paid is nobody's", 1000, 9000, 0, "a 900; @86400; a 200", "cash 1000, bonus 8604, owed 0"},
		{"what was borrowed is repaid, not given", 5000, 0, 4000, "isolated; a 900; a 200", "cash 600, owed 0"},
		{"borrowed, and repaid by a grant before the fall", 5000, 0, 4000, "isolated; a 900; connected; +cash 5000; a 200", "cash 5600, owed 0"},
	} {
		for _, cut := range []bool{false, true} {
			o := megabytes(c.bonus * eur)
			f := &falls{newRegion(t, money.Amount(c.cash)*eur, o), map[string]uint64{}, map[string]int64{}, money.Amount(c.cash) * eur, money.Amount(c.loan) * eur}
			f.grant(f.cash, 0, f.loan)
			for _, step := range strings.Split(c.steps, "; ") {
				f.step(step)
				if cut {
					f.step("cut")
				}
			}
			if got := f.balances(); got != c.want {
				t.Errorf("%s, cut %t: %s\n got %s\nwant %s (%s)", c.name, cut, c.steps, got, c.want, f.paid())
			}
			for _, b := range f.s.buckets.sorted() {
				if b.Made == nil && b.Debt() != 0 && c.loan > 0 {
					t.Errorf("%s: %d are borrowed still, %d are there", c.name, b.Debt(), b.Available())
				}
			}
		}
	}
}

// Whatever the reports, cuts, grants, outages and expiries: the edge pays and gives
// back what the pure walk does by its buckets, entries close each bucket's books,
// and what buckets paid, with what is owed, less what they got back is the price.
func TestNoSequenceAtTheEdgeCreatesOrDestroysValue(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		bonus := money.Amount(rapid.Int64Range(0, 6000).Draw(rt, "bonus")) * eur
		o := megabytes(bonus)
		f := &falls{newRegion(t, 0, o), map[string]uint64{}, map[string]int64{}, 0, money.Amount(rapid.Int64Range(0, 3000).Draw(rt, "loan")) * eur}
		f.grant(0, 0, f.loan)
		f.feed(feed.KindLease, "a/dated", &feed.Lease{Bucket: "a/dated", Account: "a", Unit: "EUR", Epoch: 1, Priority: rapid.IntRange(-2, 2).Draw(rt, "priority"),
			Granted: int64(money.Amount(rapid.Int64Range(0, 5000).Draw(rt, "dated")) * eur), ExpiresAt: t0 + rapid.Int64Range(100, 100_000).Draw(rt, "expires")})
		rt.Repeat(map[string]func(*rapid.T){
			"use":   func(t *rapid.T) { f.useBeside(t, o) },
			"more":  func(t *rapid.T) { f.useBeside(t, o) },
			"time":  func(t *rapid.T) { f.step(fmt.Sprintf("@%d", rapid.Int64Range(1, 40_000).Draw(t, "seconds"))) },
			"grant": func(t *rapid.T) { f.step(fmt.Sprintf("+cash %d", rapid.Int64Range(0, 4000).Draw(t, "amount"))) },
			"other": func(t *rapid.T) { f.step(rapid.SampledFrom([]string{"cut", "isolated", "connected"}).Draw(t, "what")) },
			"":      func(t *rapid.T) { f.closed(t, o) },
		})
	})
}

// useBeside reports usage, and compares what it did to each bucket with the walk.
func (f *falls) useBeside(t *rapid.T, o *tariff.Offering) {
	name := rapid.SampledFrom([]string{"a", "b"}).Draw(t, "session")
	n := rapid.Int64Range(0, 700).Draw(t, "MB")
	if _, open := f.from[name]; !open {
		f.step(name + " 0")
	}
	f.tick(60)
	key := journal.SessionKey{NAS: "nas", ID: name, Start: f.from[name]}
	sess := f.s.sessions[key]
	if sess == nil || !sess.Open { // it went stale meanwhile
		return
	}
	v := newVersion(o, rating.Env{})
	pure := charging.Session{Context: rating.Context{Start: sess.rated.parts[0].start}, State: sess.rated.parts[0].tally}
	p := &sess.rated.parts[0]
	pure.Owed, pure.Payers = p.owed, append(pure.Payers, p.payers...)
	w := f.s.fill(f.s.subscriptions.get("sub"), v, sess.Hold, nil).Clone()
	w.At(f.now)
	before := map[string]int64{}
	for _, b := range f.s.buckets.sorted() {
		id := b.ID
		before[id] = worth(b)
	}
	var r charging.Result
	if err := charging.Debit(v.plan, &pure, w, rating.Use{Quantity: n * 1_000_000, From: sess.Meter.Event, To: f.now}, charging.Owe, &r); err != nil {
		t.Fatal(err)
	}
	f.used[name] += uint64(n) * 1_000_000
	f.acct(command.Interim, name, f.from[name], f.now-f.from[name], f.used[name])
	for _, x := range r.Payments {
		if x.Bucket == "" { // it goes to one without end, which may be made
			continue
		}
		before[x.Bucket] -= x.Amount
	}
	made := int64(0)
	for _, x := range r.Payments {
		if x.Bucket == "" {
			made = -x.Amount
		}
	}
	for _, b := range f.s.buckets.sorted() {
		id := b.ID
		if got := worth(b) - before[id]; got != 0 && got != made {
			t.Fatalf("bucket %s is worth %d, by the walk %d (%+v)", id, worth(b), before[id], r)
		} else if got == made {
			made = 0
		}
	}
	if made != 0 || sess.rated.parts[0].owed != pure.Owed {
		t.Fatalf("%d were not given to anybody; owed %d, by the walk %d", made, sess.rated.parts[0].owed, pure.Owed)
	}
}

// closed adds the ledger and the live state up.
func (f *falls) closed(t *rapid.T, o *tariff.Offering) {
	type books struct{ t, s, b, p, x int64 }
	sums := map[string]*books{}
	billed := map[journal.SessionKey]int64{}
	for i := range f.entries {
		e := &f.entries[i]
		if sums[e.Bucket] == nil {
			sums[e.Bucket] = &books{}
		}
		k := sums[e.Bucket]
		switch {
		case e.Kind.Spends():
			k.s += e.Amount
		case e.Kind.TakesIn():
			k.t += e.Amount
		case e.Kind == journal.KindBorrowed:
			k.b += e.Amount
		case e.Kind == journal.KindRepaid:
			k.p += e.Amount
		}
		switch e.Kind {
		case journal.KindCharge, journal.KindOverrun:
			billed[e.Session] += e.Amount
		case journal.KindRefund, journal.KindReversed:
			billed[e.Session] -= e.Amount
		}
	}
	for _, b := range f.s.buckets.sorted() {
		id := b.ID
		k := sums[id]
		if k == nil {
			k = &books{}
		}
		if b.T != k.t || b.S != k.s || b.B != k.b || b.P != k.p || b.X != 0 {
			t.Fatalf("bucket %s: %+v; its entries come to %+v", id, *b, *k)
		}
		if b.Expires != 0 && b.Expires+f.s.Policy.StaleAfter <= f.now && b.Made != nil && b.Available() != 0 {
			t.Fatalf("bucket %s has expired and %d are in it", id, b.Available())
		}
	}
	for key, sess := range f.s.sessions {
		sum := billed[key] + sess.overrunning()
		for _, p := range sess.Pending {
			sum += p.Amount
		}
		mb := int64(f.used[key.ID] / 1_000_000)
		want := 10 * mb
		if mb > 1000 {
			want = 4 * mb
		}
		if sum != want*int64(eur) {
			t.Fatalf("session %s: %d MB were charged %d, they cost %d.00", key, mb, sum, want)
		}
	}
}

// What one component of a session gives back pays for the next in the same report,
// cut or not before. Data costs 10.00 a MB, and 4.00 for all beyond 1000; time costs
// 1.00 a second. 100 s and 1000 MB come to 10 100.00, which is all there is; at 200 s
// and 1001 MB data costs 4004.00: 5996.00 come back, time takes 100.00 of them.
func TestWhatAComponentGivesBackPaysForTheNext(t *testing.T) {
	for _, c := range []struct {
		name     string
		cash     money.Amount
		bonus    money.Amount
		dated    money.Amount // ends before the second report
		perChild int64
		want     string
	}{
		{"cash", 10_100, 0, 0, 0, "cash 5896, owed 0"},
		{"a bonus", 0, 10_100, 0, 0, "cash 0, bonus 5896, owed 0"},
		{"a pool, all of what the child may use", 0, 20_000, 0, 10_100, "bonus 15796, cash 0, owed 0"},
		{"money that has ended since", 0, 0, 10_100, 0, "dated 0, cash 5896, owed 0"},
	} {
		for _, cut := range []bool{false, true} {
			o := megabytes(c.bonus * eur)
			o.Usage[0].Rates[0].Tiers[0].Step, o.Usage[0].Rates[0].Tiers[1].Step = 0, 0
			o.Usage = append(o.Usage, tariff.Usage{Name: "time", Unit: tariff.Seconds, Rates: []tariff.Rate{{Price: tariff.Price{Amount: eur, Per: 1}}}})
			if c.perChild > 0 {
				o.Allowances[0].Shared = &tariff.Shared{Pool: "family", PerChild: c.perChild * int64(eur)}
			}
			f := &falls{region: newRegion(t, c.cash*eur, o)}
			if c.dated > 0 {
				f.feed(feed.KindLease, "a/dated", &feed.Lease{Bucket: "a/dated", Account: "a", Unit: "EUR", Epoch: 1, Granted: int64(c.dated * eur), ExpiresAt: f.now + 150})
			}
			start := f.now
			f.acct(command.Start, "s", start, 0, 0)
			f.tick(100)
			f.acct(command.Interim, "s", start, 100, 1_000_000_000)
			if cut {
				f.apply(&command.CutAll{Limit: 10})
			}
			f.tick(100)
			f.acct(command.Stop, "s", start, 200, 1_001_000_000)
			f.reloaded()
			if got := f.balances(); got != c.want {
				t.Errorf("%s, cut %t: %s, want %s (%s)", c.name, cut, got, c.want, f.paid())
			}
			net := f.sum(journal.KindCharge) - f.sum(journal.KindRefund)
			if net != 4204*eur { // 4004 + 200
				t.Errorf("%s, cut %t: entries come to %s, want 4204.00", c.name, cut, net)
			}
		}
	}
}
