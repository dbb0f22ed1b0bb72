package rating

import (
	"cmp"
	"fmt"
	"slices"

	"meridian/internal/tariff"
)

// Prefixes finds the longest prefix of a number: immutable, at most 22 octets a
// prefix at a million of them. Prefixes lie sorted as numbers of sixteen 4-bit
// digits; an index by the first digits leads to the place where a number would
// stand, and from its neighbour there a chain of ever shorter prefixes to the
// longest that fits.
type Prefixes struct {
	Zones []string // names, sorted

	keys   []uint64
	parent []int32  // the longest other prefix of this one, −1 = none
	value  []uint32 // zone<<8 | length
	index  []uint32 // by the first digits: the first key that is not below
	shift  uint
}

// PrefixZone is a line of a table of destinations.
type PrefixZone struct {
	Prefix string
	Zone   string
}

const maxKeyDigits = 16

// key packs a number, at most sixteen characters of it: 1 to 10 for a digit, 11
// for +, 0 for what is not there. Any other character ends the number.
func key(number string) (k uint64, length int) {
	for length < len(number) && length < maxKeyDigits {
		c := number[length]
		var d uint64
		switch {
		case c >= '0' && c <= '9':
			d = uint64(c-'0') + 1
		case c == '+':
			d = 11
		default:
			return k, length
		}
		k |= d << (60 - 4*length)
		length++
	}
	return k, length
}

// NewPrefixes builds a table. A prefix that is not one, or that stands twice with
// two zones, is an error.
func NewPrefixes(lines []PrefixZone) (*Prefixes, error) {
	p := &Prefixes{}
	names := make([]string, 0, 16)
	seen := map[string]uint32{}
	for _, l := range lines {
		if _, ok := seen[l.Zone]; !ok {
			seen[l.Zone] = 0
			names = append(names, l.Zone)
		}
	}
	slices.Sort(names)
	for i, n := range names {
		seen[n] = uint32(i)
	}
	if len(names) >= 1<<24 {
		return nil, fmt.Errorf("%d zones: use at most %d", len(names), 1<<24-1)
	}
	p.Zones = names
	type entry struct {
		key   uint64
		value uint32
	}
	entries := make([]entry, 0, len(lines))
	for i, l := range lines {
		if !tariff.ValidPrefix(l.Prefix) {
			return nil, fmt.Errorf("line %d: prefix %q: write 1 to %d digits, + before them for an international number", i+1, l.Prefix, tariff.MaxPrefixDigits)
		}
		k, n := key(l.Prefix)
		entries = append(entries, entry{k, seen[l.Zone]<<8 | uint32(n)})
	}
	slices.SortFunc(entries, func(a, b entry) int { return cmp.Or(cmp.Compare(a.key, b.key), cmp.Compare(a.value, b.value)) })
	entries = slices.Compact(entries)
	p.keys, p.parent, p.value = make([]uint64, len(entries)), make([]int32, len(entries)), make([]uint32, len(entries))
	for i, e := range entries {
		if i > 0 && entries[i-1].key == e.key {
			return nil, fmt.Errorf("prefix %s is in zone %q and in zone %q: keep one", digits(e.key), names[entries[i-1].value>>8], names[e.value>>8])
		}
		p.keys[i], p.value[i] = e.key, e.value
		parent := int32(i - 1)
		for parent >= 0 && !p.holds(parent, e.key) {
			parent = p.parent[parent]
		}
		p.parent[i] = parent
	}
	p.buildIndex()
	return p, nil
}

func (p *Prefixes) buildIndex() {
	bits := uint(4)
	for 1<<bits < len(p.keys) && bits < 20 {
		bits += 4
	}
	p.shift = 64 - bits
	p.index = make([]uint32, 1<<bits+1)
	at := uint32(0)
	for i := range p.index {
		for int(at) < len(p.keys) && p.keys[at]>>p.shift < uint64(i) {
			at++
		}
		p.index[i] = at
	}
}

// holds tells whether the i-th prefix is a prefix of k.
func (p *Prefixes) holds(i int32, k uint64) bool {
	return (p.keys[i]^k)>>(64-4*(p.value[i]&0xff)) == 0
}

// Longest finds the longest prefix of a number: its zone and length, or −1.
func (p *Prefixes) Longest(number string) (zone, length int) {
	k, _ := key(number)
	return p.longest(k)
}

func (p *Prefixes) longest(k uint64) (zone, length int) {
	if len(p.keys) == 0 {
		return -1, 0
	}
	first := k >> p.shift
	lo, hi := int32(p.index[first]), int32(p.index[first+1])
	for lo < hi { // the first key above k
		mid := int32(uint32(lo+hi) >> 1)
		if p.keys[mid] <= k {
			lo = mid + 1
		} else {
			hi = mid
		}
	}
	for i := lo - 1; i >= 0; i = p.parent[i] {
		if p.holds(i, k) {
			return int(p.value[i] >> 8), int(p.value[i] & 0xff)
		}
	}
	return -1, 0
}

// Len is the number of prefixes.
func (p *Prefixes) Len() int { return len(p.keys) }

// Octets is what the table takes in memory, the zones' names left out.
func (p *Prefixes) Octets() int { return 16*len(p.keys) + 4*len(p.index) }

func digits(k uint64) string {
	var b []byte
	for ; k != 0; k <<= 4 {
		if d := byte(k >> 60); d == 11 {
			b = append(b, '+')
		} else {
			b = append(b, '0'+d-1)
		}
	}
	return string(b)
}

// NewTable builds a shared table of the catalog.
func NewTable(t *tariff.Table) (*Prefixes, error) {
	var lines []PrefixZone
	for _, d := range t.Destinations {
		for _, prefix := range d.Prefixes {
			lines = append(lines, PrefixZone{prefix, d.Zone})
		}
	}
	return NewPrefixes(lines)
}
