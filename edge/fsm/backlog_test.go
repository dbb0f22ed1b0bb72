package fsm

import (
	"testing"

	"meridian/edge/command"
	"meridian/internal/journal"
)

// cutOff is a region cut off, in which one subscriber's sessions come one after the
// other, each of which leaves entries.
func cutOff(t *testing.T, change func(*command.Policy)) *region {
	r := newRegion(t, 1000*eur, perGigabyte())
	r.acked()
	p := r.s.Policy
	change(&p)
	r.apply(&command.SetPolicy{Policy: p})
	r.ok(&command.SetMode{Mode: command.Isolated})
	return r
}

func (r *region) visit(id string) command.Result {
	r.acct(command.Start, id, r.now, 0, 0)
	return r.acct(command.Stop, id, r.now, 10, 1000)
}

// Whichever bound of the backlog is reached first, new sessions are refused at it,
// running ones are acknowledged from a reserve, and then nothing is; the centre's
// acknowledgement opens all again.
func TestBacklogIsBoundedByEntriesOctetsAndAge(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*command.Policy)
		pass   func(*region)
	}{
		"entries": {func(p *command.Policy) { p.MaxBacklogEntries = 800 }, func(r *region) {}},
		"octets":  {func(p *command.Policy) { p.MaxBacklogBytes = 1 << 20 }, func(r *region) {}},
		"age":     {func(p *command.Policy) { p.MaxBacklogAge = 30 * 86400 }, func(r *region) { r.tick(12 * 3600) }},
	} {
		t.Run(name, func(t *testing.T) {
			r := cutOff(t, c.change)
			seen := map[string]bool{}
			for i := 0; i < 20_000 && !seen["nothing"]; i++ {
				stage := "all"
				if r.s.FindLogin("u").Reason == command.ReasonBacklog {
					stage = "running"
				}
				if r.visit(plain(i)).Code == command.Overloaded {
					stage = "nothing"
				}
				if stage == "all" && seen["running"] || stage == "running" && !seen["all"] {
					t.Fatalf("at entry %d: %s after %v", r.s.Seq, stage, seen)
				}
				seen[stage] = true
				c.pass(r)
			}
			if !seen["all"] || !seen["running"] || !seen["nothing"] {
				t.Fatalf("stages seen: %v, use %d", seen, r.s.BacklogUse())
			}
			r.ok(&command.Acked{Epoch: 1, Seq: r.s.Seq - 1, Hash: journal.Hash{1}})
			if use := r.s.BacklogUse(); use > 300 {
				t.Fatalf("use after the acknowledgement is %d", use)
			}
			r.want("login after it", r.s.FindLogin("u").Reason, command.ReasonNone)
			r.want("and acknowledged", r.visit("after").Code, command.OK)
		})
	}
}

// What is said of the backlog is never less than it is, and right to a stretch;
// a replica made of a dump says the same.
func TestBacklogIsExactToAStretch(t *testing.T) {
	r := cutOff(t, func(*command.Policy) {})
	type entry struct {
		octets int
		at     int64
	}
	var all []entry
	take := func() {
		for _, e := range r.s.TakeEntries() {
			all = append(all, entry{len(e.Raw), r.s.Now})
		}
	}
	base := r.s.Seq
	for i := range 3000 {
		r.s.Apply(&command.Accounting{NAS: "nas", SessionID: plain(i), Login: "u", Status: command.Stop, Event: r.now, Seconds: 1, Out: 10, Giga: true})
		if i%100 == 0 {
			r.now += 30
			r.s.Apply(&command.Tick{Clocks: []int64{r.now * 1_000_000}})
		}
		take()
	}
	for acked := base; acked < r.s.Seq; acked += 97 {
		r.s.Apply(&command.Acked{Epoch: 1, Seq: acked, Hash: journal.Hash{}})
		exact := 0
		for _, e := range all[acked-base:] {
			exact += e.octets
		}
		age := (r.s.Now - all[acked-base].at) / 1_000_000
		if got := int(r.s.BacklogBytes()); got < exact || got > exact+stretchEntries*300 {
			t.Fatalf("acknowledged to %d: %d octets, exactly %d", acked, got, exact)
		}
		if got := r.s.BacklogAge(); got < age || got > age+stretchTime/1_000_000+30 {
			t.Fatalf("acknowledged to %d: age %d, exactly %d", acked, got, age)
		}
		loaded, err := Load(r.s.Dump())
		if err != nil || loaded.BacklogBytes() != r.s.BacklogBytes() || loaded.BacklogAge() != r.s.BacklogAge() {
			t.Fatalf("a loaded state says %d octets, age %d: %v", loaded.BacklogBytes(), loaded.BacklogAge(), err)
		}
	}
	r.s.Apply(&command.Acked{Epoch: 1, Seq: r.s.Seq, Hash: journal.Hash{}})
	r.want("nothing waits", r.s.BacklogUse(), 0)
}

func TestStretchesAreBounded(t *testing.T) {
	s := New()
	for i := range 2 * mostStretches {
		s.Seq, s.Now = uint64(i+1), int64(i)*stretchTime
		s.noteEntry(100)
	}
	if n := len(s.stretches); n > mostStretches || n < mostStretches/2 || s.stretches[0].seq != 1 {
		t.Fatalf("%d stretches from entry %d", n, s.stretches[0].seq)
	}
}

func TestPolicyIsReplacedAndABadOneIsNot(t *testing.T) {
	r := newRegion(t, 10*eur, perGigabyte())
	p := r.s.Policy
	p.CutAge = 60
	r.ok(&command.SetPolicy{Policy: p})
	r.want("again", r.apply(&command.SetPolicy{Policy: p}).Code, command.Repeated)
	other := p
	other.CutAge++
	r.want("over what somebody else set", r.apply(&command.SetPolicy{Policy: other, Before: &other}).Code, command.OutOfOrder)
	r.want("nothing is changed", r.s.Policy, p)
	r.want("over what is in force", r.apply(&command.SetPolicy{Policy: other, Before: &p}).Code, command.OK)
	r.want("back", r.apply(&command.SetPolicy{Policy: p, Before: &other}).Code, command.OK)
	p.TombstoneLife = 5
	r.want("a bad one", r.apply(&command.SetPolicy{Policy: p}).Code, command.OutOfOrder)
	r.want("in force", r.s.Policy.CutAge, 60)
	r.want("in force", r.s.Policy.TombstoneLife, 7*86400)
}

func TestLevelOnlyRises(t *testing.T) {
	r := newRegion(t, 10*eur, perGigabyte())
	r.want("founded with", r.s.Level, command.FirstLevel)
	r.ok(&command.SetLevel{Level: 7})
	r.want("lower", r.apply(&command.SetLevel{Level: 3}).Code, command.Repeated)
	loaded, err := Load(r.s.Dump())
	if err != nil || loaded.Level != 7 {
		t.Fatalf("after a dump: %d, %v", loaded.Level, err)
	}
}
