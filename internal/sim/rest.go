package sim

import (
	"fmt"
	"slices"
	"time"

	"meridian/edge/command"
	"meridian/edge/fsm"
	"meridian/internal/money"
)

// patience is how long something may take to happen in a calm world: an interim
// interval, a tick, and the NAS's answer.
const patience = 100 * time.Second

// standing looks at who is online while the world is calm: nobody who is barred,
// and nobody who has nothing left to pay with, for longer than it takes to
// disconnect. Nothing is said of a session that has not reported in that time: the
// region may have closed it, and nobody can disconnect what does not speak.
func (a *auditor) standing() {
	lasting := map[string]time.Duration{}
	for _, p := range a.w.people {
		r := p.region
		if !p.online || r.leader < 0 || p.spoke < a.w.calmFrom {
			continue
		}
		s := r.lead().state
		why := ""
		sub, ok := s.Subscription(p.id)
		money := moneyOf(s, p.account)
		switch {
		case !ok:
		case sub.Barred:
			why = "is barred"
		case sub.Offering == "volume" && len(money) == 1 && money[0].Available+money[0].Held == 0:
			why = "has nothing left"
		}
		if why == "" {
			continue
		}
		what := fmt.Sprintf("session %s: the subscriber %s and is online", p.session, why)
		lasting[what] = a.w.now
		if since, known := a.since[what]; known {
			lasting[what] = since
		}
		if a.w.now-lasting[what] > patience {
			a.fail("%s since %s", what, lasting[what])
		}
	}
	a.since = lasting
}

// moneyOf is what a replica knows of an account's money.
func moneyOf(s *fsm.State, account string) []fsm.AccountView {
	return slices.DeleteFunc(s.Account(account), func(v fsm.AccountView) bool { return v.Unit == tariffBytes })
}

// atRest holds every node against the naive account: a subscriber has what was
// paid in less what was spent, nothing is held or uncut, and may log in exactly
// when the naive rules say so.
func (a *auditor) atRest(b *books) {
	a.balances(b, "at rest")
	held := map[string]bool{}
	for _, p := range a.w.people {
		offering := p.offering
		if o := b.offering[p.id]; o != "" {
			offering = o
		}
		if offering == "volume" {
			if held[p.account] {
				continue // what is held for another subscription of the account is not free
			}
			held[p.account] = true
		}
		a.probe(b, p, offering)
	}
	a.w.runUntil(a.w.now + 3*time.Minute) // the reservations of the probes end
	a.balances(b, "after the last reservations")
}

func (a *auditor) balances(b *books, when string) {
	for _, r := range a.w.regions {
		r.level()
		now := a.w.clock().UnixMicro()
		for _, n := range r.nodes {
			if off := n.state.Now - now; off > 1_000_000 || off < -3_000_000 {
				a.fail("%s: node %s has region time %d, true time is %d", when, n.id, n.state.Now, now)
			}
		}
		for _, p := range r.people() {
			left := a.left(b, p.account)
			open := int64(a.w.office.claimed[p.account]) - (b.served[p.account] - b.repaid[p.account])
			lent := b.lent[p.account] - b.repaid[p.account]
			for _, n := range r.nodes {
				v := moneyOf(n.state, p.account)
				if open > 0 && left > 0 {
					a.fail("%s: account %s has %d left although claims lack %d", when, p.account, left, open)
				} else if len(v) != 1 {
					a.fail("%s: node %s has %d buckets of account %s", when, n.id, len(v), p.account)
				} else if v[0].Available != max(left, 0) || v[0].LentUnpaid+lent != max(-left, 0) || v[0].Held != 0 || v[0].Uncut != 0 {
					a.fail("%s: account %s paid in %s and spent %d, node %s has %+v", when, p.account, a.w.office.deposits[p.account], b.spent[p.account], n.id, v[0])
				}
			}
		}
	}
}

// left is what an account has by the naive count: paid in, less what was spent and
// what served claims.
func (a *auditor) left(b *books, account string) int64 {
	return int64(a.w.office.deposits[account]) - b.spent[account] - (b.served[account] - b.repaid[account])
}

// probe logs a subscriber in, as a NAS would, and expects what follows from the
// books alone.
func (a *auditor) probe(b *books, p *subscriber, offering string) {
	r := p.region
	left := a.left(b, p.account)
	now := a.w.unix()
	want := command.ReasonNone
	switch from, ever := b.paidFrom[p.id]; {
	case b.barred[p.id]:
		want = command.ReasonBarred
	case offering == "flat" && (!ever || from+day <= now):
		want = command.ReasonUnpaid
		if left >= dayPrice {
			a.fail("subscriber %s has %s and its day is not paid", p.login, money.Amount(left))
		}
	case offering == "volume" && left <= 0:
		want = command.ReasonNoBalance
	}
	key := fsm.ReserveKey(r.nas, "probe", "", "", p.login)
	res, err := r.do(&command.Reserve{NAS: r.nas, Key: key, SessionID: "probe", Login: p.login})
	if err != nil || res.Reason != want || (res.Code == command.OK) != (want == command.ReasonNone) {
		a.fail("subscriber %s with %s left: a login gives code %d (%s), %v; expected %s", p.login, money.Amount(left), res.Code, res.Reason, err, want)
	}
}
