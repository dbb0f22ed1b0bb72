package fsm

import (
	"fmt"
	"strings"

	"meridian/edge/balance"
	"meridian/edge/command"
	"meridian/internal/contract"
	"meridian/internal/journal"
	"meridian/internal/money"
)

// maxBill bounds the charges of one subscription that one look at it executes; the
// next tick goes on.
const maxBill = 64

// contract is the version as the contract's rules see it.
func (v *version) contract() *contract.Plan {
	return &contract.Plan{Offering: v.Offering, Rating: v.plan}
}

// renew charges what has fallen due, keyed (subscription, component, start): of one
// instant all or nothing, but what was used in arrears. What cannot be paid lapses: sessions are cut off, and new
// credit tries again.
func (s *State) renew(sub *Subscription) {
	now := s.seconds()
	if sub.Terminated || sub.Barred || now == 0 {
		return
	}
	s.beforeSubscription(sub)
	s.bought(sub, now)
	o := s.inForce(sub, now)
	if o == nil {
		return
	}
	p := o.contract()
	s.activate(sub, p, now)
	if sub.Lapsed {
		s.recover(sub, p, now)
		return
	}
	if s.postponed(sub, p, now) {
		return
	}
	next, bill := sub.Contract.Clone(), []contract.Charge(nil)
	more, ok := s.bill(sub, p, next, &bill, now, true)
	switch {
	case !ok:
		return
	case len(bill) > 0 && !s.payBill(sub, journal.Unit(o.Currency), bill):
		s.payUsed(sub, p, bill)
		sub.Lapsed = true
		sub.Contract.Pause(bill[0].Due)
		s.disconnectAll(sub)
	case len(bill) > 0:
		sub.Contract = *next
		sub.Version++
	}
	s.rest(sub, p, more)
}

// rest notes until when the subscription has paid, and looks at it again then.
func (s *State) rest(sub *Subscription, p *contract.Plan, more bool) {
	sub.PaidUntil = sub.Contract.PaidUntil(p)
	if sub.Lapsed {
		return
	}
	if at, ok := p.Due(&sub.Contract); more || ok {
		s.wakeRenewal(sub, max(at, s.seconds()+1))
	}
}

// activate begins the contract, or goes on with the period that was paid before
// contracts were kept.
func (s *State) activate(sub *Subscription, p *contract.Plan, now int64) {
	k := &sub.Contract
	if k.Activated == 0 {
		p.Activate(k, now)
		if until := sub.PaidUntil; until != 0 && len(k.Parts) > 0 {
			k.Parts[0].Anchor, k.Parts[0].Next, k.Parts[0].To = until, until, until
			k.Once = len(p.OneTime)
		}
		if sub.Lapsed {
			k.Pause(max(sub.PaidUntil, 1))
		}
	}
	p.Sync(k, now)
}

// bill takes what is due by now from the contract, at most maxBill charges, or only
// what falls due at one instant. Not ok when a price does not fit.
func (s *State) bill(sub *Subscription, p *contract.Plan, k *contract.State, bill *[]contract.Charge, now int64, instant bool) (more, ok bool) {
	f := s.facts(sub)
	for {
		c, due, err := p.Next(k, f, now)
		if err != nil {
			s.Anomalies++ // prices are bounded where they enter
			return false, false
		}
		if !due {
			return false, true
		}
		if n := len(*bill); n > 0 && instant && c.Due != (*bill)[0].Due || n >= maxBill {
			return true, true
		}
		p.Take(k, &c)
		*bill = append(*bill, c)
	}
}

// recover tries again to pay what a lapsed subscription owes: what it used in
// arrears, and what begins now.
func (s *State) recover(sub *Subscription, p *contract.Plan, now int64) {
	next, bill := sub.Contract.Clone(), []contract.Charge(nil)
	_, ok := s.bill(sub, p, next, &bill, now, false)
	if !ok {
		return
	}
	p.Resume(next, now)
	more, ok := s.bill(sub, p, next, &bill, now, false)
	if !ok {
		return
	}
	if !s.payBill(sub, journal.Unit(p.Currency), bill) {
		s.payUsed(sub, p, bill)
		return
	}
	sub.Contract, sub.Lapsed = *next, false
	if len(bill) > 0 {
		sub.Version++
	}
	s.rest(sub, p, more)
}

// payUsed pays of a bill for which there is not enough what was used in arrears, fee by
// fee, up to the one that cannot be paid.
func (s *State) payUsed(sub *Subscription, p *contract.Plan, bill []contract.Charge) {
	for range p.Used(bill) {
		next := sub.Contract.Clone()
		c, due, err := p.Next(next, s.facts(sub), s.seconds())
		if err != nil || !due {
			return
		}
		p.Take(next, &c)
		if !s.payBill(sub, journal.Unit(p.Currency), []contract.Charge{c}) {
			return
		}
		sub.Contract = *next
		sub.Version++
	}
}

// resume goes on with a contract whose bar was lifted: what passed meanwhile is not
// owed.
func (s *State) resume(sub *Subscription) {
	if sub.Contract.Activated == 0 {
		s.renewSoon(sub)
		return
	}
	lapsed := sub.Lapsed
	sub.Lapsed = true // until what begins now is paid
	s.renewSoon(sub)
	if sub.Lapsed && !lapsed {
		s.disconnectAll(sub)
	}
}

// facts are what promotions ask about a subscription.
func (s *State) facts(sub *Subscription) *contract.Facts {
	f := &contract.Facts{}
	for _, other := range s.subscriptionsOf(sub.Account) {
		if !other.Terminated {
			f.Holds = append(f.Holds, other.Offering)
		}
	}
	return f
}

// unpaid tells whether a subscription is not served because something that fell due
// was not paid.
func (sub *Subscription) unpaid(o *version) bool {
	return sub.Lapsed || sub.Contract.Activated == 0 && o.Charged()
}

// renewSoon looks at a subscription's charges now, or at the first tick of a region
// that has no time yet or does not have all that its epoch begins with.
func (s *State) renewSoon(sub *Subscription) {
	if s.Now == 0 || s.Gathering {
		s.wakeRenewal(sub, 1)
		return
	}
	s.renew(sub)
	s.giveAllowances(sub)
}

// payBill pays charges at once, all or nothing.
func (s *State) payBill(sub *Subscription, unit journal.Unit, bill []contract.Charge) bool {
	price := int64(0)
	for i := range bill {
		sum, err := money.Add(money.Amount(price), bill[i].Amount)
		if err != nil {
			return false
		}
		price = int64(sum)
	}
	buckets := s.usable(sub.Account, unit)
	if have := s.gather(buckets, price); have < price {
		for _, b := range buckets {
			s.settle(b)
		}
		return false
	}
	for i := range bill {
		s.payCharge(sub, unit, buckets, &bill[i], false)
	}
	return true
}

// gather is what buckets can pay of a price, the offline allowance included while
// the region is not connected.
func (s *State) gather(buckets []*balance.Bucket, price int64) (have int64) {
	for _, b := range buckets {
		have += b.Available()
	}
	for _, b := range buckets {
		if have >= price || s.Mode == command.Connected {
			break
		}
		have += s.borrow(b, price-have)
	}
	return have
}

// payCharge spends a charge by entries that name it and say for how long it is, one for each bucket. A charge
// that promotions made nothing has an entry too: where there is no bucket, nothing
// is owed. What buckets cannot pay is owed when owe is set.
func (s *State) payCharge(sub *Subscription, unit journal.Unit, buckets []*balance.Bucket, c *contract.Charge, owe bool) {
	e := journal.Entry{Kind: journal.KindRecurring, Account: sub.Account, Subscription: sub.ID, Unit: unit, Quantity: c.To - c.From, Ref: chargeRef(sub.ID, c), Detail: chargeDetail(c)}
	if c.Kind == contract.OneTime {
		e.Kind = journal.KindOneTime
	}
	left := int64(c.Amount)
	for i, b := range buckets {
		if left == 0 && (c.Amount != 0 || len(c.Off) == 0 || i > 0) {
			return
		}
		s.beforeBucket(b)
		n := b.Charge(left)
		if n == 0 && left > 0 {
			continue
		}
		left -= n
		b.Cut(n)
		e.Bucket, e.Amount = b.ID, n
		s.emit(e)
	}
	if owe && left > 0 || len(buckets) == 0 && c.Amount == 0 && len(c.Off) > 0 {
		e.Kind, e.Bucket, e.Amount = journal.KindOwed, "", left
		s.emit(e)
	}
}

// chargeRef names what a charge is for: subscription/component/start.
func chargeRef(subscription string, c *contract.Charge) string {
	return fmt.Sprintf("%s/%s/%d", subscription, c.Component, c.From)
}

// chargeDetail says what is not plain of a charge: the part of a period, and what
// each promotion took off.
func chargeDetail(c *contract.Charge) string {
	var parts []string
	if c.Part() {
		parts = append(parts, fmt.Sprintf("%d of %d days", c.Days, c.Of))
	}
	if len(c.Off) > 0 {
		parts = append(parts, "price "+c.Price.String())
	}
	for _, r := range c.Off {
		parts = append(parts, fmt.Sprintf("%s (%s) -%s", r.Name, r.Promotion, r.Amount))
	}
	return strings.Join(parts, "; ")
}

// changeContract ends the old offering's charges and begins the new one's.
func (s *State) changeContract(sub *Subscription, to *version) {
	now := s.seconds()
	from := s.inForce(sub, now)
	if from == nil || from.ID == to.ID {
		return
	}
	p := from.contract()
	s.activate(sub, p, now)
	list, err := contract.Change(p, to.contract(), &sub.Contract, s.facts(sub), now)
	if err != nil {
		s.Anomalies++
		return
	}
	s.conclude(sub, p, list)
}

// endContract charges what was used in arrears and gives back what the offering
// says.
func (s *State) endContract(sub *Subscription) {
	now := s.seconds()
	o := s.inForce(sub, now)
	if o == nil || sub.Contract.Activated == 0 || sub.Contract.Ended != 0 {
		return
	}
	p := o.contract()
	list, err := p.Cancel(&sub.Contract, s.facts(sub), now)
	if err != nil {
		s.Anomalies++
		return
	}
	s.conclude(sub, p, list)
}

// conclude executes what ending or changing a contract brings.
func (s *State) conclude(sub *Subscription, p *contract.Plan, list []contract.Charge) {
	for i := range list {
		c := &list[i]
		if c.Kind != contract.Credit {
			buckets := s.usable(sub.Account, journal.Unit(p.Currency))
			s.gather(buckets, int64(c.Amount))
			s.payCharge(sub, journal.Unit(p.Currency), buckets, c, true)
			continue
		}
		s.refund(s.longest(sub.Account, journal.Unit(p.Currency)), journal.Entry{Kind: journal.KindCredit, Account: sub.Account, Subscription: sub.ID, Unit: journal.Unit(p.Currency), Amount: int64(c.Amount),
			Ref: chargeRef(sub.ID, c), Detail: chargeDetail(c)})
	}
	sub.PaidUntil = sub.Contract.PaidUntil(p)
}
