package fsm

import (
	"testing"

	"meridian/edge/command"
	"meridian/internal/journal"
)

// Beyond each bound of sessions a new one is acknowledged, recorded and not charged;
// those that run go on, and there is room again when one ends or the policy grows.
func TestSessionsAreBounded(t *testing.T) {
	for name, bound := range map[string]func(*command.Policy){
		"of a NAS": func(p *command.Policy) { p.MaxNASSessions = 2 }, "of the region": func(p *command.Policy) { p.MaxSessions = 2 },
	} {
		r := newRegion(t, 100*eur, perGigabyte())
		p := r.s.Policy
		bound(&p)
		r.ok(&command.SetPolicy{Policy: p})
		r.acct(command.Start, "1", r.now, 0, 0)
		r.acct(command.Start, "2", r.now, 0, 0)
		r.want(name+": the third", r.acct(command.Start, "3", r.now, 0, 0).Code, command.Quarantined)
		r.want(name+": told", r.s.SessionsFull() != "", true)
		r.want(name+": recorded", r.count(journal.KindQuarantine), 1)
		r.want(name+": a running one", r.acct(command.Stop, "1", r.now, 10, 1000).Code, command.OK)
		r.want(name+": room again", r.acct(command.Start, "3", r.now, 0, 0).Code, command.OK)
	}
	r := newRegion(t, 100*eur, perGigabyte())
	p := r.s.Policy
	p.MaxTombstones = 1
	r.ok(&command.SetPolicy{Policy: p})
	r.acct(command.Stop, "1", r.now, 10, 1000)
	r.want("a closed one is remembered", r.acct(command.Stop, "2", r.now, 10, 1000).Code, command.Quarantined)
	r.want("a repetition of it charges nothing", r.acct(command.Stop, "1", r.now, 10, 1000).Code, command.Repeated)
	p.MaxTombstones = 2
	r.ok(&command.SetPolicy{Policy: p})
	r.want("with a higher bound", r.acct(command.Stop, "2", r.now, 10, 1000).Code, command.OK)
}
