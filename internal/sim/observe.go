package sim

import (
	"context"
	"time"

	"meridian/edge/command"
	"meridian/internal/journal"
	"meridian/internal/money"
	"meridian/internal/sim/history"
	"meridian/internal/verify"
)

// readEach is how often a region is read through its log, and the centre's books.
const readEach = 7 * time.Second

// observer writes down what clients did and saw, for a judge who knows nothing of
// this world. Its clock counts what it wrote, so that nothing happens at one
// instant with something else. Most runs have none.
type observer struct {
	w     *World
	clock int64
	open  []*call
	reads int
}

// call is a client's operation; ret is 0 until it is answered.
type call struct {
	begun, ret int64
	in         history.Input
	out        history.Output
}

// observe begins to write down, before the world opens.
func (w *World) observe() *observer {
	o := &observer{w: w}
	w.observer = o
	w.every(readEach, time.Hour, o.read)
	return o
}

func (o *observer) begin(in history.Input) *call {
	o.clock++
	c := &call{begun: o.clock, in: in}
	o.open = append(o.open, c)
	return c
}

func (o *observer) end(c *call) {
	if c.ret == 0 { // the first answer counts
		o.clock++
		c.ret = o.clock
	}
}

// reporting notes that a NAS begins to send a report; what it returns is called
// when that is acknowledged.
func (w *World) reporting(p *subscriber, key journal.SessionKey, c *command.Accounting) func() {
	if w.observer == nil || c.Status == command.On || c.Status == command.Off {
		return func() {}
	}
	in := history.Input{Account: p.account, Kind: history.Report, Session: key.String(), Usage: history.Counters{In: c.In, Out: c.Out, Seconds: c.Seconds}}
	if c.Status == command.Stop {
		in.Kind = history.Stop
	}
	op := w.observer.begin(in)
	return func() { w.observer.end(op) }
}

// paying is the same for money that a clerk takes.
func (w *World) paying(account string, amount money.Amount) func() {
	if w.observer == nil {
		return func() {}
	}
	op := w.observer.begin(history.Input{Account: account, Kind: history.Credit, Amount: int64(amount)})
	return func() { w.observer.end(op) }
}

// read asks the centre for its books, and every node that takes itself for a leader
// for the region, through the log.
func (o *observer) read() {
	o.books()
	for _, r := range o.w.regions {
		for i, n := range r.nodes {
			if !n.up || !n.leads {
				continue
			}
			o.clock++
			begun := o.clock
			if _, err := r.propose(i, &command.Audit{}); err == nil {
				report := n.state.Report()
				o.region(begun, r, &report)
			}
		}
	}
}

// region writes down what a report says of each account whose home the region is.
func (o *observer) region(begun int64, r *region, report *verify.EdgeReport) {
	o.clock++
	o.reads++
	views, accounts := map[string]*history.Output{}, map[string]string{}
	for _, p := range r.people() {
		views[p.account], accounts[p.id] = &history.Output{}, p.account
	}
	for _, b := range report.Buckets {
		if v := views[b.Account]; v != nil {
			v.Granted, v.Returned, v.Charged = v.Granted+b.G, v.Returned+b.X, v.Charged+b.S+b.U
		}
	}
	for _, s := range report.Sessions {
		if v := views[accounts[s.Subscription]]; v != nil {
			v.Sessions = append(v.Sessions, history.Session{ID: s.Key.String(), Open: s.Open, Counters: history.Counters{In: s.In, Out: s.Out, Seconds: s.Seconds}})
		}
	}
	told := map[string]bool{}
	for _, p := range r.people() {
		if !told[p.account] {
			told[p.account] = true
			o.open = append(o.open, &call{begun, o.clock, history.Input{Account: p.account, Kind: history.Region}, *views[p.account]})
		}
	}
}

func (o *observer) books() {
	o.clock++
	begun := o.clock
	credited := map[string]int64{}
	err := o.w.office.store.Reader().Buckets(context.Background(), func(b verify.CentreBucket) error {
		credited[b.Account] += b.Credited
		return nil
	})
	if err != nil {
		o.w.audit.fail("read the centre's buckets: %v", err)
		return
	}
	o.clock++
	told := map[string]bool{}
	for _, p := range o.w.people {
		if !told[p.account] {
			told[p.account] = true
			o.open = append(o.open, &call{begun, o.clock, history.Input{Account: p.account, Kind: history.Books}, history.Output{Credited: credited[p.account]}})
		}
	}
}

// operations are all, those without an answer too.
func (o *observer) operations() []history.Operation {
	var rec history.Recorder
	for _, c := range o.open {
		if c.ret == 0 {
			rec.Lost(0, c.begun, c.in)
		} else {
			rec.Done(0, c.begun, c.ret, c.in, c.out)
		}
	}
	return rec.Operations()
}
