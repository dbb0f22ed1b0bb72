package trial

import (
	"time"

	"meridian/internal/charging"
	"meridian/internal/money"
	"meridian/internal/rating"
	"meridian/internal/tariff"
	"meridian/internal/why"
)

func countedEvery(u *tariff.Usage) tariff.Period {
	if u.Every != nil {
		return *u.Every
	}
	return tariff.Period{Unit: tariff.Month, Count: 1}
}

// openMinimums begins the periods of the components that cost something at least.
func (p *person) openMinimums(at time.Time) {
	for i := range p.v.Usage {
		if u := &p.v.Usage[i]; u.MinPeriod > 0 && p.periods[u.Name] == nil {
			_, until := within(countedEvery(u), tariff.Calendar, p.began, at)
			p.periods[u.Name] = &counted{version: p.v.Version, until: until, session: charging.Session{Context: rating.Context{Component: i}}}
		}
	}
}

// least is what a period of a component that begins at a time costs at least.
func (t *Trial) least(have *version, component string, at time.Time) money.Amount {
	v := t.following(have, at.Unix())
	if i := v.plan.Component(component); i >= 0 {
		return v.Usage[i].MinPeriod
	}
	return 0
}

// minimums charges, of periods that have ended by an instant, the difference to
// what they cost at least.
func (t *Trial) minimums(e *Event, c *contracted, at int64, lang why.Language, out *[]Rated) {
	now := time.Unix(at, 0).In(c.p.v.zone)
	for i := range c.p.v.Usage {
		u := &c.p.v.Usage[i]
		for n := 0; u.MinPeriod > 0 && c.p.periods[u.Name] != nil && !now.Before(c.p.periods[u.Name].until) && n < maxDue; n++ {
			k := c.p.periods[u.Name]
			from := k.until.Add(-time.Second)
			begin, until := within(countedEvery(u), tariff.Calendar, c.p.began, from)
			if short := t.least(c.p.v, u.Name, begin) - k.session.State.Charged; short > 0 && !c.lapsed {
				r := t.row(e, c, ratedMinimum, u.Name, k.until.Unix())
				r.From, r.Until = begin.Format(time.RFC3339), until.Format(time.RFC3339)
				c.p.pay(&r, short)
				r.explain(lang, ratedMinimum, &why.Charge{Kind: why.Minimum, Component: u.Name, Currency: c.p.v.Currency, From: begin.Format(time.DateOnly), To: until.Format(time.DateOnly), Amount: short})
				*out = append(*out, r)
			}
			_, next := within(countedEvery(u), tariff.Calendar, c.p.began, k.until)
			c.p.periods[u.Name] = &counted{version: c.p.v.Version, until: next, session: charging.Session{Context: rating.Context{Component: i}}}
			if t.least(c.p.v, u.Name, k.until) == 0 {
				delete(c.p.periods, u.Name)
			}
			c.p.rearm(u.Name)
		}
	}
}
