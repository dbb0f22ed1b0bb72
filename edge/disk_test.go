package edge

import (
	"encoding/json"
	"net/http"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"meridian/ops/alarm"
	"meridian/replication/disk"
)

// A node whose disk is full says so everywhere a person or a machine looks, and
// leads again, with its periodic work, when there is room.
func TestNodeSaysThatItsDiskIsFull(t *testing.T) {
	cfg := testConfig(t)
	var full atomic.Bool
	cfg.Disk.Hook = func(op disk.Op, _ string, do func() error) error {
		if full.Load() && op != disk.Remove {
			return syscall.ENOSPC
		}
		return do()
	}
	n, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := n.Close(); err != nil {
			t.Error(err)
		}
	}()
	if err := n.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	base := "http://" + cfg.HTTP
	until := func(what string, ok func(s Status, ready int, metrics string) bool) {
		t.Helper()
		for deadline := time.Now().Add(20 * time.Second); ; <-time.After(20 * time.Millisecond) {
			var s Status
			_, body := get(t, "GET", base+"/status", "")
			if err := json.Unmarshal([]byte(body), &s); err != nil {
				t.Fatal(err)
			}
			ready, _ := get(t, "GET", base+"/readyz", "")
			_, metrics := get(t, "GET", base+"/metrics", "")
			if ok(s, ready, metrics) {
				return
			}
			if time.Now().After(deadline) {
				t.Fatalf("not within 20 s: %s: ready %d, %s\n%s", what, ready, body, metrics)
			}
		}
	}
	raised := func() bool {
		for _, a := range n.alarms.All() {
			if a.Name == "disk_failed" {
				return a.Active && a.Severity == alarm.Critical && strings.Contains(a.Detail, "free space")
			}
		}
		return false
	}
	var term uint64
	until("the node leads", func(s Status, ready int, _ string) bool {
		term = s.Term
		return s.Role == "leader" && ready == http.StatusOK && s.Disk.State == "ok" && s.Disk.FreeBytes > 0 && s.RegionTime.Unix() > 0
	})
	full.Store(true)
	until("the node says that its disk is full", func(s Status, ready int, m string) bool {
		return s.Disk.State == "full" && strings.Contains(s.Disk.Remedy, "free space") && s.Role != "leader" &&
			ready == http.StatusServiceUnavailable && raised() &&
			strings.Contains(m, `disk_state{node="north-1",region="north",state="full"} 1`) &&
			strings.Contains(m, `disk_errors_total{cause="full",node="north-1",region="north"}`)
	})
	full.Store(false)
	healed := time.Now()
	until("the node leads again and region time goes on", func(s Status, ready int, m string) bool {
		return s.Role == "leader" && s.Term > term && ready == http.StatusOK && s.Disk.State == "ok" &&
			s.RegionTime.After(healed) && strings.Contains(m, `disk_reopened_total{node="north-1",region="north"} 1`)
	})
}
