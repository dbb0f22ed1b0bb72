package fsm

import (
	"fmt"
	"math/rand/v2"
	"testing"
)

type entry struct{ id string }

// An index holds what a map holds, whatever comes and goes; who walks it while
// items come and go sees each that stays.
func TestIndexIsAMap(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	x := newIndex(func(n *entry) string { return n.id })
	want := map[string]*entry{}
	change := func(most int) {
		n := &entry{fmt.Sprint("item", rng.IntN(most))}
		switch {
		case rng.IntN(3) > 0:
			x.put(n)
			want[n.id] = n
		default:
			x.remove(n.id)
			delete(want, n.id)
		}
	}
	same := func() {
		t.Helper()
		if x.len() != len(want) {
			t.Fatalf("%d items, want %d", x.len(), len(want))
		}
		for id, n := range want {
			if x.get(id) != n {
				t.Fatalf("%s is %p, want %p", id, x.get(id), n)
			}
		}
		list := x.sorted()
		if len(list) != len(want) {
			t.Fatalf("%d are walked, want %d", len(list), len(want))
		}
		for i, n := range list {
			if want[n.id] != n || i > 0 && list[i-1].id >= n.id {
				t.Fatalf("walked %d: %s", i, n.id)
			}
		}
	}
	for round := range 12 {
		for range 10_000 {
			change(1 + 3_000*round)
		}
		same()
		stay := map[string]bool{}
		for id := range want {
			stay[id] = true
		}
		seen := map[string]bool{}
		for at := uint64(0); at < done; {
			at = x.some(at, func(n *entry) { seen[n.id] = true })
			for range 300 {
				n := &entry{fmt.Sprint("item", rng.IntN(100_000))}
				if !stay[n.id] {
					x.put(n)
					want[n.id] = n
				} else if rng.IntN(4) == 0 {
					x.remove(n.id)
					delete(want, n.id)
					delete(stay, n.id)
				}
			}
		}
		for id := range stay {
			if !seen[id] {
				t.Fatalf("round %d: %s stayed and was not walked", round, id)
			}
		}
		same()
	}
	for id := range want {
		x.remove(id)
	}
	if x.len() != 0 || x.get("item1") != nil || len(x.sorted()) != 0 {
		t.Error("an emptied index is not empty")
	}
}

// Items whose hashes are the same, or begin with the same bits, are found too.
func TestIndexOfEqualHashes(t *testing.T) {
	s := newShard[entry](0, 8)
	x := index[entry]{key: func(n *entry) string { return n.id }, shards: []*shard[entry]{s}}
	var all []*entry
	for i := range 8 {
		n := &entry{fmt.Sprint(i)}
		all = append(all, n)
		s.add(0xffffffff, n)
		x.n++
	}
	for _, n := range all {
		if i, there := x.find(s, 0xffffffff, n.id); !there || s.items[i] != n {
			t.Errorf("%s is not found", n.id)
		}
	}
}
