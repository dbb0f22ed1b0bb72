package edge

import (
	"context"
	"errors"
	"fmt"

	"meridian/ops/metrics"
	"meridian/replication/disk"
)

// DiskStatus is the condition of the node's data disk.
type DiskStatus struct {
	State     string `json:"state"` // ok, low, reserve, stalled, full, failed
	FreeBytes uint64 `json:"free_bytes"`
	SizeBytes uint64 `json:"size_bytes"`
	Error     string `json:"error,omitempty"`
	Remedy    string `json:"remedy,omitempty"`
}

func (n *Node) diskStatus() DiskStatus {
	s, _ := n.store.Disk()
	d := DiskStatus{State: s.Cause.String(), FreeBytes: s.FreeBytes, SizeBytes: s.SizeBytes, Remedy: s.Cause.Remedy()}
	if s.Err != nil {
		d.Error = s.Err.Error()
	}
	return d
}

// diskTakesWrites is nil when this node can store what it would acknowledge.
func (n *Node) diskTakesWrites(context.Context) error {
	s, _ := n.store.Disk()
	switch s.Cause {
	case disk.None, disk.Low:
		return nil
	}
	return diskProblem(s)
}

func diskProblem(s disk.State) error {
	err := fmt.Errorf("the data disk is %s, %d MiB of %d are free: %s", s.Cause, s.FreeBytes>>20, s.SizeBytes>>20, s.Cause.Remedy())
	return errors.Join(err, s.Err)
}

func (n *Node) diskLow() error {
	if s, _ := n.store.Disk(); s.Cause == disk.Low || s.Cause == disk.Reserve {
		return diskProblem(s)
	}
	return nil
}

func (n *Node) diskFailed() error {
	if s, _ := n.store.Disk(); s.Cause > disk.Reserve {
		return diskProblem(s)
	}
	return nil
}

func (n *Node) snapshotsFailing() error {
	_, st := n.store.Disk()
	var problems []error
	if rose := n.rise.By("snapshot errors", st.Tolerated); rose > 0 {
		problems = append(problems, fmt.Errorf("%d writes of snapshots failed: make room for three of them on the data disk", rose))
	}
	if rose := n.rise.By("snapshots failed", n.store.Stats().SnapshotsFailed); rose > 0 {
		problems = append(problems, fmt.Errorf("%d snapshots were begun and not written: the log says why", rose))
	}
	return errors.Join(problems...)
}

func diskMetrics() []metrics.Metric {
	return []metrics.Metric{
		{Name: "disk_state", Help: "1 for the data disk's present state.", Kind: metrics.Gauge, Labels: []string{"state"}},
		{Name: "disk_free_bytes", Help: "Room left on the data disk.", Kind: metrics.Gauge},
		{Name: "disk_size_bytes", Help: "Size of the data disk.", Kind: metrics.Gauge},
		{Name: "disk_errors_total", Help: "Writes and syncs that failed, by cause.", Labels: []string{"cause"}},
		{Name: "disk_snapshot_errors_total", Help: "Those of them that only cost a snapshot."},
		{Name: "disk_stalls_total", Help: "Writes and syncs that ended after the stall limit."},
		{Name: "disk_refused_total", Help: "Writes refused after a failure or below the reserve."},
		{Name: "disk_reopened_total", Help: "Times the files were opened anew after a failure."},
		{Name: "disk_sync_seconds", Help: "Time that a sync of log or ledger took.", Kind: metrics.Histogram},
	}
}

// histogram makes a sample of counted latencies.
func histogram(name string, c disk.Counted) metrics.Sample {
	h := &metrics.Hist{Counts: c.Counts[:], Sum: c.Sum.Seconds()}
	for _, bound := range disk.Bounds() {
		h.Bounds = append(h.Bounds, bound.Seconds())
	}
	return metrics.Sample{Name: name, Hist: h}
}

func (n *Node) diskSamples(a *adder) {
	add := a.add
	s, st := n.store.Disk()
	for c := disk.None; c <= disk.Failed; c++ {
		add("disk_state", flag(c == s.Cause), c.String())
	}
	add("disk_free_bytes", float64(s.FreeBytes))
	add("disk_size_bytes", float64(s.SizeBytes))
	add("disk_errors_total", float64(st.FullErrors), disk.Full.String())
	add("disk_errors_total", float64(st.OtherErrors), disk.Failed.String())
	add("disk_snapshot_errors_total", float64(st.Tolerated))
	add("disk_stalls_total", float64(st.Stalls))
	add("disk_refused_total", float64(st.Refused))
	add("disk_reopened_total", float64(st.Reopened))
	a.samples = append(a.samples, histogram("disk_sync_seconds", st.Syncs))
}
