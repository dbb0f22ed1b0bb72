package sim

import (
	"context"
	"fmt"
	"math/big"
	"strings"

	"meridian/edge/command"
	"meridian/internal/journal"
	"meridian/internal/tariff"
	"meridian/internal/verify"
)

// life is what the auditor knows of one session, from the subscriber's side.
type life struct {
	key       journal.SessionKey
	offering  string
	in, out   uint64 // used at the newest report
	stopped   bool   // its Stop was acknowledged: what was used is known to both
	abandoned bool   // the NAS forgot it
}

// auditor knows what was truly used, paid and acknowledged, and charges by an
// implementation of its own: per session and price, quantity × price ÷ per,
// rounded down once, in big integers.
type auditor struct {
	w        *World
	witness  verify.Witness
	lives    map[journal.SessionKey]*life
	failures []string
	packets  int
	acks     int
}

func newAuditor(w *World) *auditor {
	return &auditor{w: w, lives: map[journal.SessionKey]*life{}}
}

func (a *auditor) fail(format string, args ...any) {
	if len(a.failures) < 5 {
		a.failures = append(a.failures, fmt.Sprintf("at %s: ", a.w.now)+fmt.Sprintf(format, args...))
	}
}

// knows tells whether a session of this name began within the tolerance.
func (a *auditor) knows(key journal.SessionKey) bool {
	for d := int64(-61); d <= 61; d++ {
		if a.lives[journal.SessionKey{NAS: key.NAS, ID: key.ID, Start: key.Start + d}] != nil {
			return true
		}
	}
	return false
}

func (a *auditor) begin(p *subscriber) {
	a.lives[p.session] = &life{key: p.session, offering: p.offering}
}

func (a *auditor) abandon(p *subscriber) { a.lives[p.session].abandoned = true }

var statusName = map[command.Status]string{
	command.Start: verify.StatusStart, command.Interim: verify.StatusInterim, command.Stop: verify.StatusStop,
}

func witnessOf(key journal.SessionKey, c *command.Accounting) *verify.WitnessAcct {
	return &verify.WitnessAcct{
		NAS: key.NAS, ID: key.ID, Start: key.Start, Status: statusName[c.Status],
		Event: c.Event, Seconds: c.Seconds, In: c.In, Out: c.Out,
	}
}

func (a *auditor) sent(key journal.SessionKey, c *command.Accounting) *life {
	l := a.lives[key]
	l.in, l.out = c.In, c.Out
	a.packets++
	a.witness.Add(verify.WitnessRecord{Sent: witnessOf(key, c)})
	return l
}

func (a *auditor) acked(l *life, c *command.Accounting) {
	a.acks++
	if l == nil {
		return
	}
	l.stopped = l.stopped || c.Status == command.Stop
	a.witness.Add(verify.WitnessRecord{Acked: witnessOf(l.key, c)})
}

// quiet is true when nothing is left to do anywhere.
func (w *World) quiet() bool { return w.describe() == "" }

// describe says what is still under way.
func (w *World) describe() string {
	var left []string
	add := func(cond bool, format string, args ...any) {
		if cond {
			left = append(left, fmt.Sprintf(format, args...))
		}
	}
	for _, p := range w.people {
		add(p.online || p.unacked > 0, "%s online %t, %d reports unacknowledged", p.login, p.online, p.unacked)
	}
	r := w.region
	if r.leader < 0 {
		return "no leader"
	}
	s := r.nodes[r.leader].state
	c := s.Count()
	add(s.Backlog() > 0, "%d entries not acknowledged", s.Backlog())
	add(c.Open+c.Reservations+c.Effects > 0, "%+v", c)
	for _, n := range r.nodes {
		add(!n.up || n.applied != len(r.log), "node %s applied %d of %d", n.id, n.applied, len(r.log))
	}
	rows, err := w.office.sink.Feed(context.Background(), "north", s.FeedVersion, 1)
	add(err != nil || len(rows) > 0, "feed after %d: %d rows, %v", s.FeedVersion, len(rows), err)
	return strings.Join(left, "; ")
}

// check runs V1–V9 on what is left, and the auditor's own arithmetic.
func (a *auditor) check() (Summary, error) {
	w := a.w
	sum := Summary{Sessions: len(a.lives), Packets: a.packets, Acked: a.acks, Crashes: w.region.crashes, Cuts: w.office.cuts}
	if len(a.failures) > 0 {
		return sum, fmt.Errorf("%s", strings.Join(a.failures, "\n"))
	}
	if _, err := w.region.do(&command.Audit{}); err != nil {
		return sum, err
	}
	var reports []verify.EdgeReport
	for _, n := range w.region.nodes {
		n.catchUp(w.region.log)
		rep := n.state.Report()
		rep.Node, rep.Index, rep.Entries = n.id, uint64(n.applied), n.entries
		if w.cfg.Faults != (Faults{}) {
			// The bound is stated for a region that takes reports and reaches its NAS.
			rep.OverrunBound = -1
		}
		reports = append(reports, rep)
	}
	versions, err := w.office.services.Catalog.List(context.Background(), "", 0, 1000)
	if err != nil {
		return sum, err
	}
	var offerings []*tariff.Offering
	for i := range versions {
		offerings = append(offerings, &versions[i].Offering)
	}
	var broken []string
	for _, f := range verify.Check(context.Background(), w.office.store.Reader(), reports, &a.witness, verify.Options{Offerings: offerings}) {
		if !f.OK {
			broken = append(broken, f.ID+": "+f.Detail)
		}
	}
	if len(broken) > 0 {
		return sum, fmt.Errorf("%s", strings.Join(broken, "\n"))
	}
	return sum, a.charge(&sum, offerings)
}

// charge holds the ledger against what was truly used.
func (a *auditor) charge(sum *Summary, offerings []*tariff.Offering) error {
	ctx, w := context.Background(), a.w
	type priced struct {
		session journal.SessionKey
		version uint32
	}
	used := map[priced]int64{}
	taken := map[priced]int64{}
	seen := map[journal.SessionKey]uint64{}
	spent, paid := map[string]int64{}, map[string]int64{}
	version := map[journal.SessionKey]uint32{}
	err := w.office.store.Reader().Entries(ctx, "north", func(_, _ uint64, raw []byte, _ journal.Hash) error {
		e, err := journal.DecodeEntry(raw)
		if err != nil {
			return err
		}
		sum.Entries++
		switch {
		case e.Kind == journal.KindUsage:
			version[e.Session] = e.Usage.OfferingVersion
			if e.Usage.Offering == "volume" {
				used[priced{e.Session, e.Usage.OfferingVersion}] += int64(e.Usage.InOctets + e.Usage.OutOctets)
			}
			seen[e.Session] += e.Usage.InOctets + e.Usage.OutOctets
		case e.Kind == journal.KindCharge:
			taken[priced{e.Session, version[e.Session]}] += e.Amount
		case e.Kind == journal.KindOverrun:
			taken[priced{e.Session, version[e.Session]}] += e.Amount
			sum.Overrun += e.Amount
		}
		if e.Kind.Spends() {
			spent[e.Account] += e.Amount
			sum.Charged += e.Amount
		}
		return nil
	})
	if err != nil {
		return err
	}
	for key, l := range a.lives {
		if truth := l.in + l.out; l.stopped && seen[key] != truth {
			return fmt.Errorf("auditor: session %s used %d octets, the ledger has %d", key, truth, seen[key])
		}
	}
	price := map[uint32]*tariff.Offering{}
	for _, o := range offerings {
		if o.ID == "volume" {
			price[o.Version] = o
		}
	}
	for k, quantity := range used {
		u := price[k.version].Usage[0].Rates[0].Price
		want := new(big.Int).Mul(big.NewInt(quantity), big.NewInt(int64(u.Amount)))
		want.Quo(want, big.NewInt(u.Per))
		if want.Int64() != taken[k] {
			return fmt.Errorf("auditor: session %s by version %d: %d octets are worth %s, %d was taken", k.session, k.version, quantity, want, taken[k])
		}
	}
	err = w.office.store.Reader().Buckets(ctx, func(b verify.CentreBucket) error {
		for _, l := range b.Leases {
			paid[b.Account] += l.S
		}
		if b.Credited != int64(w.office.deposits[b.Account]) {
			return fmt.Errorf("auditor: account %s paid in %s, the centre credited %d", b.Account, w.office.deposits[b.Account], b.Credited)
		}
		return nil
	})
	if err != nil {
		return err
	}
	for account, n := range spent {
		if paid[account] != n {
			return fmt.Errorf("auditor: account %s spent %d by its entries, %d by its lease", account, n, paid[account])
		}
	}
	return nil
}
