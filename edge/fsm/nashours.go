package fsm

import (
	"meridian/edge/session"
	"meridian/internal/journal"
)

// countNAS adds to the hour's totals of a NAS: usage that was hidden from the
// ledger would show against them.
func (s *State) countNAS(n *NAS, d session.Delta) {
	s.startNASHour(n)
	n.In += d.In
	n.Out += d.Out
}

// startNASHour writes the finished hour and begins the one of region time.
func (s *State) startNASHour(n *NAS) {
	hour := s.seconds() / 3600 * 3600
	if n.Hour == hour {
		return
	}
	if n.In != 0 || n.Out != 0 || n.Sessions != 0 {
		s.emit(journal.Entry{
			Kind: journal.KindNASTotals, Quantity: n.Sessions, Session: journal.SessionKey{NAS: n.ID},
			Usage: &journal.UsageRecord{From: n.Hour, To: n.Hour + 3600, InOctets: n.In, OutOctets: n.Out},
		})
	}
	n.Hour, n.Sessions, n.In, n.Out = hour, 0, 0, 0
}

func (s *State) flushNASHours() {
	hour := s.seconds() / 3600 * 3600
	for _, id := range sortedKeys(s.nas) {
		if n := s.nas[id]; n.Hour != hour && (n.In != 0 || n.Out != 0 || n.Sessions != 0) {
			s.startNASHour(n)
		}
	}
}

func (s *State) emitEpoch(previous string) {
	s.emit(journal.Entry{Kind: journal.KindEpoch, Ref: previous})
}
