package central

import (
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"sync/atomic"
	"time"

	"meridian/central/api"
	"meridian/central/regions"
	"meridian/ops/metrics"
	"meridian/replication/link"
)

// described are the server's metrics. Labels name regions, codes and outcomes;
// no subscriber, account or secret is one.
func described() []metrics.Metric {
	return []metrics.Metric{
		{Name: "ingest_batches_total", Help: "Batches of entries taken in, repeated ones too."},
		{Name: "ingest_entries_total", Help: "Entries taken in for the first time."},
		{Name: "ingest_repeated_total", Help: "Entries acknowledged again that were accepted before."},
		{Name: "ingest_suspended_total", Help: "Entries put in front of a person."},
		{Name: "ingest_refused_total", Help: "Hellos and batches refused by the books."},
		{Name: "heads_total", Help: "Signed heads taken in."},
		{Name: "heads_dropped_total", Help: "Signed heads beyond what is kept of a region while their entries are missing."},
		{Name: "heads_contradicted_total", Help: "Signed heads that contradict the ledger: each put a region on hold."},
		{Name: "region_signed_seq", Help: "Newest entry that a node signed, as this server had it; a node that is a day behind the others of its region is left out.", Kind: metrics.Gauge, Labels: []string{"region", "node"}},
		{Name: "region_signed_time_seconds", Help: "Region time of the newest head that a node signed, as this server had it; a node that is a day behind the others of its region is left out.", Kind: metrics.Gauge, Labels: []string{"region", "node"}},
		{Name: "grants_total", Help: "Leases raised because a region asked."},
		{Name: "grants_unknown_total", Help: "Grants asked for that name no lease of the region's present epoch."},
		{Name: "transactions_total", Help: "Transactions begun, retries not counted."},
		{Name: "transaction_retries_total", Help: "Attempts after the first, for serialization failures."},
		{Name: "transactions_given_up_total", Help: "Transactions that met too many serialization failures."},
		{Name: "transactions_unknown_total", Help: "Commits of which nobody knows whether they took effect."},
		{Name: "transactions_refused_total", Help: "Transactions that the database did not do, by cause.", Labels: []string{"cause"}},
		{Name: "feed_steps_total", Help: "Rounds of the sequencer."},
		{Name: "feed_rows_total", Help: "Feed rows numbered by this server."},
		{Name: "feed_failures_total", Help: "Rounds of the sequencer that failed."},
		{Name: "link_sessions", Help: "1 for each region whose leader is connected to this server.", Kind: metrics.Gauge, Labels: []string{"region"}},
		{Name: "link_streams_total", Help: "Streams that regions have opened."},
		{Name: "link_takeovers_total", Help: "Streams that a newer leader of the region took over."},
		{Name: "link_silent_total", Help: "Streams ended because the region said nothing."},
		{Name: "link_refusals_total", Help: "Refusals sent to regions, by code.", Labels: []string{"code"}},
		{Name: "link_ends_total", Help: "Streams of regions that ended or were not opened, by cause.", Labels: []string{"cause"}},
		{Name: "region_backlog_entries", Help: "Entries that a region has and the centre has not, as the region last said to this server.", Kind: metrics.Gauge, Labels: []string{"region"}},
		{Name: "region_feed_lag_rows", Help: "Feed rows that a region has not applied, as it last said to this server.", Kind: metrics.Gauge, Labels: []string{"region"}},
		{Name: "region_heard_seconds", Help: "Time since a region's health was heard by this server.", Kind: metrics.Gauge, Labels: []string{"region"}},
		{Name: "region_clock_skew_seconds", Help: "A region's clock minus this server's, when its health was last heard.", Kind: metrics.Gauge, Labels: []string{"region"}},
		{Name: "link_batches_total", Help: "Batches received, before the books take them."},
		{Name: "link_entries_total", Help: "Entries in them; entries by batches is the batch size."},
		{Name: "link_bytes_total", Help: "Octets in them."},
		{Name: "link_feed_rows_total", Help: "Feed rows sent."},
		{Name: "http_in_flight", Help: "API requests at work.", Kind: metrics.Gauge},
		{Name: "http_in_flight_max", Help: "Limit of http_in_flight; beyond it requests are turned away.", Kind: metrics.Gauge},
		{Name: "http_requests_total", Help: "Requests to the API, by class of the answer's status.", Labels: []string{"class"}},
		{Name: "http_replayed_total", Help: "Writes answered from the answer stored for their key."},
		{Name: "http_overload_total", Help: "Requests turned away because too many were at work."},
		{Name: "db_connections", Help: "Connections to the database, by state.", Kind: metrics.Gauge, Labels: []string{"state"}},
		{Name: "db_connections_max", Help: "Most connections to the database.", Kind: metrics.Gauge},
		{Name: "db_waits_total", Help: "Times that no idle connection was there."},
		{Name: "db_waits_given_up_total", Help: "Waits for a connection that ended without one."},
		{Name: "alarm", Help: "1 while an alarm is raised; each has a page in ops/runbooks.", Kind: metrics.Gauge, Labels: []string{"alarm", "severity"}},
	}
}

// exportMetrics registers the server's figures until Close.
func (s *Server) exportMetrics() error {
	c, err := metrics.NewCollector("meridian_central", nil, described(), s.samples)
	if err != nil {
		return err
	}
	if err := s.cfg.Registry.Register(c); err != nil {
		return fmt.Errorf("register the centre's metrics: %w: give each server its own Registry", err)
	}
	s.undo = append(s.undo, func() { s.cfg.Registry.Unregister(c) })
	return nil
}

func (s *Server) samples() []metrics.Sample {
	var out []metrics.Sample
	add := func(name string, v float64, labels ...string) {
		out = append(out, metrics.Sample{Name: name, Value: v, Labels: labels})
	}
	count := func(name string, v *atomic.Uint64) { add(name, float64(v.Load())) }

	in := s.services.Regions.Stats()
	count("ingest_batches_total", &in.Batches)
	count("ingest_entries_total", &in.Entries)
	count("ingest_repeated_total", &in.Repeated)
	count("ingest_suspended_total", &in.Suspended)
	count("ingest_refused_total", &in.Refused)
	count("heads_total", &in.Heads)
	count("heads_dropped_total", &in.HeadsDropped)
	count("heads_contradicted_total", &in.Contradicted)
	sessions := s.link.Sessions()
	for _, h := range signedHere(s.services.Regions.SignedHeads(), sessions) {
		add("region_signed_seq", float64(h.Seq), h.Region, h.Node)
		add("region_signed_time_seconds", float64(h.At/1e6), h.Region, h.Node)
	}
	count("grants_total", &in.Grants)
	count("grants_unknown_total", &in.UnknownAsk)
	for _, r := range s.services.Regions.Reports() {
		add("region_backlog_entries", float64(r.BacklogEntries), r.Region)
		head := s.services.Sequencer.Head(r.Region)
		add("region_feed_lag_rows", float64(head-min(head, r.FeedVersion)), r.Region)
		add("region_heard_seconds", time.Since(r.At).Seconds(), r.Region)
		add("region_clock_skew_seconds", time.UnixMicro(r.ClockUnixMicros).Sub(r.At).Seconds(), r.Region)
	}
	tx := s.db.Stats()
	count("transactions_total", &tx.Transactions)
	count("transaction_retries_total", &tx.Retries)
	count("transactions_given_up_total", &tx.GivenUp)
	count("transactions_unknown_total", &tx.Unknown)
	for cause, n := range tx.Refused() {
		add("transactions_refused_total", float64(n), string(cause))
	}
	seq := s.services.Sequencer.Stats()
	count("feed_steps_total", &seq.Steps)
	count("feed_rows_total", &seq.Rows)
	count("feed_failures_total", &seq.Failures)

	for _, l := range sessions {
		add("link_sessions", 1, l.Region)
	}
	ls := s.link.Stats()
	add("link_streams_total", float64(ls.Streams))
	add("link_takeovers_total", float64(ls.Takeovers))
	add("link_silent_total", float64(ls.Silent))
	for _, code := range link.Codes() {
		add("link_refusals_total", float64(ls.Refusals[code]), code.String())
	}
	for _, cause := range link.Causes() {
		add("link_ends_total", float64(ls.Causes[cause]), cause.String())
	}
	add("link_batches_total", float64(ls.Batches))
	add("link_entries_total", float64(ls.Entries))
	add("link_bytes_total", float64(ls.Bytes))
	add("link_feed_rows_total", float64(ls.Rows))
	add("http_in_flight", float64(s.api.InFlight()))
	add("http_in_flight_max", api.MaxInFlight)
	for i := range s.answers {
		add("http_requests_total", float64(s.answers[i].Load()), strconv.Itoa(i+1)+"xx")
	}
	count("http_replayed_total", &s.api.Stats().Replayed)
	count("http_overload_total", &s.api.Stats().Overload)

	pool := s.db.Pool()
	add("db_connections", float64(pool.InUse), "in_use")
	add("db_connections", float64(pool.Idle), "idle")
	add("db_connections_max", float64(pool.Max))
	add("db_waits_total", float64(pool.Waits))
	add("db_waits_given_up_total", float64(pool.GivenUp))
	for _, a := range s.alarms.All() {
		active := 0.0
		if a.Active {
			active = 1
		}
		add("alarm", active, a.Name, string(a.Severity))
	}
	return out
}

// signedHere are the heads of regions that are connected to this server: what it had of
// others ages with nobody to renew it, and may be of nodes that are no members any more.
func signedHere(heads []regions.Signed, sessions []link.SessionInfo) []regions.Signed {
	return slices.DeleteFunc(heads, func(h regions.Signed) bool {
		return !slices.ContainsFunc(sessions, func(l link.SessionInfo) bool { return l.Region == h.Region })
	})
}

// answers counts answers by class of status: 1xx first.
type answers [5]atomic.Uint64

// count makes a handler that counts what next answers.
func (a *answers) count(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		seen := &statusWriter{ResponseWriter: w, status: http.StatusOK}
		next.ServeHTTP(seen, r)
		a[min(max(seen.status/100, 1), len(a))-1].Add(1)
	})
}

// statusWriter remembers the status of an answer.
type statusWriter struct {
	http.ResponseWriter
	status int
}

// WriteHeader implements http.ResponseWriter. The answer of http.TimeoutHandler
// says neither what it is nor when to come again.
func (w *statusWriter) WriteHeader(status int) {
	w.status = status
	if h := w.Header(); status == http.StatusServiceUnavailable && h.Get("Retry-After") == "" {
		h.Set("Retry-After", "2")
		h.Set("Content-Type", "application/json")
	}
	w.ResponseWriter.WriteHeader(status)
}

// Unwrap lets http.ResponseController reach the connection.
func (w *statusWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }
