package sim

import (
	"context"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"meridian/central/regions"
	"meridian/central/store"
	"meridian/internal/sim/memstore"
	"meridian/replication/link"
	"meridian/replication/memnet"
)

// wiretap is the centre's Sink with an ear on it: it keeps the batches, and can die
// between the commit of one and its acknowledgement.
type wiretap struct {
	*regions.Service
	mu      sync.Mutex
	batches []link.Batch
	dies    int // so many more batches are taken in without a word
}

func (w *wiretap) Ingest(ctx context.Context, region string, b link.Batch) (link.Ack, *link.Refused, error) {
	ack, refused, err := w.Service.Ingest(ctx, region, b)
	w.mu.Lock()
	w.batches = append(w.batches, b)
	mute := w.dies > 0
	if mute {
		w.dies--
	}
	w.mu.Unlock()
	if mute {
		<-ctx.Done()
		return link.Ack{}, nil, ctx.Err()
	}
	return ack, refused, err
}

func (w *wiretap) taken() []link.Batch {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.batches)
}

// wired is a site and its centre joined by a real link in virtual time.
type wired struct {
	t     *testing.T
	store *memstore.Store
	site  *site
	net   *memnet.Network
	auth  *authority
	sink  *wiretap
	srv   *link.Server
	conns []*memnet.Conn
}

func newWired(t *testing.T) *wired {
	w := &wired{t: t, store: memstore.New(), net: memnet.New(), auth: newAuthority(t)}
	w.site = newSite(t, newCentre(t, w.store), "north")
	w.sink = &wiretap{Service: w.site.services.Regions}
	w.net.OnDial(func(c *memnet.Conn) { w.conns = append(w.conns, c) })
	var stop func()
	w.srv, stop = w.auth.serve(t, w.net, w.sink)
	t.Cleanup(stop)
	return w
}

// leader starts a node's link client.
func (w *wired) leader(node string, term uint64) (c *link.Client, kill func()) {
	c = w.auth.client(w.t, w.net, w.site, node, term, nil)
	kill = run(c)
	w.t.Cleanup(kill)
	return c, kill
}

// within lets virtual time pass until a condition holds, and fails when that takes
// longer than a limit of that time.
func within(t *testing.T, limit time.Duration, what string, ok func() bool) {
	t.Helper()
	for start := time.Now(); ; time.Sleep(10 * time.Millisecond) {
		synctest.Wait()
		if ok() {
			return
		}
		if time.Since(start) > limit {
			t.Fatalf("not within %s: %s", limit, what)
		}
	}
}

// audited checks that everything is there once.
func (w *wired) audited() {
	w.t.Helper()
	if n := w.site.services.Regions.Stats().Entries.Load(); n != w.site.log.state.Seq {
		w.t.Errorf("the centre took %d entries in as new, the region wrote %d", n, w.site.log.state.Seq)
	}
	if err := audit(w.t, w.site.services, w.store.Reader(), w.site.report()); err != nil {
		w.t.Error(err)
	}
}

// The leader, or the centre, dies after the centre has committed a batch and
// before the leader hears of it, again and again.
func TestKilledBetweenSendAndAck(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWired(t)
		w.sink.dies = 3
		for term := uint64(1); w.sink.dies > 0; term++ {
			before := len(w.sink.taken())
			_, kill := w.leader("n1", term)
			within(t, 3*time.Second, "a batch is committed", func() bool { return len(w.sink.taken()) > before })
			kill()
		}
		w.leader("n1", 9)
		within(t, 3*time.Second, "all is settled", w.site.settled)
		w.audited()
	})
}

// A leader that is stopped with its connection open, and its successor; then the
// stopped one goes on with what it had on its way.
func TestStoppedLeaderAndItsSuccessor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWired(t)
		w.sink.dies = 1
		old, _ := w.leader("n1", 4)
		within(t, 3*time.Second, "a batch of the first is in the books", func() bool { return len(w.sink.taken()) == 1 })
		w.conns[0].Freeze()
		next, _ := w.leader("n2", 5)
		within(t, 3*time.Second, "the successor settles all", w.site.settled)
		if w.srv.Stats().Causes[link.CauseTakenOver] != 1 {
			t.Errorf("causes at the centre: %v", w.srv.Stats().Causes)
		}
		late := w.sink.taken()[0]
		if _, refused, err := w.sink.Ingest(t.Context(), "north", late); err != nil || refused == nil || refused.Code != link.CodeStaleTerm {
			t.Errorf("a batch of the former leader's: %v, %v", refused, err)
		}
		time.Sleep(time.Minute)
		if st := old.State(); st.Connected || st.Cause != link.CauseRefused || st.Reason != "STALE_TERM" || old.Stats().Causes[link.CauseSilent] != 1 {
			t.Errorf("the former leader says %s %s, causes %v", st.Cause, st.Reason, old.Stats().Causes)
		}
		if !next.State().Connected || next.Stats().Losses != 0 {
			t.Errorf("the successor: %+v", next.State())
		}
		w.audited()
	})
}

func TestOldBatchesReplayed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWired(t)
		w.leader("n1", 4)
		within(t, 3*time.Second, "all is settled", w.site.settled)
		batches := w.sink.taken()
		if len(batches) < 3 {
			t.Fatalf("%d batches", len(batches))
		}
		seq := w.site.log.state.Seq
		for _, change := range []struct {
			what string
			do   func(*link.Batch)
			want link.Code // CodeUnspecified: acknowledged again
		}{
			{"as they were", func(*link.Batch) {}, link.CodeUnspecified},
			{"by a former leader", func(b *link.Batch) { b.Term-- }, link.CodeStaleTerm},
			{"with a wrong hash", func(b *link.Batch) { b.HeadHash = make([]byte, 32) }, link.CodeBadHash},
			{"continuing something else", func(b *link.Batch) { b.PrevHash = append([]byte{1}, make([]byte, 31)...) }, link.CodeBadHash},
			{"from a later place", func(b *link.Batch) { b.FirstSeq += seq + 5 }, link.CodeGap},
			{"of an epoch never issued", func(b *link.Batch) { b.Epoch = 7 }, link.CodeRegionMismatch},
		} {
			for _, b := range batches {
				change.do(&b)
				ack, refused, err := w.sink.Service.Ingest(t.Context(), "north", b)
				switch {
				case err != nil:
					t.Errorf("%s: %v", change.what, err)
				case change.want == link.CodeUnspecified && (refused != nil || ack.Seq != seq):
					t.Errorf("%s: acknowledged %d, %v", change.what, ack.Seq, refused)
				case change.want != link.CodeUnspecified && (refused == nil || refused.Code != change.want || refused.Remedy == ""):
					t.Errorf("%s: %v, want %s", change.what, refused, change.want)
				}
			}
		}
		w.audited()
	})
}

// A region that comes from before its epoch was ended is told so by name on both
// sides, and nothing of it enters the books.
func TestStaleEpochIsNamed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWired(t)
		other := memstore.New() // the centre has gone on to epoch 2
		services := newCentre(t, other)
		err := other.Do(t.Context(), "test", func(ctx context.Context, tx store.Tx) error {
			if err := other.Feed(tx).CreateHead(ctx, "north"); err != nil {
				return err
			}
			return other.Regions(tx).Insert(ctx, regions.Region{Name: "north", Epoch: 2, CreatedAt: 1})
		})
		if err != nil {
			t.Fatal(err)
		}
		w.net = memnet.New()
		srv, stop := w.auth.serve(t, w.net, services.Regions)
		t.Cleanup(stop)
		c, _ := w.leader("n1", 4)
		within(t, 3*time.Second, "it is refused", func() bool { return c.Stats().RefusedBy[link.CodeStaleEpoch] > 0 })
		time.Sleep(time.Minute)
		if st := c.State(); st.Connected || st.Cause != link.CauseRefused || st.Reason != "STALE_EPOCH" {
			t.Errorf("the region says %+v", st)
		}
		if e := srv.Ends(); len(e) != 1 || e[0].Region != "north" || e[0].Reason != "STALE_EPOCH" || e[0].Detail == "" {
			t.Errorf("the centre says %+v", e)
		}
		if n := services.Regions.Stats().Entries.Load(); n != 0 {
			t.Errorf("%d entries entered the books", n)
		}
		if tries := c.Stats().Attempts; tries > 70 {
			t.Errorf("%d attempts in a minute: a refusal is not asked again soon", tries)
		}
	})
}
