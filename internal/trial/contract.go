package trial

import (
	"cmp"
	"fmt"
	"strings"
	"time"

	"meridian/internal/charging"
	"meridian/internal/contract"
	"meridian/internal/invariant"
	"meridian/internal/money"
	"meridian/internal/rating"
	"meridian/internal/sheet"
	"meridian/internal/tariff"
	"meridian/internal/why"
)

// Events of a subscription's life. What falls due by its contract until an event is
// charged before it.
const (
	eventUsage    = "usage"
	eventActivate = "activate"
	eventRenew    = "renew" // time passes
	eventChange   = "change"
	eventCancel   = "cancel"
	eventPause    = "pause"
	eventResume   = "resume"
	eventTopUp    = "top-up"
	eventReferral = "referral"
)

// Kinds of what is charged or given by a contract, in the results.
const (
	ratedOneTime = "one-time"
	ratedFee     = "fee"
	ratedCredit  = "credit"
	ratedMinimum = "minimum"
	ratedLapsed  = "lapsed"
)

// maxDue bounds the charges that one event lets fall due.
const maxDue = 20_000

// contracted is a subscription that was activated.
type contracted struct {
	p      *person
	state  *contract.State
	facts  contract.Facts
	lapsed bool // what fell due could not be paid
}

// served tells whether the subscription may use its services.
func (c *contracted) served() bool { return !c.lapsed && c.state.Paused == 0 && c.state.Ended == 0 }

// standing says why there is no service.
func (c *contracted) standing() string {
	if c.state.Ended != 0 {
		return "the subscription has ended"
	}
	if !c.lapsed {
		return "the subscription is paused"
	}
	return "what fell due is not paid"
}

// inForce is the offering of a subscription that was activated, or "".
func (t *Trial) inForce(subscription string) string {
	if c := t.under[subscription]; c != nil {
		return c.p.v.ID
	}
	return ""
}

func (v *version) contract() *contract.Plan {
	return &contract.Plan{Offering: &v.Offering, Rating: v.plan}
}

// life carries out an event that is not usage.
func (t *Trial) life(e *Event, lang why.Language, out *[]Rated) {
	at, err := instant(e.Start)
	if err != nil {
		t.faults.add(e.Line, "start", e.Start, err.Error(), "write an instant such as 2026-12-01T08:00:00Z")
		return
	}
	c := t.under[e.Subscription]
	switch {
	case e.Event == eventActivate:
		t.activate(e, at, lang, out)
		return
	case c == nil:
		t.faults.add(e.Line, "event", e.Event, "is of a subscription that was not activated", "write an event activate before it")
		return
	case c.state.Ended != 0:
		t.faults.add(e.Line, "event", e.Event, "is of a subscription that has ended", "leave it out, or activate it again")
		return
	}
	t.catchUp(e, at, lang, out)
	switch e.Event {
	case eventRenew:
	case eventChange:
		t.change(e, c, at, lang, out)
	case eventCancel:
		list, err := c.p.v.contract().Cancel(c.state, &c.facts, at)
		t.conclude(e, c, list, err, lang, out)
	case eventPause:
		c.state.Pause(at)
	case eventResume:
		c.lapsed = c.lapsed || c.state.Paused != 0
	case eventTopUp, eventReferral:
		t.bonus(e, c, at, lang, out)
	default:
		t.faults.add(e.Line, "event", e.Event, "is no event", "use usage, activate, renew, change, cancel, pause, resume, top-up or referral")
		return
	}
	t.catchUp(e, at, lang, out)
}

func (t *Trial) activate(e *Event, at int64, lang why.Language, out *[]Rated) {
	id := cmp.Or(e.Offering, t.only)
	versions := t.offerings[id]
	c := t.under[e.Subscription]
	switch {
	case len(versions) == 0:
		t.faults.add(e.Line, "offering", e.Offering, "is no offering of the sheet", "name one by its id")
		return
	case c != nil && c.state.Ended == 0:
		t.faults.add(e.Line, "event", e.Event, "is of a subscription that is active", "use change, or cancel it first")
		return
	}
	v := validAt(versions, at)
	c = &contracted{p: t.person(e, v, at), state: &contract.State{}}
	c.facts.Holds = strings.Fields(e.Holds)
	if e.Since != "" {
		since, err := instant(e.Since)
		if err != nil {
			t.faults.add(e.Line, "since", e.Since, err.Error(), "write an instant such as 2020-12-01T00:00:00Z")
			return
		}
		c.state.Since = since
	}
	if e.Born != "" {
		days, ok := tariff.Date(e.Born).Days()
		if !ok {
			t.faults.add(e.Line, "born", e.Born, "is no date", "write a date such as 1990-12-31")
			return
		}
		_, month, day := tariff.Civil(days)
		c.facts.BirthMonth, c.facts.BirthDay = int(month), int(day)
	}
	t.under[e.Subscription] = c
	v.contract().Activate(c.state, at)
	c.p.openMinimums(time.Unix(at, 0).In(v.zone))
	t.catchUp(e, at, lang, out)
}

// change puts another offering in force. Money goes on, allowances do not.
func (t *Trial) change(e *Event, c *contracted, at int64, lang why.Language, out *[]Rated) {
	versions := t.offerings[e.Offering]
	if len(versions) == 0 || e.Offering == c.p.v.ID {
		t.faults.add(e.Line, "offering", e.Offering, "is no other offering of the sheet", "name one by its id")
		return
	}
	to := validAt(versions, at)
	from := c.p
	list, err := contract.Change(from.v.contract(), to.contract(), c.state, &c.facts, at)
	t.conclude(e, c, list, err, lang, out)
	delete(t.people, [2]string{e.Subscription, e.Offering})
	c.p = t.person(e, to, at)
	c.p.limited, c.p.owed = from.limited, from.owed
	c.p.money.Value, c.p.money.Given = from.money.Value, from.money.Given
	c.p.openMinimums(time.Unix(at, 0).In(to.zone))
}

// catchUp charges what has fallen due by an instant: of one instant all or nothing,
// as a region does. A subscription that cannot pay lapses until it can.
func (t *Trial) catchUp(e *Event, at int64, lang why.Language, out *[]Rated) {
	c := t.under[e.Subscription]
	if c == nil || c.state.Ended != 0 {
		return
	}
	t.renew(c.p, time.Unix(at, 0).In(c.p.v.zone))
	t.minimums(e, c, at, lang, out)
	if c.lapsed {
		t.recover(e, c, at, lang, out)
		return
	}
	for range maxDue {
		due, ok := c.p.v.contract().Due(c.state)
		if !ok || due > at {
			return
		}
		c.p.v = t.following(c.p.v, due)
		p := c.p.v.contract()
		p.Sync(c.state, due)
		next, bill := c.state.Clone(), []contract.Charge(nil)
		if !t.bill(e, c, p, next, &bill, due, true) {
			return
		}
		if !c.p.affords(bill) {
			t.chargeUsed(e, c, p, bill, lang, out)
			c.lapsed = true
			c.state.Pause(due)
			*out = append(*out, t.lapsed(e, c, due))
			return
		}
		c.state = next
		t.charge(e, c, bill, lang, out)
	}
	t.faults.add(e.Line, "start", e.Start, "lets too many charges fall due", fmt.Sprintf("write an event renew for each %d of them", maxDue))
}

// bill takes what is due from a contract, or only what is due first.
func (t *Trial) bill(e *Event, c *contracted, p *contract.Plan, next *contract.State, bill *[]contract.Charge, at int64, instant bool) bool {
	for len(*bill) < maxDue {
		x, due, err := p.Next(next, &c.facts, at)
		if err != nil {
			t.faults.add(e.Line, "", "", err.Error(), "correct the event or the tariff")
			return false
		}
		if !due || instant && len(*bill) > 0 && x.Due != (*bill)[0].Due {
			return true
		}
		p.Take(next, &x)
		*bill = append(*bill, x)
	}
	return true
}

// recover goes on with a lapsed or paused subscription when what it owes, and what
// begins now, can be paid.
func (t *Trial) recover(e *Event, c *contracted, at int64, lang why.Language, out *[]Rated) {
	p := c.p.v.contract()
	next, bill := c.state.Clone(), []contract.Charge(nil)
	if !t.bill(e, c, p, next, &bill, at, false) {
		return
	}
	p.Resume(next, at)
	if !t.bill(e, c, p, next, &bill, at, false) {
		return
	}
	if !c.p.affords(bill) {
		t.chargeUsed(e, c, p, bill, lang, out)
		return
	}
	c.state, c.lapsed = next, false
	t.charge(e, c, bill, lang, out)
}

// chargeUsed charges of a bill for which there is not enough what was used in arrears,
// fee by fee, up to the one that cannot be paid.
func (t *Trial) chargeUsed(e *Event, c *contracted, p *contract.Plan, bill []contract.Charge, lang why.Language, out *[]Rated) {
	for _, x := range bill[:p.Used(bill)] {
		if !c.p.affords([]contract.Charge{x}) {
			return
		}
		p.Take(c.state, &x)
		t.charge(e, c, []contract.Charge{x}, lang, out)
	}
}

func (t *Trial) lapsed(e *Event, c *contracted, at int64) Rated {
	r := t.row(e, c, ratedLapsed, "", at)
	r.Barred = c.standing()
	return r
}

func (p *person) affords(bill []contract.Charge) bool {
	sum := money.Amount(0)
	for i := range bill {
		var err error
		if sum, err = money.Add(sum, bill[i].Amount); err != nil {
			return false
		}
	}
	return !p.limited || int64(sum) <= p.money.Value
}

// conclude executes what ending or changing a contract brings.
func (t *Trial) conclude(e *Event, c *contracted, list []contract.Charge, err error, lang why.Language, out *[]Rated) {
	if err != nil {
		t.faults.add(e.Line, "", "", err.Error(), "correct the event or the tariff")
		return
	}
	t.charge(e, c, list, lang, out)
}

// charge executes charges: money pays, what it cannot is owed.
func (t *Trial) charge(e *Event, c *contracted, list []contract.Charge, lang why.Language, out *[]Rated) {
	for i := range list {
		x := &list[i]
		kind, amount, word := ratedFee, x.Amount, why.Fee
		switch x.Kind {
		case contract.OneTime:
			kind, word = ratedOneTime, why.OneTime
		case contract.Credit:
			kind, amount, word = ratedCredit, -x.Amount, why.Credit
		}
		r := t.row(e, c, kind, x.Component, x.Due)
		zone := c.p.v.zone
		day := func(at int64) string { return time.Unix(at, 0).In(zone).Format(time.DateOnly) }
		s := why.Charge{Kind: word, Component: x.Component, Currency: c.p.v.Currency, Days: x.Days, Of: x.Of, Price: x.Price, Amount: x.Amount, Off: x.Off}
		if x.Kind != contract.OneTime {
			r.From, r.Until = time.Unix(x.From, 0).In(zone).Format(time.RFC3339), time.Unix(x.To, 0).In(zone).Format(time.RFC3339)
			s.From, s.To = day(x.From), day(x.To)
		}
		if x.Part() {
			r.Part = fmt.Sprintf("%d of %d days", x.Days, x.Of)
			for j := range c.p.v.Recurring {
				if c.p.v.Recurring[j].Name == x.Component {
					s.Whole = c.p.v.Recurring[j].Price
				}
			}
		}
		r.Price = x.Price.String()
		for _, o := range x.Off {
			r.Promotions = append(r.Promotions, Off{Promotion: o.Promotion, Name: o.Name, Amount: o.Amount.String()})
		}
		c.p.pay(&r, amount)
		r.explain(lang, kind, &s)
		*out = append(*out, r)
	}
}

// pay takes an amount from money, or gives it back; what money lacks is owed.
func (p *person) pay(r *Rated, amount money.Amount) {
	n := min(int64(amount), p.money.Value)
	p.money.Value -= n
	rest := amount - money.Amount(n)
	owed, err := money.Add(p.owed, rest)
	invariant.Check(err == nil, "what is owed does not fit: %v", err)
	p.owed = owed
	r.Cost, r.CostText, r.Payable = amount, amount.String(), amount.String()
	if n != 0 {
		r.Payments = append(r.Payments, Payment{tariff.MoneyBalance, tariff.Money, money.Amount(n).String()})
	}
	if rest > 0 {
		r.Overrun = rest.String()
	}
}

func (t *Trial) row(e *Event, c *contracted, kind, component string, at int64) Rated {
	v := c.p.v
	zero := money.Amount(0).String()
	return Rated{Line: e.Line, Event: kind, Subscription: e.Subscription, Offering: v.ID, Version: v.Version, Usage: component, Unit: tariff.Money,
		Start: time.Unix(at, 0).In(v.zone).Format(time.RFC3339), Currency: string(v.Currency), CostText: zero, Payable: zero, Pieces: []Piece{}, Payments: []Payment{}}
}

func (r *Rated) explain(lang why.Language, kind string, s *why.Charge) {
	if lang == "" {
		return
	}
	r.Pieces = append(r.Pieces, Piece{Rule: fmt.Sprintf("%s@%d/%s", r.Offering, r.Version, r.Usage), Kind: kind, Price: r.Price, Amount: r.CostText, Why: why.ChargeSentence(lang, s)})
}

// bonus credits a top-up, and gives what promotions give for it or for a referral.
func (t *Trial) bonus(e *Event, c *contracted, at int64, lang why.Language, out *[]Rated) {
	amount := money.Amount(0)
	if e.Event == eventTopUp || e.Quantity != "" {
		n, err := sheet.ParseQuantity(e.Quantity, tariff.Money)
		if err != nil || n <= 0 || n > int64(tariff.MaxPrice) {
			t.faults.add(e.Line, "quantity", e.Quantity, "is no amount", "write what was paid, e.g. 20.00")
			return
		}
		amount = money.Amount(n)
	}
	r := t.row(e, c, e.Event, "", at)
	r.Quantity = amount.String()
	if e.Event == eventTopUp {
		c.p.money.Value = min(c.p.money.Value+int64(amount), charging.MaxValue) // a receivable is settled outside, as by a deposit
		c.p.money.Given = c.p.money.Value
		c.p.rearm(tariff.MoneyBalance)
	}
	kind := tariff.TopUpBonus
	if e.Event == eventReferral {
		kind = tariff.Referral
	}
	list, err := c.p.v.contract().Bonuses(c.state, &c.facts, kind, at, amount)
	if err != nil {
		t.faults.add(e.Line, "quantity", e.Quantity, err.Error(), "correct the event or the tariff")
		return
	}
	for _, b := range list {
		c.p.give(b.Gives, int64(b.Amount), at)
		t.settle(c.p, &charging.Result{})
		r.Promotions = append(r.Promotions, Off{b.Promotion, b.Name, b.Amount.String(), b.Gives})
		r.explain(lang, "bonus", &why.Charge{Kind: why.Bonus, Component: b.Name, Currency: c.p.v.Currency, Amount: b.Amount})
	}
	*out = append(*out, r)
}

// give adds to a balance; an allowance's validity begins anew.
func (p *person) give(balance string, n, at int64) {
	b := p.money
	if balance != tariff.MoneyBalance {
		b = p.wallet.Bucket(balance)
		for i := range p.renewals {
			if a := p.renewals[i].allowance; a.Name == balance && a.ValidFor != nil {
				if b.Expires != 0 && b.Expires <= at {
					b.Value = 0
				}
				b.Expires = plus(time.Unix(at, 0).In(p.v.zone), *a.ValidFor, 1).Unix()
			}
		}
	}
	b.Value = min(b.Value+n, charging.MaxValue)
	b.Given = max(b.Given, b.Value)
}

// discount takes off usage what promotions take: from what is owed first, then from
// the money that paid, the last balance first.
func (t *Trial) discount(e *Event, p *person, component int, at int64, r *charging.Result) ([]rating.Reduction, error) {
	c := t.under[e.Subscription]
	if c == nil || c.p != p || r.Cost <= 0 {
		return nil, nil
	}
	plan := p.v.contract()
	x, err := plan.Discount(c.state, &c.facts, p.v.plan.Name(component), at, r.Cost)
	if err != nil {
		return nil, err
	}
	plan.Take(c.state, &x)
	back := r.Cost - x.Amount
	r.Cost = x.Amount
	owed := min(back, r.Overrun)
	r.Overrun, back = r.Overrun-owed, back-owed
	if p.v.Overrun == tariff.Owed {
		p.owed -= owed
	}
	for i := len(r.Payments) - 1; i >= 0 && back > 0; i-- {
		pay := &r.Payments[i]
		if b := p.wallet.Bucket(pay.Bucket); b != nil && pay.Unit == tariff.Money {
			n := min(int64(back), pay.Amount)
			pay.Amount, b.Value, back = pay.Amount-n, b.Value+n, back-money.Amount(n)
		}
	}
	return x.Off, nil
}
