package radius

import (
	"hash/maphash"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"
)

// dupShards divides the duplicate table so that workers rarely meet at one lock.
const dupShards = 64

// dupKey names a request as RFC 5080 §2.2.2 does.
type dupKey struct {
	source     netip.AddrPort
	local      netip.Addr
	acct       bool
	identifier byte
}

// verdict says what a request is in the light of those before it.
type verdict uint8

const (
	isNew        verdict = iota // not seen, or its identifier is reused with another authenticator
	isInProgress                // a retransmission of a request that is not answered yet
	isAnswered                  // a retransmission of an answered request: the reply is given
)

// dupTable remembers requests in progress and the replies to finished ones. Requests in progress are bounded by MaxInFlight, replies by
// their number and their octets: the oldest leave first. Who can forge a NAS's address decides, by Proxy-State, how long the replies are.
type dupTable struct {
	ttl       time.Duration
	perShard  int // replies
	octets    int // of memory for the replies of one shard
	seed      maphash.Seed
	shards    [dupShards]dupShard
	evictions atomic.Uint64
	serial    atomic.Uint64
}

type dupShard struct {
	mu      sync.Mutex
	entries map[dupKey]*dupEntry
	oldest  *dupEntry // answered entries in order of expiry
	newest  *dupEntry
	kept    int
	octets  int
}

// dupOverhead is what an entry takes beside its reply, about, in octets.
const dupOverhead = 256

type dupEntry struct {
	key           dupKey
	authenticator [16]byte
	serial        uint64
	answered      bool
	expires       time.Time
	reply         []byte
	older, newer  *dupEntry
}

func newDupTable(ttl time.Duration, limit, octets int) *dupTable {
	t := &dupTable{ttl: ttl, perShard: max(1, limit/dupShards), octets: octets / dupShards, seed: maphash.MakeSeed()}
	for i := range t.shards {
		t.shards[i].entries = make(map[dupKey]*dupEntry)
	}
	return t
}

func (t *dupTable) shard(k dupKey) *dupShard {
	return &t.shards[maphash.Comparable(t.seed, k)%dupShards]
}

// begin enters a request. For a new one it gives the serial to end it with; for an answered one the reply is appended to dst.
func (t *dupTable) begin(k dupKey, authenticator [16]byte, now time.Time, dst []byte) (v verdict, serial uint64, reply []byte) {
	s := t.shard(k)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.expire(now)
	e := s.entries[k]
	if e != nil && e.authenticator == authenticator {
		if !e.answered {
			return isInProgress, 0, dst
		}
		return isAnswered, 0, append(dst, e.reply...)
	}
	if e == nil {
		e = &dupEntry{key: k}
		s.entries[k] = e
	} else if e.answered {
		s.unlink(e)
	}
	if cap(e.reply) > keepBuffer {
		e.reply = nil
	}
	e.authenticator, e.answered, e.serial = authenticator, false, t.serial.Add(1)
	return isNew, e.serial, dst
}

// finish keeps the reply of the request; false when another request has taken its key meanwhile.
func (t *dupTable) finish(k dupKey, serial uint64, reply []byte, now time.Time) bool {
	s := t.shard(k)
	s.mu.Lock()
	defer s.mu.Unlock()
	e := s.entries[k]
	if e == nil || e.serial != serial || e.answered {
		return false
	}
	e.reply = append(e.reply[:0], reply...)
	e.answered, e.expires = true, now.Add(t.ttl)
	s.link(e)
	for s.kept > t.perShard || s.octets > t.octets {
		s.remove(s.oldest)
		t.evictions.Add(1)
	}
	return true
}

// forget ends a request without a reply: a retransmission will be new.
func (t *dupTable) forget(k dupKey, serial uint64) {
	s := t.shard(k)
	s.mu.Lock()
	defer s.mu.Unlock()
	if e := s.entries[k]; e != nil && e.serial == serial && !e.answered {
		delete(s.entries, k)
	}
}

// size is the number of replies kept, and the octets that they take.
func (t *dupTable) size() (replies, octets int) {
	for i := range t.shards {
		s := &t.shards[i]
		s.mu.Lock()
		replies += s.kept
		octets += s.octets
		s.mu.Unlock()
	}
	return replies, octets
}

// expirePerCall bounds what one request pays for others' expiry; two leave for each that comes, so the table shrinks.
const expirePerCall = 2

// sweep removes what has expired in every shard, so that a server without requests keeps no old replies.
func (t *dupTable) sweep(now time.Time) {
	for i := range t.shards {
		s := &t.shards[i]
		for more := true; more; {
			s.mu.Lock()
			for range 256 {
				s.expire(now)
			}
			more = s.oldest != nil && now.After(s.oldest.expires)
			s.mu.Unlock()
		}
	}
}

func (s *dupShard) expire(now time.Time) {
	for range expirePerCall {
		if s.oldest == nil || now.Before(s.oldest.expires) {
			return
		}
		s.remove(s.oldest)
	}
}

func (s *dupShard) remove(e *dupEntry) {
	s.unlink(e)
	delete(s.entries, e.key)
}

func (s *dupShard) link(e *dupEntry) {
	e.older, e.newer = s.newest, nil
	if s.newest != nil {
		s.newest.newer = e
	} else {
		s.oldest = e
	}
	s.newest = e
	s.kept++
	s.octets += e.octets()
}

func (s *dupShard) unlink(e *dupEntry) {
	if e.older != nil {
		e.older.newer = e.newer
	} else {
		s.oldest = e.newer
	}
	if e.newer != nil {
		e.newer.older = e.older
	} else {
		s.newest = e.older
	}
	e.older, e.newer = nil, nil
	s.kept--
	s.octets -= e.octets()
}

func (e *dupEntry) octets() int { return dupOverhead + cap(e.reply) }
