package fsm

import (
	"crypto/sha256"
	"fmt"
	"runtime"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"meridian/edge/command"
	"meridian/internal/feed"
	"meridian/internal/journal"
	"meridian/internal/money"
)

// crowd is a region of n subscribers, each with a bucket, and some sessions.
func crowd(t testing.TB, n int) *State {
	t.Helper()
	s := New()
	apply := func(c command.Command) {
		if r := s.Apply(c); r.Code != command.OK {
			t.Fatalf("%T: %+v", c, r)
		}
		s.TakeEntries()
	}
	apply(&command.Configure{Region: "north", Policy: command.DefaultPolicy()})
	apply(&command.OpenEpoch{Epoch: 1})
	apply(&command.Tick{Clocks: []int64{t0 * 1e6}})
	number := uint64(0)
	row := func(kind feed.Kind, id string, body any) feed.Row {
		b, err := feed.Encode(body)
		if err != nil {
			t.Fatal(err)
		}
		number++
		return feed.Row{Number: number, Kind: kind, ID: id, Version: 1, Body: b}
	}
	apply(&command.Feed{Rows: []feed.Row{row(feed.KindOffering, feed.OfferingKey("volume", 1), perGigabyte()),
		row(feed.KindNAS, "nas", &feed.NAS{ID: "nas", Address: "127.0.2.1", Vendor: "generic"})}})
	for i := range n {
		id := fmt.Sprintf("%07d", i)
		apply(&command.Feed{Rows: []feed.Row{
			row(feed.KindSubscription, "sub"+id, &feed.Subscription{ID: "sub" + id, Account: "acc" + id, Login: "user" + id, Offering: "volume"}),
			row(feed.KindLease, "acc"+id+"/cash", &feed.Lease{Bucket: "acc" + id + "/cash", Account: "acc" + id, Unit: "EUR", Epoch: 1, Granted: 10 * money.Micro}),
		}})
		if i%4 == 0 {
			apply(&command.Accounting{NAS: "nas", SessionID: "s" + id, Login: "user" + id, Status: command.Start, Event: t0, Seconds: 0})
		}
	}
	return s
}

// A small state is hashed whole; a large one part by part, and each item in one.
func TestStateIsHashedInParts(t *testing.T) {
	small := crowd(t, 5)
	h := small.HeadAt("north-1", 7)
	small.HashPart(&h)
	if h.StateParts != 1 || h.State != small.Hash() || h.StateForm != dumpFormat || h.Seq != small.Seq || h.Hash != small.Head || h.Validate() != nil {
		t.Errorf("head of a small state: %+v", h)
	}
	large := crowd(t, 8000) // 8000 subscriptions, 8000 buckets, 2000 sessions
	parts := large.parts()
	if len(parts) != 5 {
		t.Fatalf("%d parts", len(parts))
	}
	before := make([]journal.Hash, len(parts))
	for i, p := range parts {
		before[i] = large.hashOf(p)
	}
	differ := func(what string, want collection) {
		t.Helper()
		for i, p := range parts {
			if changed := large.hashOf(p) != before[i]; changed != (p.of == want) {
				t.Errorf("%s: the hash of part %+v changed: %v", what, p, changed)
			}
		}
	}
	b := large.buckets.get("acc0003000/cash")
	b.T++
	differ("a bucket altered", theBuckets)
	b.T--
	sub := large.subscriptions.get("sub0003000")
	sub.Barred = true
	differ("a subscription altered", theSubscriptions)
	sub.Barred = false
	key := large.sessionKeys()[3]
	large.sessions[key].Meter.In++
	differ("a session altered", theSessions)
	large.sessions[key].Meter.In--
	large.buckets.get("acc0000001/cash").Row++
	differ("a version altered", theBuckets)
	large.buckets.get("acc0000001/cash").Row--
	large.nas["nas"].BootAt++
	differ("a NAS altered", theRest)
	large.nas["nas"].BootAt--
	// Each part comes in its turn, and a replica restored from a dump agrees.
	again, err := Load(large.Dump())
	if err != nil {
		t.Fatal(err)
	}
	seen := map[uint32]bool{}
	for turn := range len(parts) {
		large.Now, again.Now = t0*1e6+int64(turn)*StateHashEach, t0*1e6+int64(turn)*StateHashEach
		x, y := large.HeadAt("north-1", 9), again.HeadAt("north-2", 9)
		large.HashPart(&x)
		again.HashPart(&y)
		if !x.Same(&y) || x.State != y.State {
			t.Errorf("turn %d: %+v and %+v", turn, x, y)
		}
		seen[x.StatePart] = true
	}
	if len(seen) != len(parts) {
		t.Errorf("%d of %d parts had their turn", len(seen), len(parts))
	}
}

// naiveHash is the SHA-256 of the dump of a state that has only a part: what hashOf
// has to be.
func naiveHash(s *State, p part) journal.Hash {
	only := *s
	only.frozen = nil
	if p.of != everything {
		if p.of != theRest {
			only.versions, only.nas, only.operators, only.offerings, only.effects, only.answeredLog, only.waiting = nil, nil, nil, nil, nil, nil, nil
		}
		only.subscriptions = chooseOf(s.subscriptions, p, theSubscriptions)
		only.buckets = chooseOf(s.buckets, p, theBuckets)
		only.sessions = choose(s.sessions, p, theSessions, func(k journal.SessionKey) uint32 { return spread(k.NAS, k.ID) })
		only.reservations = choose(s.reservations, p, theReservations, func(key string) uint32 { return spread(key) })
	}
	return sha256.Sum256(only.Dump())
}

// choose returns the items of a collection that lie in a part.
func choose[K comparable, V any](all map[K]V, p part, of collection, place func(K) uint32) map[K]V {
	out := map[K]V{}
	for k, v := range all {
		if p.of == of && place(k)%p.in == p.share {
			out[k] = v
		}
	}
	return out
}

func chooseOf[T any](all index[T], p part, of collection) index[T] {
	out := newIndex(all.key)
	for _, item := range all.sorted() {
		if p.of == of && spread(all.key(item))%p.in == p.share {
			out.put(item)
		}
	}
	return out
}

// A part that is hashed while commands are applied is the part at its index, whatever
// they do meanwhile.
func TestPartIsHashedWhileCommandsGoOn(t *testing.T) {
	var parts []part
	for of := everything; of < collections; of++ {
		in := uint32(1)
		if of > theRest {
			in = 3
		}
		for share := range in {
			parts = append(parts, part{of, share, in})
		}
	}
	for seed := uint64(1); seed <= 2; seed++ {
		w, err := newTwins(seed, seed == 2)
		for i := 0; err == nil && i < 20*len(parts); i++ {
			if err = w.step(i); err != nil || i%20 != 19 {
				continue
			}
			p := parts[i/20%len(parts)]
			want := naiveHash(w.a, p)
			f := w.a.freeze(p)
			w.a.frozen = append(w.a.frozen, f)
			f.step = step{items: 1 + w.rng.IntN(3), keys: 1 + w.rng.IntN(3)}
			g := &busy{w: w}
			got := f.Hash(g)
			f.Thaw()
			if err = g.err; err == nil && got != want {
				err = fmt.Errorf("the hash of part %+v changed while %d commands came", p, g.steps)
			}
		}
		if err != nil {
			t.Fatalf("seed %d, %T: %v", seed, w.last, err)
		}
	}
}

func TestSharesOfALargeCollection(t *testing.T) {
	all := map[string]int{}
	for i := range 20_000 {
		all[fmt.Sprint("item", i)] = i
	}
	total, most, least := 0, 0, len(all)
	for share := range uint32(8) {
		n := len(choose(all, part{theBuckets, share, 8}, theBuckets, func(k string) uint32 { return spread(k) }))
		total, most, least = total+n, max(most, n), min(least, n)
	}
	if total != len(all) || most > 2*least {
		t.Errorf("8 shares of %d items hold %d, %d to %d each", len(all), total, least, most)
	}
	if spread("ab", "c") == spread("a", "bc") {
		t.Error("texts run together")
	}
}

// longest is a guard that notes for how much of its thread's time it was held at most:
// what else the machine does is not counted.
type longest struct {
	began time.Duration
	most  time.Duration
}

func (l *longest) Lock()   { l.began = threadTime() }
func (l *longest) Unlock() { l.most = max(l.most, threadTime()-l.began) }

func threadTime() time.Duration {
	var ts unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_THREAD_CPUTIME_ID, &ts); err != nil {
		panic(err)
	}
	return time.Duration(ts.Nano())
}

// What nodes pay every ten seconds of region time: one part of the state. held-ms is
// the longest time that commands wait for it, of its thread. BenchmarkStateHash is the whole of the
// state at once, for comparison.
func BenchmarkHashPart(b *testing.B) {
	for _, n := range []int{1000, 100_000, 1_000_000} {
		b.Run(fmt.Sprint(n, "-subscribers"), func(b *testing.B) {
			s := crowd(b, n)
			runtime.LockOSThread()
			defer runtime.UnlockOSThread()
			var l longest
			b.ResetTimer()
			for i := range b.N {
				s.Now = t0*1e6 + int64(i)*StateHashEach*int64(1+s.items()/stretchItems)
				h := s.HeadAt("north-1", 1)
				l.Lock()
				f := s.FreezePart(&h)
				l.Unlock()
				h.State = f.Hash(&l)
				l.Lock()
				f.Thaw()
				l.Unlock()
			}
			b.ReportMetric(float64(l.most.Microseconds())/1000, "held-ms")
		})
	}
}

func BenchmarkStateHash(b *testing.B) {
	for _, n := range []int{1000, 100_000} {
		b.Run(fmt.Sprint(n, "-subscribers"), func(b *testing.B) {
			s := crowd(b, n)
			for b.Loop() {
				s.Hash()
			}
		})
	}
}
