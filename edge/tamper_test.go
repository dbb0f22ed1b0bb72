package edge

import (
	"encoding/binary"
	"errors"
	"hash/crc32"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"meridian/edge/command"
	"meridian/edge/fsm"
)

// alterLedger changes a sealed octet of the first frame of the first segment of a
// stopped node, and makes the frame's checksum right.
func alterLedger(t *testing.T, dir string) (path string) {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join(dir, "segments", "*.seg"))
	if err != nil || len(paths) == 0 {
		t.Fatal(paths, err)
	}
	alterFrame(t, paths[0], false)
	return paths[0]
}

// alterFrame changes a sealed octet of the first or the last frame of a segment in
// place, which a running node may have open, and makes the frame's checksum right.
func alterFrame(t *testing.T, path string, last bool) {
	t.Helper()
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	const header, magic = 20, 5
	size := func(at int) int { return header + int(binary.BigEndian.Uint32(b[at:])) }
	at := magic
	for last && at+size(at)+header < len(b) {
		at += size(at)
	}
	frame := b[at : at+size(at)]
	frame[len(frame)-1] ^= 1
	binary.BigEndian.PutUint32(frame[4:], crc32.Checksum(frame[8:], crc32.MakeTable(crc32.Castagnoli)))
	if _, err := f.WriteAt(frame, int64(at)); err != nil {
		t.Fatal(err)
	}
}

// alterLive has a session reported that the centre does not have yet, and alters the
// frame of its entries on a node's disk while the node runs.
func (r *region) alterLive(n *Node) (path string, seq uint64) {
	r.t.Helper()
	var acked uint64
	r.do(&command.Accounting{Meta: n.meta(), NAS: "nas", SessionID: "s1", Login: "ann", Status: command.Stop,
		Event: time.Now().Unix(), Out: 2_000_000, Giga: true})
	n.store.View(func(s *fsm.State) { seq, acked = s.Seq, s.Acked })
	paths, err := filepath.Glob(filepath.Join(n.cfg.Dir, "segments", "*.seg"))
	if err != nil || len(paths) == 0 || seq == acked {
		r.t.Fatalf("%v, entries up to %d, acknowledged %d: %v", paths, seq, acked, err)
	}
	path = paths[len(paths)-1]
	alterFrame(r.t, path, true)
	return path, seq
}

// The segment of a leader is altered while it runs, before the centre has the
// entries: it finds that as it reads them for the centre, hands over, stops serving by
// name, and the entries reach the centre from its successor.
func TestLeaderWhoseLedgerIsAlteredHandsOver(t *testing.T) {
	r := newRegion(t, 3)
	centre := &centreStub{}
	centre.sell(t, r.cfgs[0], netip.MustParseAddrPort(freeAddr(t, "udp")).Addr().String())
	var stop []func()
	for _, c := range r.cfgs { // each node knows an address of its own
		_, s := centre.serveAs(t, r.ca, c.Centre[0], "test")
		stop = append(stop, s)
	}
	r.until("settled", func() bool { s := r.leader().Status(); return s.LinkConnected && s.Seq > 0 && s.Backlog == 0 })
	for _, s := range stop {
		s()
	}
	lead := r.leader()
	path, seq := r.alterLive(lead)
	for _, c := range r.cfgs {
		centre.serve(t, r.ca, c.Centre[0])
	}
	r.until("the leader stops serving", func() bool { return lead.partedFrom() != nil })
	if got := lead.Status().Parted; !strings.Contains(got, path) || !strings.Contains(got, "--join") {
		t.Errorf("status says %q", got)
	}
	r.until("the entries reach the centre", func() bool { got, _ := centre.head(); return got >= seq })
	if now := r.leader(); now == lead {
		t.Error("the node whose ledger was altered leads")
	}
	r.do(&command.OpenEpoch{Meta: r.leader().meta(), Epoch: 1}) // the region goes on
	r.until("the alarm names the file", func() bool {
		a, bad := raised(lead, "heads_differ")
		return bad && strings.Contains(a.Detail, path)
	})
}

// The only node of a region finds by a snapshot that its ledger was altered: it stops
// by name, and nobody is told to throw the only copy away.
func TestLoneNodeWhoseLedgerIsAlteredKeepsIt(t *testing.T) {
	r, _, stop := settledRegion(t)
	stop()
	n := r.nodes[0]
	path, _ := r.alterLive(n)
	if err := n.store.Snapshot(t.Context()); err == nil || n.store.Stats().SnapshotsFailed == 0 {
		t.Fatalf("a snapshot of an altered ledger: %v", err)
	}
	r.until("the node stops serving", func() bool { return n.partedFrom() != nil })
	check := func(what, got string) {
		t.Helper()
		if !strings.Contains(got, path) || !strings.Contains(got, "keep the directory") || strings.Contains(got, "--join") {
			t.Errorf("%s says %q", what, got)
		}
	}
	check("status", n.Status().Parted)
	r.until("raft is closed", func() bool { return n.Status().Role == "shutdown" })
	r.stop(0)
	_, err := r.open(0)
	if !errors.Is(err, ErrParted) {
		t.Fatalf("it starts again: %v", err)
	}
	check("the start", err.Error())
}

// A node whose ledger was altered while it was stopped finds that as it replays its
// log. It ends no process: it stops serving, says so by file, entry and remedy where
// operators look, and does not start again on that directory.
func TestNodeWithAnAlteredLedgerStopsServing(t *testing.T) {
	r := newRegion(t, 1)
	r.stop(0)
	path := alterLedger(t, r.cfgs[0].Dir)
	r.start(0)
	n := r.nodes[0]
	r.until("the node stops serving", func() bool { return n.partedFrom() != nil })
	for _, want := range []string{"its own log contradicts its ledger", path, "entries 1 to 1", "keep the directory"} {
		if got := n.Status().Parted; !strings.Contains(got, want) {
			t.Errorf("status says %q, not %q", got, want)
		}
	}
	r.until("the alarm names it", func() bool {
		a, bad := raised(n, "heads_differ")
		return bad && strings.Contains(a.Detail, path)
	})
	r.until("raft is closed", func() bool { return n.Status().Role == "shutdown" })
	if code, body := get(t, http.MethodGet, "http://"+n.cfg.HTTP+"/readyz", ""); code != http.StatusServiceUnavailable || !strings.Contains(body, "heads") {
		t.Errorf("ready: %d %s", code, body)
	}
	r.stop(0)
	if _, err := r.open(0); !errors.Is(err, ErrParted) || !strings.Contains(err.Error(), path) {
		t.Errorf("it starts again: %v", err)
	}
}
