package edge

import (
	"encoding/binary"
	"errors"
	"hash/crc32"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// alterLedger changes a sealed octet of the first frame of the first segment of a
// stopped node, and makes the frame's checksum right.
func alterLedger(t *testing.T, dir string) (path string) {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join(dir, "segments", "*.seg"))
	if err != nil || len(paths) == 0 {
		t.Fatal(paths, err)
	}
	b, err := os.ReadFile(paths[0])
	if err != nil {
		t.Fatal(err)
	}
	const header, magic = 20, 5
	frame := b[magic:]
	length := binary.BigEndian.Uint32(frame)
	frame[header+length-1] ^= 1
	binary.BigEndian.PutUint32(frame[4:], crc32.Checksum(frame[8:header+length], crc32.MakeTable(crc32.Castagnoli)))
	if err := os.WriteFile(paths[0], b, 0o600); err != nil {
		t.Fatal(err)
	}
	return paths[0]
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
	for _, want := range []string{"its own log contradicts its ledger", path, "entries 1 to 1", "--join"} {
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
