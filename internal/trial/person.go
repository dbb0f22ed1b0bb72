package trial

import (
	"time"

	"meridian/internal/charging"
	"meridian/internal/money"
	"meridian/internal/rating"
	"meridian/internal/sheet"
	"meridian/internal/tariff"
)

// moneyID stands behind the allowances of the same priority in charging order.
const moneyID = "~money"

// person is a subscription's state in a trial.
type person struct {
	v        *version
	began    time.Time
	wallet   *charging.Wallet
	money    *charging.Bucket
	limited  bool // the money was given; else all is paid on account
	owed     money.Amount
	renewals []renewal
	watches  []charging.Watch
	sessions map[string]*sitting // by component and session
	periods  map[string]*counted // by component
}

// renewal is when an allowance is given anew.
type renewal struct {
	bucket    *charging.Bucket
	allowance *tariff.Allowance
	until     time.Time
	pool      *pool // nil = not shared
	period    int   // of the pool, for which the child's limit is
}

// pool is an allowance that subscriptions share: it is given anew once, whoever of
// them comes first.
type pool struct {
	value        int64
	began, until time.Time
	period       int
}

// sitting is a session's state by a component, and the version that rates it.
type sitting struct {
	charging.Session
	version uint32
}

// counted is the state of a component that is counted by period.
type counted struct {
	version uint32
	session charging.Session
	until   time.Time
	last    string // session of the last event
}

func (t *Trial) person(e *Event, v *version, at int64) *person {
	key := [2]string{e.Subscription, v.ID}
	if p := t.people[key]; p != nil {
		p.v = v
		return p
	}
	p := &person{v: v, began: time.Unix(at, 0).In(v.zone), sessions: map[string]*sitting{}, periods: map[string]*counted{}}
	given := t.balances[e.Subscription]
	var buckets []*charging.Bucket
	for i := range v.Allowances {
		a := &v.Allowances[i]
		b := &charging.Bucket{ID: a.Name, Name: a.Name, Unit: a.Unit, Priority: a.Priority, Value: a.Amount, Given: a.Amount, Terms: charging.NewTerms(&v.Offering, v.plan, a)}
		if start, has := given[a.Name]; has {
			b.Value, _ = sheet.ParseQuantity(start.Value, a.Unit) // Start has read it
			b.Expires, _ = instant(start.Expires)
		} else if a.ValidFor != nil {
			b.Expires = plus(p.began, *a.ValidFor, 1).Unix()
		}
		r := renewal{bucket: b, allowance: a}
		if a.Every != nil {
			_, r.until = within(*a.Every, a.Anchor, p.began, p.began)
		}
		if s := a.Shared; s != nil {
			key := s.Pool + "/" + a.Name
			if t.pools[key] == nil {
				t.pools[key] = &pool{value: b.Value, began: p.began, until: r.until}
			}
			r.pool, r.period, r.until = t.pools[key], t.pools[key].period, t.pools[key].until
			if s.PerChild > 0 {
				b.Limit = &charging.Limit{Left: s.PerChild}
			}
		}
		if a.Every != nil && b.Expires == 0 {
			b.Expires = r.until.Unix()
		}
		p.renewals = append(p.renewals, r)
		buckets = append(buckets, b)
	}
	p.money = &charging.Bucket{ID: moneyID, Name: tariff.MoneyBalance, Unit: tariff.Money, Value: charging.MaxValue, Given: charging.MaxValue}
	if start, has := given[tariff.MoneyBalance]; has {
		p.limited = true
		p.money.Value, _ = sheet.ParseQuantity(start.Value, tariff.Money)
		p.money.Expires, _ = instant(start.Expires)
		p.money.Given = p.money.Value
	}
	p.wallet = charging.NewWallet(at, append(buckets, p.money)...)
	for _, x := range v.Thresholds {
		p.watches = append(p.watches, charging.Watch{Threshold: x})
	}
	t.people[key] = p
	return p
}

// renew gives allowances anew whose period has ended by at.
func (t *Trial) renew(p *person, at time.Time) {
	defer p.wallet.Resort() // of those alike in rank the one that ends first pays first
	for i := range p.renewals {
		r := &p.renewals[i]
		if r.pool != nil {
			r.share(p, at)
			continue
		}
		for r.allowance.Every != nil && !at.Before(r.until) {
			r.bucket.Value, r.bucket.Since = kept(r.allowance, r.bucket.Value), r.until.Unix()
			_, r.until = within(*r.allowance.Every, r.allowance.Anchor, p.began, r.until)
			r.bucket.Expires = r.until.Unix()
			p.rearm(r.allowance.Name)
		}
	}
}

// share gives the pool anew when its period has ended, and lets the child see what
// it holds.
func (r *renewal) share(p *person, at time.Time) {
	q := r.pool
	for r.allowance.Every != nil && !at.Before(q.until) {
		q.value = kept(r.allowance, q.value)
		_, q.until = within(*r.allowance.Every, r.allowance.Anchor, q.began, q.until)
		q.period++
	}
	if r.period != q.period {
		r.period, r.bucket.Expires = q.period, q.until.Unix()
		r.bucket.Since = int64(q.period)
		if r.bucket.Limit != nil {
			r.bucket.Limit.Left = r.allowance.Shared.PerChild
		}
		p.rearm(r.allowance.Name)
	}
	r.bucket.Value = q.value
}

// kept is a renewed allowance: the new amount, with what the rollover keeps.
func kept(a *tariff.Allowance, left int64) int64 {
	r := a.Rollover
	if r == nil {
		return a.Amount
	}
	keep := min(r.Max, max(r.Min, left))
	if r.Add {
		return min(a.Amount+keep, charging.MaxValue)
	}
	return keep
}

func (p *person) rearm(on string) {
	for i := range p.watches {
		if w := &p.watches[i]; w.On == on && w.Recurring {
			w.Rearm()
		}
	}
}

// session is the charging state that an event goes on with.
func (p *person) session(e *Event, component int, u *rating.Use) *charging.Session {
	c := &p.v.Usage[component]
	if c.Counted != tariff.ByPeriod {
		if e.Session == "" {
			return &charging.Session{Context: rating.Context{Component: component, Start: u.From}}
		}
		key := c.Name + "/" + e.Session
		k := p.sessions[key]
		switch {
		case k == nil:
			k = &sitting{Session: charging.Session{Context: rating.Context{Component: component, Start: u.From}}}
		case k.version != p.v.Version: // as at the edge
			k = &sitting{Session: charging.Session{Context: rating.Context{Component: component, Start: u.From}, State: p.v.plan.Continue(component, k.State)}}
		}
		k.version, p.sessions[key] = p.v.Version, k
		return &k.Session
	}
	every := tariff.Period{Unit: tariff.Month, Count: 1}
	if c.Every != nil {
		every = *c.Every
	}
	at := time.Unix(u.From, 0).In(p.v.zone)
	k := p.periods[c.Name]
	if k == nil || !at.Before(k.until) {
		_, until := within(every, tariff.Calendar, p.began, at)
		k = &counted{until: until, session: charging.Session{Context: rating.Context{Component: component}}}
		k.version, p.periods[c.Name] = p.v.Version, k
		p.rearm(c.Name)
	}
	if k.version != p.v.Version {
		k.session = charging.Session{Context: rating.Context{Component: component, Start: k.session.Context.Start}, State: p.v.plan.Carried(component, k.session.State), Draws: k.session.Draws}
		k.version = p.v.Version
	}
	u.New = e.Session == "" || e.Session != k.last
	if u.New {
		k.session.Context.Start = u.From
	}
	k.last = e.Session
	return &k.session
}
