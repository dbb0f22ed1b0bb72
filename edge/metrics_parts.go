package edge

import (
	"time"

	"meridian/edge/aaa"
	"meridian/edge/fsm"
	"meridian/ops/metrics"
	"meridian/radius"
	"meridian/replication/identity"
	"meridian/replication/link"
)

func radiusMetrics() []metrics.Metric {
	return []metrics.Metric{
		{Name: "radius_received_total", Help: "Packets read from the socket.", Labels: []string{"port"}},
		{Name: "radius_requests_total", Help: "Requests handed to the handler.", Labels: []string{"port"}},
		{Name: "radius_replies_total", Help: "Replies made, by kind.", Labels: []string{"port", "kind"}},
		{Name: "radius_latency_seconds", Help: "Time from the socket's read to the reply.", Kind: metrics.Histogram, Labels: []string{"port"}},
		{Name: "radius_dropped_total", Help: "Packets that were not answered, by reason.", Labels: []string{"port", "reason"}},
		{Name: "radius_resent_total", Help: "Cached replies sent again.", Labels: []string{"port"}},
		{Name: "radius_kernel_dropped_total", Help: "Packets the kernel dropped before they were read.", Labels: []string{"port"}},
		{Name: "radius_socket_errors_total", Help: "Reads and writes of the socket that failed.", Labels: []string{"port", "direction"}},
		{Name: "radius_receive_buffer_bytes", Help: "Receive buffer that the kernel gave.", Kind: metrics.Gauge, Labels: []string{"port"}},
		{Name: "radius_in_flight", Help: "Requests waiting for their answer.", Kind: metrics.Gauge},
		{Name: "radius_in_flight_max", Help: "Limit of radius_in_flight; beyond it requests are shed.", Kind: metrics.Gauge},
		{Name: "radius_queue", Help: "Packets waiting for a worker.", Kind: metrics.Gauge},
		{Name: "radius_queue_max", Help: "Limit of radius_queue; beyond it interims are shed first.", Kind: metrics.Gauge},
		{Name: "radius_reply_cache", Help: "Replies kept for retransmissions.", Kind: metrics.Gauge},
		{Name: "radius_reply_cache_evictions_total", Help: "Replies that left before their time because the cache was full."},
		{Name: "auth_accepts_total", Help: "Access-Accepts."},
		{Name: "auth_accepts_stale_total", Help: "Of these, by a node that heard no leader."},
		{Name: "auth_rejects_total", Help: "Access-Rejects, by reason.", Labels: []string{"reason"}},
		{Name: "auth_dropped_total", Help: "Access-Requests left without an answer by the handler, by reason.", Labels: []string{"reason"}},
		{Name: "acct_acked_total", Help: "Accounting-Requests acknowledged, by kind.", Labels: []string{"kind"}},
		{Name: "acct_dropped_total", Help: "Accounting-Requests left without an answer by the handler, by reason.", Labels: []string{"reason"}},
		{Name: "acct_repeated_total", Help: "Accounting-Requests that were counted before."},
		{Name: "acct_quarantined_total", Help: "Accounting-Requests recorded without a charge."},
		{Name: "nas_registered", Help: "Usable entries of the NAS registry.", Kind: metrics.Gauge},
		{Name: "nas_unusable", Help: "Entries of the NAS registry with a fault.", Kind: metrics.Gauge},
	}
}

func (n *Node) radiusSamples(a *adder) {
	rs := n.radius.Stats()
	n.radiusPort(a, "auth", rs.Auth)
	n.radiusPort(a, "acct", rs.Acct)
	a.add("radius_in_flight", float64(rs.InFlight))
	a.add("radius_in_flight_max", float64(n.radiusLimits.MaxInFlight))
	a.add("radius_queue", float64(rs.Queued))
	a.add("radius_queue_max", float64(n.radiusLimits.Queue))
	a.add("radius_reply_cache", float64(rs.ReplyCache))
	a.count("radius_reply_cache_evictions_total", rs.ReplyCacheEvictions)
	as := n.aaa.Stats()
	a.count("auth_accepts_total", as.Accepts)
	a.count("auth_accepts_stale_total", as.AcceptsStale)
	for reason, v := range as.Rejects {
		a.count("auth_rejects_total", v, aaa.Reject(reason).String())
	}
	for reason := range as.AuthDropped {
		a.count("auth_dropped_total", as.AuthDropped[reason], aaa.Drop(reason).String())
		a.count("acct_dropped_total", as.AcctDropped[reason], aaa.Drop(reason).String())
	}
	for kind, v := range as.AcctAcked {
		a.count("acct_acked_total", v, aaa.AcctKind(kind).String())
	}
	a.count("acct_repeated_total", as.AcctRepeated)
	a.count("acct_quarantined_total", as.AcctQuarantined)
	a.add("nas_registered", float64(as.NAS))
	a.add("nas_unusable", float64(as.NASUnusable))
}

func (n *Node) radiusPort(a *adder, port string, p radius.PortStats) {
	a.count("radius_received_total", p.Received, port)
	a.count("radius_requests_total", p.Requests, port)
	for kind, v := range map[string]uint64{"accept": p.Accepts, "reject": p.Rejects, "challenge": p.Challenges, "accounting": p.Responses, "status": p.Status} {
		a.count("radius_replies_total", v, port, kind)
	}
	a.count("radius_resent_total", p.Resent, port)
	a.count("radius_kernel_dropped_total", p.KernelDrops, port)
	a.count("radius_socket_errors_total", p.ReadErrors, port, "read")
	a.count("radius_socket_errors_total", p.SendErrors, port, "send")
	a.add("radius_receive_buffer_bytes", float64(p.ReceiveBufferBytes), port)
	for reason, v := range p.Drops {
		a.count("radius_dropped_total", v, port, radius.DropReason(reason).String())
	}
	h := &metrics.Hist{Counts: p.Latency[:], Sum: p.LatencySum.Seconds()}
	for _, bound := range radius.LatencyBounds() {
		h.Bounds = append(h.Bounds, bound.Seconds())
	}
	a.samples = append(a.samples, metrics.Sample{Name: "radius_latency_seconds", Labels: []string{port}, Hist: h})
}

func raftMetrics() []metrics.Metric {
	return []metrics.Metric{
		{Name: "raft_leader", Help: "1 while this node leads.", Kind: metrics.Gauge},
		{Name: "raft_term", Help: "Raft term.", Kind: metrics.Gauge},
		{Name: "raft_leader_heard_seconds", Help: "Time since a leader was heard; 0 on the leader.", Kind: metrics.Gauge},
		{Name: "raft_last_index", Help: "Newest log entry on this node.", Kind: metrics.Gauge},
		{Name: "raft_commit_index", Help: "Newest log entry that this node knows to be committed.", Kind: metrics.Gauge},
		{Name: "raft_applied_index", Help: "Newest log entry applied.", Kind: metrics.Gauge},
		{Name: "raft_apply_lag_entries", Help: "Log entries committed and not yet applied here.", Kind: metrics.Gauge},
		{Name: "raft_log_entries", Help: "Log entries kept on disk: those since the last snapshots.", Kind: metrics.Gauge},
		{Name: "raft_entries_stored_total", Help: "Log entries written and synced."},
		{Name: "raft_bytes_stored_total", Help: "Octets of them, sealed."},
		{Name: "raft_log_ranges_total", Help: "Stretches of the log read back from disk and compared with what the leader wrote, by cause: equal, skipped, different.", Labels: []string{"cause"}},
		{Name: "raft_open_failures_total", Help: "Log entries that did not open: damaged, or sealed by another key."},
		{Name: "raft_peers_refused_total", Help: "Connections whose peer did not prove to be a node of the region."},
		{Name: "peers_refused_total", Help: "Processes that do not belong here and were refused: by part (raft, forward, gossip) and cause (identity or region, cluster, version).", Labels: []string{"part", "cause"}},
		{Name: "store_commands_total", Help: "Commands proposed by this node."},
		{Name: "store_batches_total", Help: "Log entries, or batches to the leader, made of them; commands by batches is the batch size."},
		{Name: "store_commit_seconds", Help: "Time from when this node, leading, proposed a log entry until a majority had it on disk and it was applied here.", Kind: metrics.Histogram},
		{Name: "store_busy_total", Help: "Commands refused because the queue was full."},
		{Name: "store_timeouts_total", Help: "Commands given up without a majority."},
		{Name: "store_retries_total", Help: "Commands tried again."},
		{Name: "store_queue", Help: "Commands waiting for a place in the log.", Kind: metrics.Gauge},
		{Name: "store_queue_max", Help: "Limit of store_queue; beyond it commands are refused.", Kind: metrics.Gauge},
		{Name: "store_batch_max", Help: "Most commands in one log entry.", Kind: metrics.Gauge},
	}
}

func (n *Node) raftSamples(a *adder) {
	raft, st, limits := n.store.Raft().Stats(), n.store.Stats(), n.store.Limits()
	a.add("raft_leader", flag(n.store.IsLeader()))
	a.count("raft_term", raft.Term)
	a.add("raft_leader_heard_seconds", max(0, time.Since(n.store.LeaderHeard()).Seconds()))
	a.count("raft_last_index", raft.LastIndex)
	a.count("raft_commit_index", raft.CommitIndex)
	a.count("raft_applied_index", raft.AppliedIndex)
	a.count("raft_apply_lag_entries", raft.CommitIndex-min(raft.AppliedIndex, raft.CommitIndex))
	kept := uint64(0)
	if raft.FirstIndex > 0 {
		kept = raft.LastIndex + 1 - min(raft.FirstIndex, raft.LastIndex+1)
	}
	a.count("raft_log_entries", kept)
	a.count("raft_entries_stored_total", raft.EntriesStored)
	a.count("raft_bytes_stored_total", raft.BytesStored)
	v := n.store.Raft().Verification()
	a.add("raft_log_ranges_total", float64(v.Ranges), "equal")
	a.add("raft_log_ranges_total", float64(v.Skipped), "skipped")
	a.add("raft_log_ranges_total", float64(v.Differ), "different")
	a.count("raft_open_failures_total", raft.OpenFailures)
	a.count("raft_peers_refused_total", raft.PeersRefused)
	n.refusedSamples(a)
	a.count("store_commands_total", st.Commands)
	a.count("store_batches_total", st.Batches)
	a.samples = append(a.samples, histogram("store_commit_seconds", st.Commits))
	a.count("store_busy_total", st.Busy)
	a.count("store_timeouts_total", st.Timeouts)
	a.count("store_retries_total", st.Retries)
	a.add("store_queue", float64(st.QueueLen))
	a.add("store_queue_max", float64(limits.Queue))
	a.add("store_batch_max", float64(limits.Batch))
}

// refusedSamples counts by who refused. Raft tells another cluster from a false
// certificate in its log only.
func (n *Node) refusedSamples(a *adder) {
	f, g := n.forward.Stats(), n.gossip.Stats()
	a.count("peers_refused_total", n.store.Raft().Stats().PeersRefused, "raft", "identity")
	a.count("peers_refused_total", f.Refused-f.RefusedCluster-f.RefusedVersion, "forward", "identity")
	a.count("peers_refused_total", f.RefusedCluster, "forward", identity.CauseCluster)
	a.count("peers_refused_total", f.RefusedVersion, "forward", identity.CauseVersion)
	a.count("peers_refused_total", g.Foreign, "gossip", "region")
	a.count("peers_refused_total", g.OtherCluster, "gossip", identity.CauseCluster)
	a.count("peers_refused_total", g.OtherVersion, "gossip", identity.CauseVersion)
}

func linkMetrics() []metrics.Metric {
	return []metrics.Metric{
		{Name: "ledger_seq", Help: "Newest ledger entry.", Kind: metrics.Gauge},
		{Name: "ledger_backlog_entries", Help: "Entries the centre has not acknowledged.", Kind: metrics.Gauge},
		{Name: "ledger_backlog_max_entries", Help: "Limit of ledger_backlog_entries; beyond it new sessions are refused. 0 before the region is founded.", Kind: metrics.Gauge},
		{Name: "ledger_backlog_use_ratio", Help: "Entries, octets or age of the backlog as a share of its bound, whichever is the most; at 1 new sessions are refused.", Kind: metrics.Gauge},
		{Name: "renewals_hour", Help: "Renewals charged in the newest hour of region time that had any.", Kind: metrics.Gauge},
		{Name: "renewals_max_hour", Help: "Limit of renewals_hour; at it all further ones are held until a person raises it.", Kind: metrics.Gauge},
		{Name: "renewals_held", Help: "1 while renewals are held for a person to look.", Kind: metrics.Gauge},
		{Name: "ledger_backlog_bytes", Help: "Octets on disk of the frames that hold them.", Kind: metrics.Gauge},
		{Name: "ledger_backlog_age_seconds", Help: "Region time since the oldest of them was written; 0 when there is none.", Kind: metrics.Gauge},
		{Name: "feed_version", Help: "Newest feed row applied.", Kind: metrics.Gauge},
		{Name: "feed_blocked", Help: "1 while the feed waits at a row that cannot be read.", Kind: metrics.Gauge},
		{Name: "link_connected", Help: "1 while the link to the centre is up.", Kind: metrics.Gauge},
		{Name: "link_silence_seconds", Help: "Time since anything was heard from the centre; -1 when never, or on a follower that never led.", Kind: metrics.Gauge},
		{Name: "link_clock_skew_seconds", Help: "The centre's clock minus this node's, at the last heartbeat.", Kind: metrics.Gauge},
		{Name: "link_in_flight", Help: "Batches sent and not acknowledged.", Kind: metrics.Gauge},
		{Name: "link_credit", Help: "Limit of link_in_flight, set by the centre; 0 without a stream.", Kind: metrics.Gauge},
		{Name: "link_attempts_total", Help: "Attempts to reach the centre."},
		{Name: "link_connects_total", Help: "Streams that were welcomed."},
		{Name: "link_failures_total", Help: "Attempts at the link that failed and streams that ended, by cause.", Labels: []string{"cause"}},
		{Name: "link_refusals_total", Help: "Refusals by the centre, by code.", Labels: []string{"code"}},
		{Name: "link_batches_total", Help: "Batches sent, repeats included."},
		{Name: "link_entries_total", Help: "Entries in them."},
		{Name: "link_bytes_total", Help: "Octets in them."},
		{Name: "link_feed_rows_total", Help: "Feed rows received."},
	}
}

func (n *Node) linkSamples(a *adder) {
	l, st := n.link.State(), n.link.Stats()
	a.add("link_connected", flag(l.Connected))
	silence := -1.0
	if !l.LastContact.IsZero() {
		silence = time.Since(l.LastContact).Seconds()
	}
	a.add("link_silence_seconds", silence)
	a.add("link_clock_skew_seconds", l.ClockSkew.Seconds())
	a.add("link_in_flight", float64(l.InFlight))
	a.add("link_credit", float64(l.Credit))
	a.count("link_attempts_total", st.Attempts)
	a.count("link_connects_total", st.Connects)
	for _, cause := range link.Causes() {
		a.count("link_failures_total", st.Causes[cause], cause.String())
	}
	for _, code := range link.Codes() {
		a.count("link_refusals_total", st.RefusedBy[code], code.String())
	}
	a.count("link_batches_total", st.Batches)
	a.count("link_entries_total", st.Entries)
	a.count("link_bytes_total", st.Bytes)
	a.count("link_feed_rows_total", st.Rows)
	a.add("feed_blocked", flag(n.uplink.FeedBlocked() != nil))
	b := n.backlogNow()
	a.count("ledger_seq", b.seq)
	a.count("ledger_backlog_entries", b.entries)
	a.count("ledger_backlog_max_entries", b.most)
	a.add("ledger_backlog_use_ratio", float64(b.use)/1000)
	a.add("ledger_backlog_bytes", float64(b.bytes))
	a.add("ledger_backlog_age_seconds", b.age.Seconds())
	a.count("feed_version", b.feed)
	a.count("renewals_hour", b.renewals)
	a.count("renewals_max_hour", b.renewalsMost)
	a.add("renewals_held", flag(b.held))
}

// backlogState is what waits for the centre.
type backlogState struct {
	seq, entries, most, feed uint64
	bytes                    int64
	use                      int64         // thousandths of the bound, see fsm.State.BacklogUse
	age                      time.Duration // by region time
	renewals, renewalsMost   uint64
	held                     bool
}

func (n *Node) backlogNow() (b backlogState) {
	var acked uint64
	var now int64
	n.store.View(func(s *fsm.State) {
		acked, now = s.Acked, s.Now
		b.seq, b.entries, b.feed = s.Seq, s.Backlog(), s.FeedVersion
		if s.Configured {
			b.renewals, b.renewalsMost, b.held = uint64(s.Renewals), uint64(s.Policy.RenewalsPerHour), s.RenewalsHeld
			b.most, b.use = uint64(s.Policy.MaxBacklogEntries), s.BacklogUse()
		}
	})
	var oldest int64
	b.bytes, oldest = n.store.Backlog(acked)
	if oldest > 0 {
		b.age = max(0, time.Duration(now-oldest)*time.Microsecond)
	}
	return b
}
