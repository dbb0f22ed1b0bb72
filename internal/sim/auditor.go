package sim

import (
	"context"
	"fmt"
	"strings"
	"time"

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
	ended     bool   // it began before the present epoch of its region served: nobody can know what is left of it
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
	checks   int // of V1–V9 while everything goes on
	acks     int
	late     int                      // reports that came again after days
	since    map[string]time.Duration // what should not last, and since when it does
}

func newAuditor(w *World) *auditor {
	return &auditor{w: w, lives: map[journal.SessionKey]*life{}, since: map[string]time.Duration{}}
}

func (a *auditor) fail(format string, args ...any) {
	if len(a.failures) < 5 {
		a.failures = append(a.failures, fmt.Sprintf("auditor: at %s: ", a.w.now)+fmt.Sprintf(format, args...))
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
	for _, p := range w.people {
		if p.online || p.unacked > 0 {
			left = append(left, fmt.Sprintf("%s online %t, %d reports unacknowledged", p.login, p.online, p.unacked))
		}
	}
	for _, r := range w.regions {
		left = append(left, r.describe()...)
	}
	return strings.Join(left, "; ")
}

func (r *region) describe() (left []string) {
	add := func(cond bool, format string, args ...any) {
		if cond {
			left = append(left, r.name+": "+fmt.Sprintf(format, args...))
		}
	}
	if r.leader < 0 {
		return []string{r.name + ": no leader"}
	}
	s := r.lead().state
	c := s.Count()
	add(r.lostDisks || r.releasing > 0, "disks lost %t, %d epochs to be released", r.lostDisks, r.releasing)
	add(s.Backlog() > 0, "%d entries not acknowledged", s.Backlog())
	add(c.Open+c.Reservations+c.Effects > 0, "%+v", c)
	for _, n := range r.nodes {
		add(!n.up || n.applied != r.lead().commit, "node %s applied %d of %d", n.id, n.applied, r.lead().commit)
	}
	rows, err := r.w.office.sink.Feed(context.Background(), r.name, s.FeedVersion, 1)
	add(err != nil || len(rows) > 0, "feed after %d: %d rows, %v", s.FeedVersion, len(rows), err)
	return left
}

// check runs V1–V9 on what is left, and the auditor's own arithmetic.
func (a *auditor) check() (Summary, error) {
	w := a.w
	sum := Summary{Checks: a.checks, Sessions: len(a.lives), Packets: a.packets, Acked: a.acks, Late: a.late, Cuts: w.office.cuts}
	for _, r := range w.regions {
		sum.Crashes += r.crashes
		sum.Partitions += r.partitions
		sum.Jumps += r.jumps
		sum.Installs += r.installs
		sum.StaleLogins += r.stale
		sum.Restored += r.restored
		sum.Anew += r.anew
	}
	broken := a.failures
	reports, err := a.reports()
	if err != nil {
		return sum, fmt.Errorf("%s", strings.Join(append(broken, err.Error()), "\n"))
	}
	offerings, err := a.offerings()
	if err != nil {
		return sum, err
	}
	if broken = append(broken, a.verify(reports, offerings)...); len(broken) > 0 {
		return sum, fmt.Errorf("%s", strings.Join(broken, "\n"))
	}
	books, err := a.read(offerings)
	if err != nil {
		return sum, fmt.Errorf("auditor: %w", err)
	}
	sum.Entries, sum.Charged, sum.Overrun, sum.Quarantine = books.entries, books.charged, books.overrun, books.quarantine
	sum.Given = books.given
	a.atRest(books)
	if len(a.failures) > 0 {
		return sum, fmt.Errorf("%s", strings.Join(a.failures, "\n"))
	}
	return sum, nil
}

func (a *auditor) offerings() ([]*tariff.Offering, error) {
	versions, err := a.w.office.services.Catalog.List(context.Background(), "", 0, 1000)
	out := make([]*tariff.Offering, len(versions))
	for i := range versions {
		out[i] = &versions[i].Offering
	}
	return out, err
}

// verify runs V1–V9 and returns what is broken.
func (a *auditor) verify(reports []verify.EdgeReport, offerings []*tariff.Offering) (broken []string) {
	for _, f := range verify.Check(context.Background(), a.w.office.store.Reader(), reports, &a.witness, verify.Options{Offerings: offerings}) {
		if !f.OK {
			broken = append(broken, f.ID+": "+f.Detail)
		}
	}
	return broken
}

// midway runs V1–V9 while everything goes on, as meridian verify does on a live
// system: at a point of each region's log that a majority of its nodes has reached.
// A region that cannot commit just then is looked at another time.
func (a *auditor) midway() {
	if a.w.calm || len(a.failures) > 0 {
		return
	}
	for _, r := range a.w.regions {
		if lead := r.lead(); lead == nil || !lead.ready || !lead.state.Configured || r.lostDisks {
			return
		}
	}
	var reports []verify.EdgeReport
	for _, r := range a.w.regions {
		i := r.leader
		if _, err := r.propose(i, &command.Audit{}); err != nil {
			return
		}
		lead := r.nodes[i]
		for _, n := range r.nodes {
			if n.up && n.applied == lead.applied {
				reports = append(reports, r.report(n))
			}
		}
	}
	offerings, err := a.offerings()
	if err != nil {
		a.fail("read the catalog: %v", err)
		return
	}
	a.checks++
	for _, what := range a.verify(reports, offerings) {
		a.fail("while everything goes on: %s", what)
	}
}

// report is what a node answers to an audit.
func (r *region) report(n *replica) verify.EdgeReport {
	rep := n.state.Report()
	rep.Node, rep.Index, rep.Entries = n.id, uint64(n.applied), n.entries
	if r.w.cfg.Faults != (Faults{}) {
		// The bound is stated for a region that takes reports and reaches its NAS.
		rep.OverrunBound = -1
	}
	return rep
}

// reports asks every node of every region for its totals at one point of the log.
func (a *auditor) reports() ([]verify.EdgeReport, error) {
	var out []verify.EdgeReport
	for _, r := range a.w.regions {
		if _, err := r.do(&command.Audit{}); err != nil {
			return nil, err
		}
		r.level()
		for _, n := range r.nodes {
			out = append(out, r.report(n))
		}
	}
	return out, nil
}
