package fsm

// full says why no new session is taken, "" while there is room: a NAS that has the
// secret could otherwise open sessions without end. ofNAS is how many are open there.
// What it reports is acknowledged, recorded and not charged.
func (s *State) full(ofNAS int) string {
	open := s.openSessions()
	switch {
	case int64(ofNAS) >= s.Policy.MaxNASSessions:
		return "the NAS has as many open sessions as max_nas_sessions"
	case int64(open) >= s.Policy.MaxSessions:
		return "the region has as many open sessions as max_sessions"
	case int64(len(s.sessions)-open) >= s.Policy.MaxTombstones:
		return "the region remembers as many closed sessions as max_tombstones"
	}
	return ""
}

func (s *State) openSessions() (open int) {
	for _, n := range s.nas { // a sum, whatever the order
		open += len(n.open)
	}
	return open
}

// SessionsFull says which bound of sessions is reached, "" when none is. The NAS that
// has the most is looked at.
func (s *State) SessionsFull() string {
	most := 0
	for _, n := range s.nas {
		most = max(most, len(n.open))
	}
	return s.full(most)
}
