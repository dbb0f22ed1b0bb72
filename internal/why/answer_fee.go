package why

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"meridian/internal/contract"
	"meridian/internal/journal"
	"meridian/internal/money"
	"meridian/internal/rating"
	"meridian/internal/replay"
	"meridian/internal/tariff"
)

// charged is what a fee's or credit's entry says of itself.
type charged struct {
	component string
	from      int64
	days, of  int64 // 0 = the whole
	price     money.Amount
	priced    bool // price stands there
	off       []rating.Reduction
}

// readCharge reads an entry's reference ("subscription/component/start") and detail
// ("10 of 31 days; price 10.00; Half (half) -5.00").
func readCharge(e *journal.Entry) (c charged, err error) {
	rest, ok := strings.CutPrefix(e.Ref, e.Subscription+"/")
	i := strings.LastIndexByte(rest, '/')
	if !ok || i < 0 {
		return c, fmt.Errorf("its reference %q names no component: it is of a format before components had names", e.Ref)
	}
	c.component = rest[:i]
	if c.from, err = strconv.ParseInt(rest[i+1:], 10, 64); err != nil {
		return c, fmt.Errorf("its reference %q names no start", e.Ref)
	}
	if e.Detail == "" {
		return c, nil
	}
	begun := "" // of a promotion whose name has the separator
	for _, part := range strings.Split(e.Detail, "; ") {
		switch {
		case begun != "":
			begun += "; " + part
			if r, ok := readOff(begun); ok {
				c.off, begun = append(c.off, r), ""
			}
		case strings.HasSuffix(part, " days"):
			if n, err := fmt.Sscanf(part, "%d of %d days", &c.days, &c.of); n != 2 || err != nil {
				return c, fmt.Errorf("its detail %q names no days", part)
			}
		case strings.HasPrefix(part, "price "):
			if c.price, err = money.Parse(strings.TrimPrefix(part, "price ")); err != nil {
				return c, fmt.Errorf("its detail %q names no price", part)
			}
			c.priced = true
		default:
			r, ok := readOff(part)
			if !ok {
				begun = part
				continue
			}
			c.off = append(c.off, r)
		}
	}
	if begun != "" {
		return c, fmt.Errorf("its detail %q is of another format", begun)
	}
	return c, nil
}

func readOff(s string) (r rating.Reduction, ok bool) {
	i, k := strings.LastIndex(s, " -"), strings.LastIndex(s, " (")
	if i < 0 || k < 0 || k+2 > i || s[i-1] != ')' {
		return r, false
	}
	amount, err := money.Parse(s[i+2:])
	return rating.Reduction{Name: s[:k], Promotion: s[k+2 : i-1], Amount: amount}, err == nil
}

// fee explains a one-time or recurring charge, which several entries may pay.
func (x *explain) fee() {
	e := x.q.Entry
	c, err := readCharge(e)
	if err != nil {
		x.unexplained("%s", err)
		x.charge = e.Ref
		return
	}
	total := int64(0)
	for _, o := range x.q.Beside {
		if o.Ref != e.Ref || o.Subscription != e.Subscription {
			continue
		}
		p := Payer{Entry: source(o), By: "balance", Bucket: o.Bucket, Balance: x.q.Names[o.Bucket], Unit: string(o.Unit), Amount: amountText(o.Amount, o.Unit)}
		switch o.Kind {
		case journal.KindRecurring, journal.KindOneTime:
		case journal.KindOwed:
			p.By = "owed"
		default:
			continue
		}
		total += o.Amount
		x.a.Paid = append(x.a.Paid, p)
	}
	net := money.Amount(total)
	price := net
	for _, r := range c.off {
		price += r.Amount
	}
	if c.priced && c.price != price {
		x.unexplained("its price %s less its discounts is not the %s that were charged", c.price, net)
	}
	s := Charge{Kind: Fee, Component: c.component, Currency: money.Currency(e.Unit), From: day(nil, c.from), Price: price, Amount: net, Off: c.off, Days: c.days, Of: c.of}
	x.a.Fee = &Part{Component: c.component, From: instant(c.from), Days: c.days, Of: c.of, Price: price.String()}
	for _, r := range c.off {
		x.a.Fee.Off = append(x.a.Fee.Off, Off{r.Promotion, r.Name, r.Amount.String()})
	}
	x.byVersion(&c, &s, price)
	if s.To == "" { // where the period ends is not known
		s.From = ""
	}
	x.charge = ChargeSentence(x.l, &s)
}

// byVersion finds the version by which a fee has its price.
func (x *explain) byVersion(c *charged, s *Charge, price money.Amount) {
	if len(x.q.Versions) == 0 {
		x.unexplained("%s", x.q.Unknown)
		return
	}
	said := ""
	for _, v := range x.q.Versions {
		amount, whole, to, kind, ok := priceOf(v, c)
		if !ok {
			continue
		}
		if said = fmt.Sprintf("%s version %d has the price %s", v.ID, v.Version, amount); amount != price {
			continue
		}
		x.priced(v)
		s.Kind, s.Whole, s.From = kind, whole, day(v, c.from)
		if x.a.Fee.Whole, x.a.Recomputed = whole.String(), amount.String(); to != 0 {
			s.To, x.a.Fee.To = day(v, to), instant(to)
		}
		if kind == OneTime {
			s.From, s.To = "", ""
		}
		if bad := offBy(v, c, price); bad != "" {
			x.unexplained("%s", bad)
		}
		return
	}
	if said == "" {
		said = "none of the subscription's offerings that are known has the component"
	}
	x.unexplained("no version of the subscription's offerings has %s at %s: %s", c.component, price, said)
}

// priceOf is what a component costs by a version for what a charge is for.
func priceOf(v *replay.Version, c *charged) (amount, whole money.Amount, to int64, kind ChargeKind, ok bool) {
	for i := range v.OneTime {
		if v.OneTime[i].Name == c.component {
			return v.OneTime[i].Price, v.OneTime[i].Price, 0, OneTime, true
		}
	}
	for i := range v.Recurring {
		r := v.Recurring[i]
		if r.Name != c.component {
			continue
		}
		alone := *v.Offering
		alone.OneTime, alone.Promotions, alone.Recurring = nil, nil, []tariff.Recurring{r}
		p := contract.Plan{Offering: &alone, Rating: v.Plan}
		s := contract.State{Activated: c.from, Bought: c.from, Parts: []contract.Part{{Component: r.Name, Anchor: c.from, Next: c.from}}}
		x, due, err := p.Next(&s, nil, math.MaxInt64/4)
		if err == nil && due && (c.of == 0 && x.Days == x.Of || x.Days == c.days && x.Of == c.of) {
			return x.Price, r.Price, x.To, Fee, true
		}
		if c.of == 0 {
			return r.Price, r.Price, 0, Fee, true
		}
		if c.of < c.days { // no part
			return 0, 0, 0, Fee, false
		}
		n, err := money.MulDiv(int64(r.Price), c.days, c.of, money.HalfEven) // of a period that ended early
		return money.Amount(n), r.Price, 0, Fee, err == nil
	}
	return 0, 0, 0, Fee, false
}

// offBy tells what is wrong with the discounts of a charge: each is what its
// promotion takes of what the ones before left.
func offBy(v *replay.Version, c *charged, price money.Amount) string {
	left := price
	for _, r := range c.off {
		var x *tariff.Promotion
		for i := range v.Promotions {
			if v.Promotions[i].ID == r.Promotion {
				x = &v.Promotions[i]
			}
		}
		if x == nil {
			return fmt.Sprintf("%s version %d has no promotion %s", v.ID, v.Version, r.Promotion)
		}
		percents := []tariff.Percent{x.Percent}
		switch x.Kind {
		case tariff.Trial:
			percents[0] = tariff.Hundred
		case tariff.Loyalty:
			percents = nil
			for _, t := range x.Tenure {
				percents = append(percents, t.Percent)
			}
		}
		fits := false
		for _, p := range percents {
			n, err := money.MulDiv(int64(left), int64(p), int64(tariff.Hundred), money.Floor)
			part, err2 := money.MulDiv(int64(x.Amount), max(c.days, 1), max(c.of, 1), money.Floor)
			off := min(money.Amount(n+part), left)
			fits = fits || err == nil && err2 == nil && (off == r.Amount || (x.Budget > 0 && r.Amount < off))
		}
		if !fits {
			return fmt.Sprintf("promotion %s does not take %s off %s", r.Promotion, r.Amount, left)
		}
		left -= r.Amount
	}
	return ""
}

// credit explains what is given back of a fee that was paid ahead.
func (x *explain) credit() {
	e := x.q.Entry
	c, err := readCharge(e)
	if err != nil {
		x.unexplained("%s", err)
		x.charge = e.Ref
		return
	}
	paid, start, known := x.paidAhead(&c)
	s := Charge{Kind: Credit, Component: c.component, Currency: money.Currency(e.Unit), Days: c.days, Of: c.of, Price: paid, Amount: money.Amount(e.Amount)}
	x.a.Fee = &Part{Component: c.component, From: instant(c.from), Days: c.days, Of: c.of}
	if !known {
		x.unexplained("the fee that it gives back is not in the ledger")
		s.Price = s.Amount
		x.charge = ChargeSentence(x.l, &s)
		return
	}
	x.a.Fee.Price = paid.String()
	back := paid
	if c.of != 0 {
		used, err := money.MulDiv(int64(paid), c.of-c.days, c.of, money.HalfEven)
		if err != nil {
			x.unexplained("%s", err)
			return
		}
		back = paid - money.Amount(used)
	}
	x.a.Recomputed = back.String()
	if back != money.Amount(e.Amount) {
		x.unexplained("of %s paid from %s on, the unused part is %s", paid, instant(start), back)
	}
	x.charge = ChargeSentence(x.l, &s)
}

// paidAhead is what was paid for the period that a credit is of: the last fee of the
// component, less what was given back of it before.
func (x *explain) paidAhead(c *charged) (paid money.Amount, start int64, known bool) {
	for _, e := range x.q.Before {
		if e.Subscription != x.q.Entry.Subscription {
			continue
		}
		o, err := readCharge(e)
		if err != nil || o.component != c.component || o.from > c.from {
			continue
		}
		switch {
		case e.Kind == journal.KindCredit && known && e != x.q.Entry:
			paid -= money.Amount(e.Amount)
		case e.Kind == journal.KindRecurring && (!known || o.from > start):
			paid, start, known = money.Amount(e.Amount), o.from, true
		case e.Kind == journal.KindRecurring && o.from == start:
			paid += money.Amount(e.Amount)
		}
	}
	return paid, start, known
}

// given explains an allowance that was given.
func (x *explain) given() {
	e := x.q.Entry
	if len(x.q.Versions) == 0 {
		x.unexplained("%s", x.q.Unknown)
		return
	}
	for _, v := range x.q.Versions {
		for i := range v.Allowances {
			a := &v.Allowances[i]
			most := a.Amount
			if a.Rollover != nil {
				most += a.Rollover.Max
			}
			if a.Name != e.Detail || e.Amount > most {
				continue
			}
			x.priced(v)
			x.a.Rounding, x.a.Recomputed = nil, amountText(a.Amount, e.Unit)
			if e.Amount != a.Amount && a.Rollover == nil {
				x.unexplained("the allowance is %s; the rest was in use by sessions, or was there", amountText(a.Amount, e.Unit))
			} else if e.Amount != a.Amount {
				x.unexplained("the allowance is %s; the rest is what its rollover kept, which the entry does not say", amountText(a.Amount, e.Unit))
			}
			return
		}
	}
	x.unexplained("no version of the subscription's offerings that is known has an allowance %s of so much", e.Detail)
}

// order explains a debit by what was ordered.
func (x *explain) order() {
	switch o := x.q.Order; {
	case o == nil:
		x.unexplained("the order %s is not known", x.q.Entry.Ref)
	case int64(o.Amount) != x.q.Entry.Amount:
		x.unexplained("the order is of %s", o.Amount)
	default:
		x.a.Recomputed = o.Amount.String()
	}
}

// day is a date in a version's zone.
func day(v *replay.Version, at int64) string {
	if v == nil {
		return time.Unix(at, 0).UTC().Format(time.DateOnly)
	}
	n, _ := v.Plan.Local(at)
	y, m, d := tariff.Civil(n)
	return fmt.Sprintf("%04d-%02d-%02d", y, m, d)
}

func instant(at int64) string { return time.Unix(at, 0).UTC().Format(time.RFC3339) }
