package central

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"meridian/central/store"
	"meridian/ops/alarm"
)

// watched is an alarm and the look that finds its problem, nil when there is none.
type watched struct {
	alarm.Definition
	find func(ctx context.Context) error
}

const (
	// eventHold keeps an alarm about single events in view.
	eventHold = 5 * time.Minute
	// watchEach is how often a server looks at itself, watchTimeout how long one
	// look may take.
	watchEach    = time.Second
	watchTimeout = 2 * time.Second
)

// watched lists what a server watches of itself. A look takes its figures from the
// parts' Stats, and tells no secret and no customer. What only all servers
// together know, such as a region that none of them hears, is an alert rule
// (ops/alerts). Each alarm has a page of its name in ops/runbooks.
func (s *Server) watched() []watched {
	return []watched{
		{alarm.Definition{Name: "database_unreachable", Severity: alarm.Critical,
			Means: "The database does not answer: the API refuses, and no entry is settled. Regions go on by themselves."}, s.db.Ping},
		{alarm.Definition{Name: "database_refuses_writes", Severity: alarm.Critical,
			Means: "The database answers, but takes no writes: it is read-only or full. The API refuses, and no entry is settled. Regions go on by themselves."}, s.refusesWrites},
		{alarm.Definition{Name: "feed_stalled", Severity: alarm.Critical, Hold: 10 * time.Second,
			Means: "Changes are not numbered: they do not reach the regions."}, s.feedStalled},
		{alarm.Definition{Name: "link_refusing", Severity: alarm.Critical, Hold: eventHold,
			Means: "A region's stream was refused: its entries are not settled until a person has acted."}, s.linkRefusing},
		{alarm.Definition{Name: "entries_suspended", Severity: alarm.Warning, Hold: eventHold,
			Means: "Entries were posted to suspense, for a person to look at."}, s.entriesSuspended},
		{alarm.Definition{Name: "ledger_contradicted", Severity: alarm.Critical, Hold: eventHold,
			Means: "A signed head of a region contradicts the ledger that the centre holds: the region is on hold."}, s.ledgerContradicted},
		{alarm.Definition{Name: "centre_certificate_expiring", Severity: alarm.Warning,
			Means: "The centre's certificate ends within 14 days: then no region connects."}, s.certificateExpiring},
		{alarm.Definition{Name: "api_overload", Severity: alarm.Warning, Hold: eventHold,
			Means: "API requests were turned away because too many were at work."}, s.apiOverload},
	}
}

func (s *Server) openAlarms() (err error) {
	s.watching = s.watched()
	definitions := make([]alarm.Definition, len(s.watching))
	for i, w := range s.watching {
		definitions[i] = w.Definition
	}
	s.alarms, err = alarm.New(time.Now, s.log, definitions...)
	return err
}

// startWatching looks at everything watched until Close.
func (s *Server) startWatching(ctx context.Context) {
	ctx, cancel := context.WithCancel(ctx)
	s.undo = append(s.undo, cancel)
	s.wg.Go(func() { s.watch(ctx) })
}

func (s *Server) watch(ctx context.Context) {
	t := time.NewTicker(watchEach)
	defer t.Stop()
	for {
		for _, w := range s.watching {
			look, cancel := context.WithTimeout(ctx, watchTimeout)
			problem := w.find(look)
			cancel()
			if ctx.Err() != nil {
				return
			}
			s.alarms.Set(w.Name, problem)
		}
		select {
		case <-t.C:
		case <-ctx.Done():
			return
		}
	}
}

// refusesWrites is about a database that answers.
func (s *Server) refusesWrites(ctx context.Context) error {
	if err := s.db.Ready(ctx); store.CauseOf(err) != store.Down {
		return err
	}
	return nil
}

func (s *Server) feedStalled(context.Context) error {
	if rose := s.rise.By("feed", s.services.Sequencer.Stats().Failures.Load()); rose > 0 {
		return fmt.Errorf("%d rounds of the sequencer failed", rose)
	}
	return nil
}

func (s *Server) linkRefusing(context.Context) error {
	refusals := s.link.Stats().Refusals
	var said []string
	for _, code := range slices.Sorted(maps.Keys(refusals)) {
		if rose := s.rise.By("link "+code.String(), refusals[code]); rose > 0 {
			said = append(said, fmt.Sprintf("%s (%d times)", code, rose))
		}
	}
	if said == nil {
		return nil
	}
	return fmt.Errorf("refused: %s; the log names the region and the remedy", strings.Join(said, ", "))
}

func (s *Server) entriesSuspended(context.Context) error {
	if rose := s.rise.By("suspended", s.services.Regions.Stats().Suspended.Load()); rose > 0 {
		return fmt.Errorf("%d entries: see GET /v1/reviews", rose)
	}
	return nil
}

func (s *Server) apiOverload(context.Context) error {
	if rose := s.rise.By("overload", s.api.Stats().Overload.Load()); rose > 0 {
		return fmt.Errorf("%d requests turned away", rose)
	}
	return nil
}

func (s *Server) ledgerContradicted(context.Context) error {
	if rose := s.rise.By("contradicted", s.services.Regions.Stats().Contradicted.Load()); rose > 0 {
		return fmt.Errorf("%d signed heads: the log names the region and the entry", rose)
	}
	return nil
}

// expiryWarning is how long before its end a certificate should be renewed.
const expiryWarning = 14 * 24 * time.Hour

func (s *Server) certificateExpiring(context.Context) error {
	if !s.expires.IsZero() && time.Until(s.expires) < expiryWarning {
		return fmt.Errorf("the certificate ends at %s: issue a new one and restart this server", s.expires.UTC().Format(time.RFC3339))
	}
	return nil
}
