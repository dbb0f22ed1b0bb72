// Package sim runs the whole of Meridian in one thread from one seed: pure
// replicas, the real uplink, the centre's real services in memory, subscribers
// and NAS, under drop, duplication, delay, reordering, partition and crash.
//
// It owns the world and the auditor, who charges by a second, naive
// implementation from what the subscribers truly used. The rules that it runs are
// those of the product. A failure prints its seed; the same seed gives the same
// run.
package sim

import (
	"container/heap"
	"fmt"
	"math/rand/v2"
	"runtime/debug"
	"time"
)

// Faults says how unkind the world is; probabilities are per thousand.
type Faults struct {
	Drop, Duplicate int           // of a message between NAS and node
	Delay           time.Duration // most that a message takes
	NodeCrash       int           // per second, for the region: a node dies
	LeaderCrash     int           // per second: the leader dies, often between commit and reply
	LinkCut         int           // per second: the link breaks
	LinkAway        time.Duration // most that the link stays away
	CentreCrash     int           // per second: the centre dies with work in hand
	Snapshot        int           // per second: a node takes a snapshot
	FeedGap         int           // of a batch of feed rows: it goes missing on a living stream
	Overlap         int           // of a batch of entries: it begins below what was sent before
	Partition       int           // per second: nodes lose sight of each other, perhaps in one direction only
	DiskError       int           // of a write to a follower's log: the node dies and the write is gone
	ClockJump       int           // per second: one node's clock is wrong for a while
	LateCopy        int           // of a report: it arrives once more within ten days
	Backup          int           // per second: the region's state is copied to a safe place
	Restore         int           // per second: every disk of the region is lost, and the copy is put in their place, or nothing
}

// Config is one run.
type Config struct {
	Seed        uint64
	Regions     int           // at most 2
	Nodes       int           // of each region
	Subscribers int           // of all regions together
	Duration    time.Duration // virtual time with faults; then everything heals
	FailCommits bool          // every transaction of the centre meets a serialization failure first
	Days        int           // of slow time with faults after it, the link away for some of them
	Faults      Faults
}

// Default returns the run that the tests use for a seed: every fault, each with
// a strength drawn from the seed.
func Default(seed uint64) Config {
	r := rand.New(rand.NewPCG(seed, 1))
	shape := [...]struct{ regions, nodes int }{{1, 1}, {1, 3}, {1, 5}, {2, 3}, {2, 3}}[r.IntN(5)]
	days := 0
	if r.IntN(8) == 0 {
		days = 1 + r.IntN(9)
	}
	return Config{
		Seed: seed, Days: days, Regions: shape.regions, Nodes: shape.nodes, Subscribers: 4 + r.IntN(8), Duration: time.Duration(5+r.IntN(10)) * time.Minute,
		FailCommits: seed%2 == 0,
		Faults: Faults{
			Drop: r.IntN(150), Duplicate: r.IntN(150), Delay: time.Duration(r.IntN(8000)) * time.Millisecond,
			NodeCrash: r.IntN(15), LeaderCrash: r.IntN(15), LinkCut: r.IntN(40), LinkAway: time.Duration(1+r.IntN(180)) * time.Second,
			CentreCrash: r.IntN(15), Snapshot: r.IntN(60), FeedGap: r.IntN(30), Overlap: r.IntN(200),
			Partition: r.IntN(30), DiskError: r.IntN(4), ClockJump: r.IntN(20), LateCopy: r.IntN(100),
		},
	}
}

// Calamities is Default with regions that lose all their disks: they go on from an old
// backup, or are closed and founded anew.
func Calamities(seed uint64) Config {
	cfg := Default(seed)
	cfg.Days = 0
	cfg.Faults.Backup, cfg.Faults.Restore = 25, 8
	return cfg
}

// epochStart is virtual time zero.
var epochStart = time.Date(2027, 1, 15, 8, 0, 0, 0, time.UTC)

// World is one run's state.
type World struct {
	cfg      Config
	rng      *rand.Rand
	now      time.Duration
	queue    events
	serial   uint64
	calm     bool // faults are over, and since when
	calmFrom time.Duration
	slow     bool // days pass

	office  *office
	regions []*region
	people  []*subscriber
	audit   *auditor

	observer *observer // nil in most runs
}

type event struct {
	at     time.Duration
	serial uint64
	run    func()
}

type events []event

func (q events) Len() int { return len(q) }
func (q events) Less(i, j int) bool {
	return q[i].at < q[j].at || (q[i].at == q[j].at && q[i].serial < q[j].serial)
}
func (q events) Swap(i, j int) { q[i], q[j] = q[j], q[i] }
func (q *events) Push(x any)   { *q = append(*q, x.(event)) }
func (q *events) Pop() any {
	old := *q
	e := old[len(old)-1]
	*q = old[:len(old)-1]
	return e
}

// after runs fn when d of virtual time has passed.
func (w *World) after(d time.Duration, fn func()) {
	w.serial++
	heap.Push(&w.queue, event{at: w.now + d, serial: w.serial, run: fn})
}

// every runs fn each d until the end, and while days pass each slow.
func (w *World) every(d, slow time.Duration, fn func()) {
	next := d
	if w.slow {
		next = slow
	}
	w.after(next, func() {
		fn()
		w.every(d, slow, fn)
	})
}

// clock is the true time.
func (w *World) clock() time.Time { return epochStart.Add(w.now) }

// unix is the true time in Unix seconds.
func (w *World) unix() int64 { return w.clock().Unix() }

// chance is true with n in a thousand, never once the world is calm.
func (w *World) chance(n int) bool { return !w.calm && n > 0 && w.rng.IntN(1000) < n }

func (w *World) upTo(d time.Duration) time.Duration {
	if d <= 0 {
		return 0
	}
	return time.Duration(w.rng.Int64N(int64(d)))
}

// send carries a message between NAS and node: late, twice or not at all.
func (w *World) send(deliver func()) {
	copies := 1
	if w.chance(w.cfg.Faults.Duplicate) {
		copies = 2
	}
	if w.chance(w.cfg.Faults.Drop) {
		copies--
	}
	for range copies {
		delay := time.Millisecond
		if !w.calm {
			delay += w.upTo(w.cfg.Faults.Delay)
		}
		w.after(delay, deliver)
	}
}

// runUntil handles events up to a time.
func (w *World) runUntil(end time.Duration) {
	for len(w.queue) > 0 && w.queue[0].at <= end {
		e := heap.Pop(&w.queue).(event)
		w.now = e.at
		e.run()
	}
	w.now = end
}

func newWorld(cfg Config) *World {
	w := &World{cfg: cfg, rng: rand.New(rand.NewPCG(cfg.Seed, 2))}
	w.audit = newAuditor(w)
	for _, name := range []string{"north", "south"}[:cfg.Regions] {
		w.regions = append(w.regions, newRegion(w, name))
	}
	return w
}

// Run plays a whole run: faults, then calm with people online, then everybody
// goes home and everything becomes quiet, then the auditor. The error names what
// does not hold; a panic of the product is one.
func Run(cfg Config) (s Summary, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("seed %d: panic: %v\n%s", cfg.Seed, p, debug.Stack())
		}
	}()
	w := newWorld(cfg)
	if err := w.open(); err != nil {
		return Summary{}, fmt.Errorf("seed %d: open: %w", cfg.Seed, err)
	}
	w.runUntil(cfg.Duration)
	w.days()
	w.settle()
	if s, err = w.audit.check(); err != nil {
		return s, fmt.Errorf("seed %d: %w", cfg.Seed, err)
	}
	return s, nil
}

// paced is d, or a little more than the pause between two heartbeats while days
// pass.
func (w *World) paced(d time.Duration) time.Duration {
	if w.slow {
		return d + 12*time.Minute
	}
	return d
}

// days lets days pass, with fewer events in each: people report rarely, packets
// come again that everybody had forgotten, and the link stays away for long.
func (w *World) days() {
	if w.cfg.Days == 0 {
		return
	}
	w.slow = true
	for _, r := range w.regions {
		if w.rng.IntN(2) == 0 {
			r.cut(w.upTo(time.Duration(w.cfg.Days) * 24 * time.Hour))
		}
	}
	w.runUntil(w.now + time.Duration(w.cfg.Days)*24*time.Hour)
	w.slow = false
	w.runUntil(w.now + 10*time.Minute) // what was slow is fast again
}

// settle heals everything, lets people go on for a while, sends them home, and
// waits until nothing is left to do.
func (w *World) settle() {
	w.calm, w.calmFrom = true, w.now
	for _, r := range w.regions {
		r.heal()
	}
	for range 36 {
		w.runUntil(w.now + 5*time.Second)
		w.audit.standing()
	}
	for _, p := range w.people {
		p.finish()
	}
	deadline := w.now + 2*time.Hour
	for !w.quiet() && len(w.audit.failures) == 0 {
		if w.now >= deadline {
			w.audit.fail("not quiet two hours after everything healed: %s", w.describe())
			return
		}
		w.runUntil(w.now + 5*time.Second)
	}
}

// Summary counts what a run did.
type Summary struct {
	Sessions, Packets, Acked      int
	Checks                        int
	Crashes, Cuts                 int
	Partitions, Jumps, Installs   int
	StaleLogins, Late, Quarantine int
	Restored, Anew                int // regions that went on from a backup, or were founded anew
	Given                         int // allowances, one for each period
	Entries                       uint64
	Charged, Overrun              int64
}

func (s *Summary) add(o Summary) {
	s.Checks += o.Checks
	s.Sessions += o.Sessions
	s.Packets += o.Packets
	s.Acked += o.Acked
	s.Crashes += o.Crashes
	s.Cuts += o.Cuts
	s.Partitions += o.Partitions
	s.Jumps += o.Jumps
	s.Installs += o.Installs
	s.StaleLogins += o.StaleLogins
	s.Late += o.Late
	s.Quarantine += o.Quarantine
	s.Given += o.Given
	s.Restored += o.Restored
	s.Anew += o.Anew
	s.Entries += o.Entries
	s.Charged += o.Charged
	s.Overrun += o.Overrun
}
