package aaa

import (
	"bytes"
	"fmt"
	"sync"

	"meridian/internal/feed"
)

// passwordShards spreads the cache's locks.
const passwordShards = 16

// passwords opens sealed passwords and keeps the clear text in memory, at most
// max of them. Each shard has two generations: what is asked for moves to the
// young one; when that is full the old one is let go, so that the least used half
// leaves. An entry answers only for the sealed octets that it was opened from: a
// changed password is opened anew and takes the old one's place.
type passwords struct {
	opener   Opener
	counters *counters
	shards   [passwordShards]passwordShard
	half     int // entries of one generation of one shard
}

type passwordShard struct {
	mu         sync.Mutex
	young, old map[string]password
}

type password struct{ sealed, clear []byte }

func newPasswords(maxEntries int, opener Opener, c *counters) *passwords {
	p := &passwords{opener: opener, counters: c, half: max(maxEntries/(2*passwordShards), 1)}
	for i := range p.shards {
		p.shards[i].young, p.shards[i].old = map[string]password{}, map[string]password{}
	}
	return p
}

// open returns the clear text, which is read-only. The error is the Opener's.
func (p *passwords) open(subscription string, sealed []byte) ([]byte, error) {
	shard := &p.shards[fnv32(subscription)%passwordShards]
	if clear, ok := shard.get(subscription, sealed, p); ok {
		p.counters.passwordHits.Add(1)
		return clear, nil
	}
	p.counters.passwordOpens.Add(1)
	clear, err := p.opener.Open(sealed, feed.PasswordAAD(subscription))
	if err != nil {
		p.counters.passwordFaults.Add(1)
		return nil, fmt.Errorf("open password of subscription %s: %w", subscription, err)
	}
	shard.mu.Lock()
	defer shard.mu.Unlock()
	shard.put(subscription, password{sealed: sealed, clear: clear}, p)
	return clear, nil
}

func (s *passwordShard) get(subscription string, sealed []byte, p *passwords) ([]byte, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	entry, ok := s.young[subscription]
	if !ok {
		if entry, ok = s.old[subscription]; ok {
			s.put(subscription, entry, p)
		}
	}
	if !ok || !bytes.Equal(entry.sealed, sealed) {
		return nil, false
	}
	return entry.clear, true
}

// put enters an entry into the young generation; the caller holds the lock.
func (s *passwordShard) put(subscription string, entry password, p *passwords) {
	delete(s.old, subscription)
	if _, there := s.young[subscription]; !there && len(s.young) >= p.half {
		p.counters.evictions.Add(uint64(len(s.old)))
		clear(s.old)
		s.young, s.old = s.old, s.young
	}
	s.young[subscription] = entry
}

func (p *passwords) len() int {
	n := 0
	for i := range p.shards {
		s := &p.shards[i]
		s.mu.Lock()
		n += len(s.young) + len(s.old)
		s.mu.Unlock()
	}
	return n
}

// fnv32 is the FNV-1a hash of a text: the same on every node and in every run.
func fnv32(s string) uint32 {
	h := uint32(2166136261)
	for i := range len(s) {
		h = (h ^ uint32(s[i])) * 16777619
	}
	return h
}
