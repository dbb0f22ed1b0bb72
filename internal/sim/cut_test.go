package sim

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"meridian/central/cockroach"
	"meridian/central/cockroach/testdb"
	"meridian/internal/sim/memstore"
	"meridian/internal/verify"
	"meridian/replication/link"
	"meridian/replication/memnet"
)

func TestMain(m *testing.M) { testdb.Main(m) }

// cut is one run of the exchange whose first connection is cut after so many bytes
// from the region to the centre, or back; −1 is not at all.
type cut struct{ up, down int64 }

// exchange lets a site talk to its centre until both have everything, through one
// cut, and returns how many bytes the first connection carried.
func exchange(t testing.TB, a *authority, s *site, c cut) (up, down int64, err error) {
	n := memnet.New()
	var first *memnet.Conn
	n.OnDial(func(conn *memnet.Conn) {
		if first == nil {
			first = conn
			conn.CutAfter(c.up, c.down)
		}
	})
	srv, stopServer := a.serve(t, n, s.services.Regions)
	defer stopServer()
	client := a.client(t, n, s, "n1", 1, func(cfg *link.ClientConfig) { cfg.BackoffMin, cfg.BackoffMax = time.Millisecond, time.Millisecond })
	stop := run(client)
	defer stop()
	deadline := time.NewTimer(time.Minute)
	defer deadline.Stop()
	for changed := s.log.Changed(); !s.settled(); changed = s.log.Changed() {
		select {
		case <-changed:
		case <-deadline.C:
			return 0, 0, fmt.Errorf("never settled: region %+v, centre %+v", client.State(), srv.Stats())
		}
	}
	up, down = first.Passed()
	return up, down, nil
}

// TestX5CutAtEveryByte: a real client and a real server, the region's real state
// machine and the centre's real books. A short exchange is recorded once, then
// played again and again with the transport cut after byte n, for every n, in
// both directions. Each time everything is there once, and V1–V9 hold.
func TestX5CutAtEveryByte(t *testing.T) {
	a := newAuthority(t)
	play := func(c cut) (up, down int64, err error) {
		b := memstore.New()
		s := newSite(t, newCentre(t, b), "north")
		if up, down, err = exchange(t, a, s, c); err == nil {
			err = audit(t, s.services, b.Reader(), s.report())
		}
		if n := s.services.Regions.Stats().Entries.Load(); err == nil && n != s.log.state.Seq {
			err = fmt.Errorf("the centre took %d entries in as new, the region wrote %d", n, s.log.state.Seq)
		}
		return up, down, err
	}
	up, down, err := play(cut{-1, -1})
	if err != nil {
		t.Fatal("without a cut: ", err)
	}
	t.Logf("the exchange has %d bytes up and %d bytes down", up, down)
	cuts := make(chan cut)
	var workers sync.WaitGroup
	for range 4 {
		workers.Go(func() {
			for c := range cuts {
				if _, _, err := play(c); err != nil {
					t.Errorf("cut after %d bytes up, %d bytes down: %v", c.up, c.down, err)
				}
			}
		})
	}
	for n := range up + 1 {
		cuts <- cut{n, -1}
	}
	for n := range down + 1 {
		cuts <- cut{-1, n}
	}
	close(cuts)
	workers.Wait()
}

// TestX5OnSQL: the same on the database, at a sample of the offsets, all regions
// in one centre whose every transaction fails at its first COMMIT.
func TestX5OnSQL(t *testing.T) {
	const samples = 8 // of each direction
	cfg := cockroach.DefaultConfig()
	cfg.BeforeCommit = cockroach.FailFirstCommit
	db, err := cockroach.Open(t.Context(), testdb.New(t), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(db.Close)
	if err := db.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	services := newCentre(t, db)
	a := newAuthority(t)
	var reports []verify.EdgeReport
	play := func(c cut) (up, down int64) {
		s := newSite(t, services, fmt.Sprintf("region-%d", len(reports)))
		up, down, err := exchange(t, a, s, c)
		if err != nil {
			t.Fatalf("cut after %d bytes up, %d bytes down: %v", c.up, c.down, err)
		}
		reports = append(reports, s.report())
		return up, down
	}
	up, down := play(cut{-1, -1})
	for i := range int64(samples) {
		play(cut{up * i / samples, -1})
		play(cut{-1, down * i / samples})
	}
	r, err := db.Reader(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close(t.Context())
	if err := audit(t, services, r, reports...); err != nil {
		t.Error(err)
	}
	if n := services.Regions.Stats().Entries.Load(); n != uint64(len(reports))*reports[0].Seq {
		t.Errorf("the centre took %d entries in as new, %d regions wrote %d each", n, len(reports), reports[0].Seq)
	}
}
