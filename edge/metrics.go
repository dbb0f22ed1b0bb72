package edge

import (
	"fmt"

	"meridian/edge/aaa"
	"meridian/edge/fsm"
	"meridian/ops/metrics"
	"meridian/radius"
	"meridian/replication/link"
)

// exportMetrics registers the node's figures. No subscriber and no secret is a
// label.
func (n *Node) exportMetrics() error {
	list := []metrics.Metric{
		{Name: "radius_requests_total", Help: "Requests handed to the handler.", Labels: []string{"port"}},
		{Name: "radius_dropped_total", Help: "Packets that were not answered, by reason.", Labels: []string{"port", "reason"}},
		{Name: "radius_resent_total", Help: "Cached replies sent again.", Labels: []string{"port"}},
		{Name: "radius_kernel_dropped_total", Help: "Packets the kernel dropped before they were read.", Labels: []string{"port"}},
		{Name: "radius_in_flight", Help: "Requests waiting for their answer.", Kind: metrics.Gauge},
		{Name: "auth_accepts_total", Help: "Access-Accepts."},
		{Name: "auth_rejects_total", Help: "Access-Rejects, by reason.", Labels: []string{"reason"}},
		{Name: "acct_repeated_total", Help: "Accounting-Requests that were counted before."},
		{Name: "acct_quarantined_total", Help: "Accounting-Requests recorded without a charge."},
		{Name: "effects_queued", Help: "CoA and Disconnect requests waiting to be sent.", Kind: metrics.Gauge},
		{Name: "effects_failed_total", Help: "CoA and Disconnect requests given up."},
		{Name: "raft_leader", Help: "1 while this node leads.", Kind: metrics.Gauge},
		{Name: "raft_term", Help: "Raft term.", Kind: metrics.Gauge},
		{Name: "raft_applied_index", Help: "Newest log entry applied.", Kind: metrics.Gauge},
		{Name: "store_commands_total", Help: "Commands proposed by this node."},
		{Name: "store_batches_total", Help: "Log entries, or batches to the leader, made of them."},
		{Name: "store_busy_total", Help: "Commands refused because the queue was full."},
		{Name: "store_timeouts_total", Help: "Commands given up without a majority."},
		{Name: "store_queue", Help: "Commands waiting for a place in the log.", Kind: metrics.Gauge},
		{Name: "ledger_backlog_entries", Help: "Entries the centre has not acknowledged.", Kind: metrics.Gauge},
		{Name: "ledger_seq", Help: "Newest ledger entry.", Kind: metrics.Gauge},
		{Name: "link_connected", Help: "1 while the link to the centre is up.", Kind: metrics.Gauge},
		{Name: "link_failures_total", Help: "Attempts at the link that failed and streams that ended, by cause.", Labels: []string{"cause"}},
		{Name: "link_refusals_total", Help: "Refusals by the centre, by code.", Labels: []string{"code"}},
		{Name: "mode", Help: "0 isolated, 1 degraded, 2 connected.", Kind: metrics.Gauge},
		{Name: "feed_version", Help: "Newest feed row applied.", Kind: metrics.Gauge},
		{Name: "sessions_open", Help: "Open sessions.", Kind: metrics.Gauge},
		{Name: "subscriptions", Help: "Subscriptions served.", Kind: metrics.Gauge},
		{Name: "overrun_micro_total", Help: "Micro-units of usage that nothing could pay."},
		{Name: "session_anomalies_total", Help: "Reports whose counters contradict earlier ones."},
		{Name: "alarm", Help: "1 while an alarm is raised; each has a page in ops/runbooks.", Kind: metrics.Gauge, Labels: []string{"alarm", "severity"}},
	}
	list = append(append(list, diskMetrics()...), headsMetrics()...)
	c, err := metrics.NewCollector("meridian_edge", map[string]string{"region": n.cfg.Region, "node": n.cfg.Node}, list, n.samples)
	if err != nil {
		return err
	}
	if err := n.cfg.Registry.Register(c); err != nil {
		return fmt.Errorf("edge: register metrics: %w", err)
	}
	return nil
}

func flag(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

func (n *Node) samples() []metrics.Sample {
	var out []metrics.Sample
	add := func(name string, v float64, labels ...string) {
		out = append(out, metrics.Sample{Name: name, Value: v, Labels: labels})
	}
	rs := n.radius.Stats()
	for port, p := range map[string]radius.PortStats{"auth": rs.Auth, "acct": rs.Acct} {
		add("radius_requests_total", float64(p.Requests), port)
		add("radius_resent_total", float64(p.Resent), port)
		add("radius_kernel_dropped_total", float64(p.KernelDrops), port)
		for reason, v := range p.Drops {
			add("radius_dropped_total", float64(v), port, radius.DropReason(reason).String())
		}
	}
	add("radius_in_flight", float64(rs.InFlight))
	as := n.aaa.Stats()
	add("auth_accepts_total", float64(as.Accepts))
	for reason, v := range as.Rejects {
		add("auth_rejects_total", float64(v), aaa.Reject(reason).String())
	}
	add("acct_repeated_total", float64(as.AcctRepeated))
	add("acct_quarantined_total", float64(as.AcctQuarantined))
	add("effects_failed_total", float64(n.effects.Stats().Failed+n.effects.Stats().NoTarget))
	raft, st := n.store.Raft().Stats(), n.store.Stats()
	add("raft_leader", flag(n.store.IsLeader()))
	add("raft_term", float64(raft.Term))
	add("raft_applied_index", float64(raft.AppliedIndex))
	add("store_commands_total", float64(st.Commands))
	add("store_batches_total", float64(st.Batches))
	add("store_busy_total", float64(st.Busy))
	add("store_timeouts_total", float64(st.Timeouts))
	add("store_queue", float64(st.QueueLen))
	n.diskSamples(add)
	n.headsSamples(add)
	add("link_connected", flag(n.link.State().Connected))
	links := n.link.Stats()
	for _, cause := range link.Causes() {
		add("link_failures_total", float64(links.Causes[cause]), cause.String())
	}
	for _, code := range link.Codes() {
		add("link_refusals_total", float64(links.RefusedBy[code]), code.String())
	}
	n.store.View(func(s *fsm.State) {
		counts := s.Count()
		add("effects_queued", float64(counts.Effects))
		add("ledger_backlog_entries", float64(s.Backlog()))
		add("ledger_seq", float64(s.Seq))
		add("mode", float64(s.Mode))
		add("feed_version", float64(s.FeedVersion))
		add("sessions_open", float64(counts.Open))
		add("subscriptions", float64(counts.Subscriptions))
		add("overrun_micro_total", float64(s.OverrunSum))
		add("session_anomalies_total", float64(s.Anomalies))
	})
	for _, a := range n.alarms.All() {
		add("alarm", flag(a.Active), a.Name, string(a.Severity))
	}
	return out
}
