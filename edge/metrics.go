package edge

import (
	"fmt"

	"meridian/edge/fsm"
	"meridian/ops/metrics"
)

// describedMetrics lists the node's figures; ops/METRICS.md is made of them. No
// subscriber and no secret is a label.
func describedMetrics() []metrics.Metric {
	list := []metrics.Metric{
		{Name: "alarm", Help: "1 while an alarm is raised; each has a page in ops/runbooks.", Kind: metrics.Gauge, Labels: []string{"alarm", "severity"}},
		{Name: "mode", Help: "0 isolated, 1 degraded, 2 connected.", Kind: metrics.Gauge},
		{Name: "certificate_expires_timestamp_seconds", Help: "When this node's certificate ends.", Kind: metrics.Gauge},
		{Name: "api_certificate_expires_timestamp_seconds", Help: "When the certificate of this node's API ends; 0 when it is served in clear text.", Kind: metrics.Gauge},
		{Name: "clock_skew_max_seconds", Help: "Greatest difference between this node's clock and another node's, as this leader saw it last; 0 on followers.", Kind: metrics.Gauge},
		{Name: "region_time_timestamp_seconds", Help: "Region time.", Kind: metrics.Gauge},
		{Name: "data_key_sealing", Help: "Id of the data key that seals what is written.", Kind: metrics.Gauge},
		{Name: "data_key_oldest_needed", Help: "Id of the oldest data key that something on the disk still needs; 0 while the disk cannot be read.", Kind: metrics.Gauge},
		{Name: "data_key_sealed_total", Help: "Records that the key that seals has sealed since it began to, or the node was started; rotate well before 2^32."},
		{Name: "members", Help: "Nodes of the region that are believed alive, this one included.", Kind: metrics.Gauge},
		{Name: "sessions_open", Help: "Open sessions.", Kind: metrics.Gauge},
		{Name: "sessions", Help: "Sessions remembered, closed ones included.", Kind: metrics.Gauge},
		{Name: "subscriptions", Help: "Subscriptions served.", Kind: metrics.Gauge},
		{Name: "reservations", Help: "Reservations held.", Kind: metrics.Gauge},
		{Name: "leases", Help: "Buckets of which this region holds a lease.", Kind: metrics.Gauge},
		{Name: "lease_headroom", Help: "What may still be held or charged of all leases together, by unit (a currency's micro-units, bytes, seconds, events).", Kind: metrics.Gauge, Labels: []string{"unit"}},
		{Name: "leases_wanting", Help: "Of these, buckets whose lease is below what the region asked for: no headroom until the centre grants.", Kind: metrics.Gauge},
		{Name: "overrun_micro_total", Help: "Micro-units of usage that nothing could pay."},
		{Name: "overrun_worst_micro", Help: "The greatest overrun of one session, in micro-units.", Kind: metrics.Gauge},
		{Name: "overrun_bound_micro", Help: "What one session may overrun at most, by speed, interim interval and time to disconnect, in micro-units; -1 when an offering names no speed.", Kind: metrics.Gauge},
		{Name: "fenced", Help: "1 when the centre has more of the ledger than the region itself: it spends nothing.", Kind: metrics.Gauge},
		{Name: "session_anomalies_total", Help: "Reports whose counters contradict earlier ones."},
		{Name: "effects_queued", Help: "CoA and Disconnect requests waiting to be sent.", Kind: metrics.Gauge},
		{Name: "effects_sent_total", Help: "CoA and Disconnect requests sent, retransmissions not counted."},
		{Name: "effects_retried_total", Help: "CoA and Disconnect requests refused or unanswered, to be tried again."},
		{Name: "effects_failed_total", Help: "CoA and Disconnect requests given up."},
	}
	list = append(list, radiusMetrics()...)
	list = append(list, raftMetrics()...)
	list = append(list, linkMetrics()...)
	list = append(list, headsMetrics()...)
	return append(list, diskMetrics()...)
}

func (n *Node) exportMetrics() error {
	c, err := metrics.NewCollector("meridian_edge", map[string]string{"region": n.cfg.Region, "node": n.cfg.Node}, describedMetrics(), n.samples)
	if err != nil {
		return err
	}
	if err := n.cfg.Registry.Register(c); err != nil {
		return fmt.Errorf("edge: register metrics: %w", err)
	}
	return nil
}

// adder takes samples.
type adder struct{ samples []metrics.Sample }

func (a *adder) add(name string, v float64, labels ...string) {
	a.samples = append(a.samples, metrics.Sample{Name: name, Value: v, Labels: labels})
}

func (a *adder) count(name string, v uint64, labels ...string) { a.add(name, float64(v), labels...) }

func flag(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

func (n *Node) samples() []metrics.Sample {
	a := &adder{}
	n.radiusSamples(a)
	n.raftSamples(a)
	n.linkSamples(a)
	n.diskSamples(a)
	n.keySamples(a)
	n.headsSamples(a.add)
	a.add("certificate_expires_timestamp_seconds", float64(n.expires.Unix()))
	apiEnds := 0.0
	if ends, _ := n.apiCert.state(); !ends.IsZero() {
		apiEnds = float64(ends.Unix())
	}
	a.add("api_certificate_expires_timestamp_seconds", apiEnds)
	a.add("clock_skew_max_seconds", n.greatestSkew().Seconds())
	a.add("members", float64(n.gossip.Stats().Members))
	es := n.effects.Stats()
	a.count("effects_sent_total", es.Sent)
	a.count("effects_retried_total", es.Retried)
	a.count("effects_failed_total", es.Failed+es.NoTarget)
	n.store.View(func(s *fsm.State) {
		counts := s.Count()
		a.add("mode", float64(s.Mode))
		a.add("region_time_timestamp_seconds", float64(s.Now/1_000_000))
		a.add("sessions_open", float64(counts.Open))
		a.add("sessions", float64(counts.Sessions))
		a.add("subscriptions", float64(counts.Subscriptions))
		a.add("reservations", float64(counts.Reservations))
		a.add("leases", float64(counts.Leases))
		a.add("leases_wanting", float64(counts.LeasesWanting))
		for _, h := range s.Headroom() {
			amount, _ := h.Amount.Float64()
			a.add("lease_headroom", amount, string(h.Unit))
		}
		a.add("overrun_micro_total", float64(s.OverrunSum))
		a.add("overrun_worst_micro", float64(s.OverrunWorst))
		a.add("overrun_bound_micro", float64(s.OverrunBound()))
		fenced := 0.0
		if s.Fenced || s.Gathering {
			fenced = 1
		}
		a.add("fenced", fenced)
		a.count("session_anomalies_total", s.Anomalies)
		a.add("effects_queued", float64(counts.Effects))
	})
	for _, x := range n.alarms.All() {
		a.add("alarm", flag(x.Active), x.Name, string(x.Severity))
	}
	return a.samples
}
