package fsm

import (
	"cmp"
	"slices"
)

// index finds items by a text that each of them carries. It takes a third of a
// map's memory, since it keeps no copy of the text, and grows a shard at a time:
// no command waits for a million items to be filed anew. The zero index with a key
// is empty.
type index[T any] struct {
	key    func(*T) string
	n      int
	bits   uint8       // of the hash, by which a shard is found
	shards []*shard[T] // 1<<bits; those next to each other may be the same one
}

// shard holds the items whose hashes begin with the same bits: by open addressing,
// each at the place that the rest of its hash gives or soon behind.
type shard[T any] struct {
	bits  uint8
	n     int
	hash  []uint32
	items []*T
}

const (
	shardItems = 512 // a shard with more is split
	shardFirst = 4
	maxBits    = 20 // of the directory; beyond it shards only grow
)

func newIndex[T any](key func(*T) string) index[T] { return index[T]{key: key} }

func (x *index[T]) len() int { return x.n }

// mix spreads a hash over all 32 bits: ids differ in their last digits only.
func mix(h uint32) uint32 {
	h ^= h >> 16
	h *= 0x85ebca6b
	h ^= h >> 13
	h *= 0xc2b2ae35
	return h ^ h>>16
}

func (x *index[T]) shard(h uint32) *shard[T] { return x.shards[h>>(32-x.bits)] }

// home is where an item of this hash belongs.
func (s *shard[T]) home(h uint32) int {
	return int(uint64(h<<s.bits) * uint64(len(s.items)) >> 32)
}

// find returns the item's place, or the free place where it would be put.
func (x *index[T]) find(s *shard[T], h uint32, key string) (int, bool) {
	for i := s.home(h); ; {
		if s.items[i] == nil {
			return i, false
		}
		if s.hash[i] == h && x.key(s.items[i]) == key {
			return i, true
		}
		if i++; i == len(s.items) {
			i = 0
		}
	}
}

// get returns the item of a key, nil when there is none.
func (x *index[T]) get(key string) *T {
	if x.n == 0 {
		return nil
	}
	h := mix(spread(key))
	s := x.shard(h)
	if i, there := x.find(s, h, key); there {
		return s.items[i]
	}
	return nil
}

// put files an item, in place of the one that has its key.
func (x *index[T]) put(item *T) {
	if x.shards == nil {
		x.shards = []*shard[T]{newShard[T](0, shardFirst)}
	}
	key := x.key(item)
	h := mix(spread(key))
	s := x.shard(h)
	i, there := x.find(s, h, key)
	if there {
		s.items[i] = item
		return
	}
	s.hash[i], s.items[i] = h, item
	s.n++
	x.n++
	switch {
	case s.n < shardItems || x.bits == maxBits && s.bits == maxBits:
		if s.n*8 >= len(s.items)*7 {
			s.resize()
		}
	default:
		x.split(h, s)
	}
}

// remove takes the item of a key out, if there is one.
func (x *index[T]) remove(key string) {
	if x.n == 0 {
		return
	}
	h := mix(spread(key))
	s := x.shard(h)
	i, there := x.find(s, h, key)
	if !there {
		return
	}
	s.n--
	x.n--
	for j := i; ; { // what could not be put at its own place moves up
		if j++; j == len(s.items) {
			j = 0
		}
		if s.items[j] == nil {
			break
		}
		if home := s.home(s.hash[j]); i <= j && (home <= i || home > j) || i > j && home <= i && home > j {
			s.hash[i], s.items[i] = s.hash[j], s.items[j]
			i = j
		}
	}
	s.hash[i], s.items[i] = 0, nil
}

// newShard returns one with room for so many items.
func newShard[T any](bits uint8, room int) *shard[T] {
	items := append([]*T(nil), make([]*T, room+room/6+2)...) // as many places as fit the memory that this takes anyhow
	items = items[:cap(items)]
	return &shard[T]{bits: bits, items: items, hash: make([]uint32, len(items))}
}

func (s *shard[T]) add(h uint32, item *T) {
	i := s.home(h)
	for s.items[i] != nil {
		if i++; i == len(s.items) {
			i = 0
		}
	}
	s.hash[i], s.items[i] = h, item
	s.n++
}

func (s *shard[T]) resize() {
	more := newShard[T](s.bits, s.n+s.n/8+2)
	for i, item := range s.items {
		if item != nil {
			more.add(s.hash[i], item)
		}
	}
	*s = *more
}

// split puts two shards in the place of one.
func (x *index[T]) split(h uint32, s *shard[T]) {
	if s.bits == x.bits {
		wider := make([]*shard[T], 2*len(x.shards))
		for i, s := range x.shards {
			wider[2*i], wider[2*i+1] = s, s
		}
		x.shards, x.bits = wider, x.bits+1
	}
	bit := uint32(1) << (31 - s.bits)
	ones := 0
	for i, item := range s.items {
		if item != nil && s.hash[i]&bit != 0 {
			ones++
		}
	}
	half := [2]*shard[T]{newShard[T](s.bits+1, s.n-ones), newShard[T](s.bits+1, ones)}
	for i, item := range s.items {
		if item != nil {
			half[min(s.hash[i]&bit, 1)].add(s.hash[i], item)
		}
	}
	first := h &^ (2*bit - 1) >> (32 - x.bits) // of the places that named the old one
	each := bit >> (32 - x.bits)
	for i := range each {
		x.shards[first+i], x.shards[first+each+i] = half[0], half[1]
	}
}

// some calls fn with the items of the shard at a place, and returns the place of
// the next one, or done. Places are ranges of hashes, 0 the first: items that
// are there from the first call to the last are seen whatever comes and goes in
// between, in an order that says nothing.
func (x *index[T]) some(at uint64, fn func(*T)) (next uint64) {
	if x.n == 0 {
		return done
	}
	s := x.shard(uint32(at))
	for i, item := range s.items {
		if item != nil && uint64(s.hash[i]) >= at {
			fn(item)
		}
	}
	size := uint64(1) << (32 - s.bits)
	return at&^(size-1) + size
}

const done = uint64(1) << 32

// sorted lists the items by their keys.
func (x *index[T]) sorted() []*T {
	out := make([]*T, 0, x.n)
	for at := uint64(0); at < done; {
		at = x.some(at, func(item *T) { out = append(out, item) })
	}
	slices.SortFunc(out, func(a, b *T) int { return cmp.Compare(x.key(a), x.key(b)) })
	return out
}
