package fsm

import (
	"meridian/internal/journal"
)

const (
	// StateHashEach is how often, in microseconds of region time, nodes hash a part
	// of their state to compare it; a large state more seldom, by once this for each
	// stretchItems items, since finding a part means to look at all keys. It is the
	// same on every node and never read from a configuration: the turn decides which
	// part is hashed.
	StateHashEach = 10_000_000
	stretchItems  = 250_000
	// partItems is about how many items a part holds.
	partItems = 16_384
)

// HeadAt returns where this replica's ledger stands at a log index.
func (s *State) HeadAt(node string, index uint64) journal.Head {
	return journal.Head{Region: s.Region, Node: node, Epoch: s.Epoch, Seq: s.Seq, Hash: s.Head, Index: index, At: s.Now}
}

// HashPart adds to a head the hash of that part of the state whose turn it is.
// Over as many turns as there are parts all of the state is hashed.
func (s *State) HashPart(h *journal.Head) { h.State = s.hashOf(s.turnPart(h)) }

// FreezePart is HashPart while commands go on: it notes the part as it is now. The
// head's State is what Hash of the Frozen returns, on every replica.
func (s *State) FreezePart(h *journal.Head) *Frozen {
	f := s.freeze(s.turnPart(h))
	s.frozen = append(s.frozen, f)
	return f
}

// turnPart tells a head which part's turn it is.
func (s *State) turnPart(h *journal.Head) part {
	parts := s.parts()
	turn := uint64(s.StateTurn()) % uint64(len(parts))
	h.StateForm, h.StatePart, h.StateParts = dumpFormat, uint32(turn), uint32(len(parts))
	return parts[turn]
}

// StateTurn counts the turns of hashing: a part is hashed when a tick changes it.
func (s *State) StateTurn() int64 {
	return s.Now / (StateHashEach * int64(1+s.items()/stretchItems))
}

func (s *State) items() int {
	return s.subscriptions.len() + s.buckets.len() + len(s.sessions) + len(s.reservations)
}

// collection is one of the state's maps that grow with what a region serves.
type collection uint8

const (
	everything collection = iota
	theRest               // all that is in none of the following
	theSubscriptions
	theBuckets
	theSessions
	theReservations
	collections
)

// part is what lies in one of several equal shares of a collection.
type part struct {
	of        collection
	share, in uint32
}

// parts lists all parts of the state; replicas with the same state have the same.
// A small state is one part, whose hash is Hash.
func (s *State) parts() []part {
	if s.items() <= partItems {
		return []part{{of: everything, in: 1}}
	}
	out := []part{{of: theRest, in: 1}}
	for c, n := range [collections]int{
		theSubscriptions: s.subscriptions.len(), theBuckets: s.buckets.len(),
		theSessions: len(s.sessions), theReservations: len(s.reservations),
	} {
		if collection(c) <= theRest {
			continue
		}
		in := uint32(n/partItems) + 1
		for share := range in {
			out = append(out, part{collection(c), share, in})
		}
	}
	return out
}

// hashOf is the SHA-256 of the dump of a state that has only this part. What the
// ledger's head and region time are is in every part.
func (s *State) hashOf(p part) journal.Hash { return s.freeze(p).Hash(alone{}) }

// spread is FNV-1a over the texts: the same on every machine.
func spread(texts ...string) uint32 {
	h := uint32(2166136261)
	for _, t := range texts {
		for i := range len(t) {
			h = (h ^ uint32(t[i])) * 16777619
		}
		h *= 16777619 // between texts
	}
	return h
}
