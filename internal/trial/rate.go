package trial

import (
	"fmt"
	"slices"
	"time"

	"meridian/internal/charging"
	"meridian/internal/invariant"
	"meridian/internal/money"
	"meridian/internal/rating"
	"meridian/internal/sheet"
	"meridian/internal/tariff"
	"meridian/internal/why"
)

// one rates one event.
func (t *Trial) one(e *Event, v *version, component int, u rating.Use, lang why.Language) (Rated, error) {
	p := t.person(e, v, u.From)
	at := time.Unix(u.From, 0).In(v.zone)
	t.renew(p, at)
	p.wallet.Advance(u.From, nil)
	s := p.session(e, component, &u)
	zone, ok := v.plan.Zone(component, e.Destination)
	if e.Zone != "" {
		zone, ok = v.plan.ZoneNamed(component, e.Zone), true
	}
	if !ok {
		return Rated{}, fmt.Errorf("destination %q has no rate in %s", e.Destination, v.plan.Name(component))
	}
	s.Context.Zone = zone
	r := Rated{Line: e.Line, Subscription: e.Subscription, Offering: v.ID, Version: v.Version, Usage: v.plan.Name(component), Unit: v.plan.Unit(component),
		Session: e.Session, Start: at.Format(time.RFC3339), Zone: v.plan.ZoneName(component, zone), Window: v.plan.WindowAt(u.From),
		Quantity: sheet.Quantity(u.Quantity, v.plan.Unit(component)), Currency: string(v.Currency), Pieces: []Piece{}, Payments: []Payment{}}
	if c := t.under[e.Subscription]; c != nil && c.p == p && !c.served() {
		r.Barred, r.CostText, r.Payable = c.standing(), money.Amount(0).String(), money.Amount(0).String()
		return r, nil
	}
	if barred := p.barred(v.plan.Service(component), r.Zone, u.From); barred != "" {
		r.Barred, r.CostText, r.Payable = barred, money.Amount(0).String(), money.Amount(0).String()
		return r, nil
	}
	var result charging.Result
	if err := charging.Debit(v.plan, s, p.wallet, u, charging.Owe, &result); err != nil {
		return Rated{}, err
	}
	t.settle(p, &result)
	p.home()
	off, err := t.discount(e, p, component, u.From, &result)
	if err != nil {
		return Rated{}, err
	}
	r.tell(&result, v, component, lang)
	r.takenOff(v, off, lang)
	r.Payable = v.plan.Payable(component, s.State).String()
	r.Raised = t.observe(p, component, s, u.From)
	r.Profile = p.profile(v.plan.Service(component), u.From)
	return r, nil
}

// home takes in money that was given back and whose balance had ended: it has no end
// any more.
func (p *person) home() {
	b := p.wallet.Bucket("")
	if b == nil {
		return
	}
	p.wallet.Buckets = slices.DeleteFunc(p.wallet.Buckets, func(x *charging.Bucket) bool { return x == b })
	p.money.Value, p.money.Expires = b.Value, 0
	p.wallet.Resort()
}

// settle keeps what shared buckets have left, and what is owed: overrun that the
// operator bears nobody owes.
func (t *Trial) settle(p *person, r *charging.Result) {
	for i := range p.renewals {
		if x := &p.renewals[i]; x.pool != nil {
			x.pool.value = x.bucket.Value
		}
	}
	if p.v.Overrun != tariff.Owed {
		return
	}
	sum, err := money.Add(p.owed, r.Overrun)
	invariant.Check(err == nil, "what is owed does not fit: %v", err)
	p.owed = max(sum, 0)
}

// tell writes a result in words.
func (r *Rated) tell(result *charging.Result, v *version, component int, lang why.Language) {
	unit := v.plan.Unit(component)
	for i := range result.Slices {
		if lang == "" { // the sums alone are asked for
			break
		}
		x := &result.Slices[i]
		f := why.FactsOf(&v.Offering, component, r.Zone, *x)
		piece := Piece{Rule: x.Rule, Kind: x.Kind.String(), Quantity: sheet.Quantity(x.Quantity, unit), Counts: x.Quantity, Amount: x.Amount.String(), Why: why.Sentence(lang, &f)}
		if x.Kind == rating.KindUsage {
			piece.Price = sheet.PriceText(x.Price, unit, v.Currency)
			if x.Charged != x.Quantity {
				piece.Charged = sheet.Quantity(x.Charged, unit)
			}
		}
		r.Pieces = append(r.Pieces, piece)
	}
	for _, x := range result.Payments {
		name := x.Bucket
		if name == moneyID || name == "" {
			name = tariff.MoneyBalance
		}
		if x.Amount != 0 {
			r.Payments = append(r.Payments, Payment{name, x.Unit, sheet.Quantity(x.Amount, x.Unit)})
		}
	}
	for _, x := range result.Lapsed {
		r.Lapsed = append(r.Lapsed, Payment{x.Bucket, x.Unit, sheet.Quantity(x.Amount, x.Unit)})
	}
	r.Cost, r.CostText = result.Cost, result.Cost.String()
	if result.Overrun != 0 {
		r.Overrun = result.Overrun.String()
	}
}

// takenOff tells what promotions took off usage.
func (r *Rated) takenOff(v *version, list []rating.Reduction, lang why.Language) {
	for i := range list {
		x := &list[i]
		r.Promotions = append(r.Promotions, Off{Promotion: x.Promotion, Name: x.Name, Amount: x.Amount.String()})
		if lang != "" {
			r.Pieces = append(r.Pieces, Piece{Rule: x.Promotion, Kind: "discount", Amount: (-x.Amount).String(), Why: why.OffSentence(lang, r.Usage, v.Currency, x)})
		}
	}
}

// observe lets thresholds fire and does what they say.
func (t *Trial) observe(p *person, component int, s *charging.Session, at int64) (raised []string) {
	for i := range p.watches {
		w := &p.watches[i]
		value, given := int64(0), int64(0)
		switch b := p.wallet.Bucket(w.On); {
		case w.On == tariff.MoneyBalance:
			value, given = p.money.Value, p.money.Given
		case b != nil:
			value, given = b.Value, b.Given
		case w.On == p.v.plan.Name(component):
			value = s.State.Quantity
		default:
			continue
		}
		if !w.Observe(value, given) {
			continue
		}
		raised = append(raised, w.Name)
		if err := p.wallet.Apply(at, w.Actions); err != nil {
			raised = append(raised, w.Name+": "+err.Error())
		}
		t.settle(p, &charging.Result{})
	}
	return raised
}
