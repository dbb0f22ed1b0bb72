package store

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"meridian/edge/command"
	"meridian/edge/fsm"
	"meridian/internal/feed"
	"meridian/internal/journal"
	"meridian/internal/money"
	"meridian/internal/tariff"
	"meridian/internal/verify"
)

func entriesOf(epoch, from, to uint64) []verify.RawEntry {
	out := rawEntries(from, to)
	for i := range out {
		out[i].Epoch = epoch
		out[i].Raw = append([]byte{byte(epoch)}, out[i].Raw...)
	}
	return out
}

// Entries are kept by (epoch, seq): a new epoch begins at 1 and what the one before
// has stays, so that replay is compared with it and it can be read when it is
// reconciled.
func TestSegmentsAreKeyedByEpoch(t *testing.T) {
	dir := t.TempDir()
	root := filepath.Join(dir, "segments")
	s, err := openTestSegments(t, root, 500)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.append(append(entriesOf(1, 1, 30), entriesOf(3, 1, 20)...)); err != nil {
		t.Fatal(err)
	}
	count := func(s *segments, epoch, from uint64) (n int) {
		t.Helper()
		err := s.read(epoch, from, func(e verify.RawEntry) (bool, error) {
			if want := entriesOf(epoch, e.Seq, e.Seq)[0]; e.Epoch != epoch || string(e.Raw) != string(want.Raw) {
				t.Errorf("entry %d/%d is %q", e.Epoch, e.Seq, e.Raw)
			}
			n++
			return true, nil
		})
		if err != nil {
			t.Error(err)
		}
		return n
	}
	check := func(s *segments) {
		t.Helper()
		if a, b, c := count(s, 1, 11), count(s, 3, 1), count(s, 4, 1); a != 20 || b != 20 || c != 0 {
			t.Errorf("%d, %d and %d entries", a, b, c)
		}
		if err := s.append(append(entriesOf(1, 25, 30), entriesOf(3, 1, 20)...)); err != nil {
			t.Errorf("replay: %v", err)
		}
		forged := entriesOf(1, 29, 29)
		forged[0].Raw = []byte("another")
		if err := s.append(forged); !errors.Is(err, ErrDamaged) {
			t.Errorf("replay makes another entry of the ended epoch: %v", err)
		}
	}
	check(s)
	if err := errors.Join(s.trim(1, 30), s.goOnAfter(1, 30), s.goOnAfter(3, 7)); err != nil || count(s, 3, 1) != 20 {
		t.Errorf("a replayed acknowledgement or snapshot of an ended epoch: %v", err)
	}
	if err := s.close(); err != nil {
		t.Fatal(err)
	}
	if s, err = openTestSegments(t, root, 500); err != nil {
		t.Fatal(err)
	}
	check(s)
	late := 0
	if err := ReadEnded(dir, testRing(t), 1, func(verify.RawEntry) error { late++; return nil }); err != nil || late != 30 {
		t.Errorf("%d entries of the ended epoch, %v", late, err)
	}
	if err := ReadEnded(dir, testRing(t), 2, nil); !errors.Is(err, ErrNoEpoch) {
		t.Errorf("an epoch of which nothing is there: %v", err)
	}
	if err := s.goOnAfter(5, 9); err != nil {
		t.Fatal(err)
	}
	if epoch, last := s.end(); epoch != 5 || last != 9 {
		t.Errorf("after a snapshot of a later epoch: %d/%d", epoch, last)
	}
	if err := s.close(); err != nil {
		t.Fatal(err)
	}
}

// A frame is sealed with its epoch: it is not read from another one's place.
func TestFrameOfAnotherEpochIsRefused(t *testing.T) {
	root := t.TempDir()
	s, err := openTestSegments(t, root, 5000)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(s.append(entriesOf(2, 1, 5)), s.append(entriesOf(3, 1, 5)), s.close()); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(epochDir(root, 3), "00000000000000000001.seg")
	if err := os.Rename(filepath.Join(epochDir(root, 2), filepath.Base(file)), file); err != nil {
		t.Fatal(err)
	}
	if s, _, err = readEpoch(root, 3, testRing(t)); err != nil {
		t.Fatal(err)
	}
	err = s.read(3, 1, func(verify.RawEntry) (bool, error) { return true, nil })
	if !errors.Is(err, ErrDamaged) {
		t.Errorf("moved frame: %v", err)
	}
}

// Drill with real nodes: three of them serve in epoch 1, are fenced, take epoch 2 and
// serve again. Killed and started from a snapshot of epoch 1 and the log after it they
// come to the same state; what epoch 1 left is still there, and the auditor reads the
// stopped directories.
func TestNewEpochOverRaftAndRestart(t *testing.T) {
	c := newCluster(t, 3)
	m := c.leader()
	m.found()
	for i := range 20 {
		m.do(session(i, command.Stop, 1000))
	}
	if err := m.store.Snapshot(t.Context()); err != nil {
		t.Fatal(err)
	}
	m.do(session(20, command.Stop, 1000))
	_, ended := m.spent()
	m.do(&command.Fence{Epoch: 1, LastSeq: ended})
	m.do(&command.OpenEpoch{Epoch: 2})
	m.do(&command.Tick{Clocks: []int64{time.Now().UnixMicro()}})
	m.do(&command.Feed{Rows: beginning(t)})
	for i := range 10 {
		m.do(session(100+i, command.Stop, 500))
	}
	spent, seq := m.spent()
	if spent != 5000 {
		t.Fatalf("spent %d in epoch 2: what epoch 1 spent goes on, or nothing was taken", spent)
	}
	var hash [32]byte
	m.state(func(s *fsm.State) { hash = s.Hash() })
	for _, n := range c.members {
		eventually(t, n.id+" has applied all", func() (same bool) {
			n.state(func(s *fsm.State) { same = s.Hash() == hash })
			return same
		})
	}
	var dirs []string
	for _, n := range c.members {
		n.stop()
		dirs = append(dirs, n.dir)
	}
	reports, err := OpenOffline(dirs, testRing(t))
	for _, r := range reports {
		if r.StateHash != hash || r.Epoch != 2 || len(r.Entries) != int(seq) {
			t.Errorf("offline %s: epoch %d, %d entries of %d", r.Node, r.Epoch, len(r.Entries), seq)
		}
	}
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range c.members {
		late := uint64(0)
		if err := ReadEnded(n.dir, testRing(t), 1, func(e verify.RawEntry) error { late = e.Seq; return nil }); err != nil || late != ended {
			t.Errorf("%s keeps epoch 1 up to entry %d of %d, %v", n.id, late, ended, err)
		}
		c.start(n)
	}
	m = c.leader()
	m.do(session(200, command.Stop, 500))
	if again, _ := m.spent(); again != spent+500 {
		t.Errorf("spent %d after the restart, %d before", again, spent)
	}
	entries, head, err := m.store.Entries(0, journal.Hash{}, 1000, 1<<30)
	m.state(func(s *fsm.State) {
		if err != nil || len(entries) != int(s.Seq) || entries[0].Epoch != 2 || head != s.Head {
			t.Errorf("%d entries of %d, the chain ends at the head: %t, %v", len(entries), s.Seq, head == s.Head, err)
		}
	})
}

// beginning are the rows that epoch 2 begins with.
func beginning(t *testing.T) (rows []feed.Row) {
	t.Helper()
	offering := &tariff.Offering{ID: "o", Version: 1, Name: "o", Currency: "EUR", Service: "internet",
		Usage: tariff.PerUnit(tariff.Bytes, money.Micro, 1_000_000), Reservation: tariff.Reservation{Quota: 1000, TTLSeconds: 600},
		Profile: tariff.Profile{SessionLimit: 1, InterimSeconds: 60}, Overrun: tariff.Owed}
	sub := feed.Subscription{ID: "s", Account: "a", Login: "u", Offering: "o"}
	for i, e := range []struct {
		kind    feed.Kind
		id      string
		version uint64
		body    any
	}{
		{feed.KindOffering, "o@1", 1, offering}, {feed.KindSubscription, "s", 1, &sub},
		{feed.KindLease, "b", 1, &feed.Lease{Bucket: "b", Account: "a", Unit: "EUR", Epoch: 1, Granted: 1 << 50}},
		{feed.KindLease, "b", 2, &feed.Lease{Bucket: "b", Account: "a", Unit: "EUR", Epoch: 2, Granted: 1 << 40}},
		{feed.KindService, "s", 2, &feed.Service{Subscription: sub, Version: 1, Epoch: 2, Offering: "o"}},
		{feed.KindEpoch, "north", 2, &feed.Epoch{Region: "north", Epoch: 2, Services: 1}},
	} {
		body, err := feed.Encode(e.body)
		if err != nil {
			t.Fatal(err)
		}
		rows = append(rows, feed.Row{Number: uint64(i + 1), Kind: e.kind, ID: e.id, Version: e.version, Body: body})
	}
	return rows
}
