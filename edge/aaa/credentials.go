package aaa

import (
	"bytes"
	"fmt"
	"sync"

	"meridian/internal/feed"
	"meridian/internal/mschap"
)

// cacheShards spreads a cache's locks.
const cacheShards = 16

// credentials are what subscribers prove who they are with, opened: clear
// passwords for PAP and CHAP, and what MS-CHAPv2 makes of NT hashes.
type credentials struct {
	passwords *cache[[]byte]
	hashes    *cache[*mschap.Authenticator]
}

func newCredentials(maxEntries int, opener Opener, c *counters) *credentials {
	return &credentials{
		passwords: newCache(maxEntries, opener, c, "password", feed.PasswordAAD, func(clear []byte) ([]byte, error) { return clear, nil }),
		hashes:    newCache(maxEntries, opener, c, "NT hash", feed.NTHashAAD, authenticator),
	}
}

// authenticator prepares an NT hash: its DES key schedules cost more than all the
// rest of a login, and depend on nothing else.
func authenticator(clear []byte) (*mschap.Authenticator, error) {
	if len(clear) != len(mschap.Hash{}) {
		return nil, fmt.Errorf("NT hash of %d octets, must be %d", len(clear), len(mschap.Hash{}))
	}
	return mschap.New(mschap.Hash(clear)), nil
}

func (c *credentials) len() int { return c.passwords.len() + c.hashes.len() }

// cache opens sealed credentials and keeps what is made of them in memory, at most
// max of them. Each shard has two generations: what is asked for moves to the
// young one; when that is full the old one is let go, so that the least used half
// leaves. An entry answers only for the sealed octets that it was opened from: a
// changed credential is opened anew and takes the old one's place.
type cache[T any] struct {
	what     string
	aad      func(subscription string) string
	prepare  func(clear []byte) (T, error)
	opener   Opener
	counters *counters
	shards   [cacheShards]cacheShard[T]
	half     int // entries of one generation of one shard
}

type cacheShard[T any] struct {
	mu         sync.Mutex
	young, old map[string]opened[T]
}

type opened[T any] struct {
	sealed []byte
	value  T
}

func newCache[T any](maxEntries int, opener Opener, c *counters, what string, aad func(string) string, prepare func([]byte) (T, error)) *cache[T] {
	p := &cache[T]{what: what, aad: aad, prepare: prepare, opener: opener, counters: c, half: max(maxEntries/(2*cacheShards), 1)}
	for i := range p.shards {
		p.shards[i].young, p.shards[i].old = map[string]opened[T]{}, map[string]opened[T]{}
	}
	return p
}

// open returns the prepared credential, which is read-only. The error is the
// Opener's.
func (p *cache[T]) open(subscription string, sealed []byte) (T, error) {
	shard := &p.shards[fnv32(subscription)%cacheShards]
	if value, ok := shard.get(subscription, sealed, p); ok {
		p.counters.passwordHits.Add(1)
		return value, nil
	}
	p.counters.passwordOpens.Add(1)
	clear, err := p.opener.Open(sealed, p.aad(subscription))
	var value T
	if err == nil {
		value, err = p.prepare(clear)
	}
	if err != nil {
		p.counters.passwordFaults.Add(1)
		return value, fmt.Errorf("open %s of subscription %s: %w", p.what, subscription, err)
	}
	shard.mu.Lock()
	defer shard.mu.Unlock()
	shard.put(subscription, opened[T]{sealed: sealed, value: value}, p)
	return value, nil
}

func (s *cacheShard[T]) get(subscription string, sealed []byte, p *cache[T]) (value T, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	entry, ok := s.young[subscription]
	if !ok {
		if entry, ok = s.old[subscription]; ok {
			s.put(subscription, entry, p)
		}
	}
	if !ok || !bytes.Equal(entry.sealed, sealed) {
		return value, false
	}
	return entry.value, true
}

// put enters an entry into the young generation; the caller holds the lock.
func (s *cacheShard[T]) put(subscription string, entry opened[T], p *cache[T]) {
	delete(s.old, subscription)
	if _, there := s.young[subscription]; !there && len(s.young) >= p.half {
		p.counters.evictions.Add(uint64(len(s.old)))
		clear(s.old)
		s.young, s.old = s.old, s.young
	}
	s.young[subscription] = entry
}

func (p *cache[T]) len() int {
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
