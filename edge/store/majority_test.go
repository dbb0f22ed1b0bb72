package store

import (
	"slices"
	"testing"

	"meridian/replication/raftnode"
)

// book is a logbook in memory: the terms of the entries after first-1; a negative
// one is of an entry that raft wrote for itself.
type book struct {
	first    uint64
	terms    []int
	snapshot uint64
	end      int // term of the snapshot's last entry, where the log does not have it
}

func (b book) SnapshotIndex() uint64 { return b.snapshot }

func (b book) FirstIndex() (uint64, error) {
	if len(b.terms) == 0 {
		return b.snapshot, nil
	}
	return b.first, nil
}

func (b book) LastIndex() (uint64, error) {
	if len(b.terms) == 0 {
		return 0, nil
	}
	return b.first + uint64(len(b.terms)) - 1, nil
}

func (b book) At(index uint64) (raftnode.LogEntry, bool, error) {
	if last, _ := b.LastIndex(); index != 0 && index >= b.first && index <= last {
		t := b.terms[index-b.first]
		return raftnode.LogEntry{Term: uint64(max(t, -t)), Command: t > 0}, true, nil
	}
	if index != 0 && index == b.snapshot {
		return raftnode.LogEntry{Term: uint64(b.end), Command: true}, true, nil
	}
	return raftnode.LogEntry{}, false, nil
}

func log(terms ...int) book { return book{first: 1, terms: terms} }

func TestWhatAMajorityHolds(t *testing.T) {
	for _, c := range []struct {
		name  string
		nodes []logbook
		last  uint64
		upTo  []uint64
		index []uint64
	}{
		{"nothing", []logbook{log(), log(), log()}, 0, []uint64{0, 0, 0}, []uint64{0, 0, 0}},
		{"one node", []logbook{log(-1, 1, 1)}, 3, []uint64{3}, []uint64{3}},
		{"all the same", []logbook{log(-1, 1, 1), log(-1, 1, 1), log(-1, 1, 1)}, 3, []uint64{3, 3, 3}, []uint64{3, 3, 3}},
		{"a tail that only one has", []logbook{log(1, 1, 1, 1), log(1, 1), log(1, 1)}, 2, []uint64{2, 2, 2}, []uint64{2, 2, 2}},
		{"a node that is behind", []logbook{log(1), log(1, 1, 1), log(1, 1, 1)}, 3, []uint64{1, 3, 3}, []uint64{1, 3, 3}},
		{"an old tail as long as the new log", []logbook{log(1, 1, 2, 2, 2), log(1, 1, 3, 3, 3), log(1, 1, 3)}, 3, []uint64{2, 3, 3}, []uint64{2, 3, 3}},
		{"three terms, nothing in common at the end", []logbook{log(1, 2), log(1, 3), log(1, 4)}, 1, []uint64{1, 1, 1}, []uint64{1, 1, 1}},
		{"two of four are no majority", []logbook{log(1, 1), log(1, 1), log(1), log(1)}, 1, []uint64{1, 1, 1, 1}, []uint64{1, 1, 1, 1}},
		{
			"raft's own entries make no difference",
			[]logbook{log(1, 1, -1, -2), log(1, 1, -1), log(1, 1, -1, -2)}, 4, []uint64{4, 3, 4}, []uint64{2, 2, 2},
		},
		{
			"a snapshot's last entry, by another's log",
			[]logbook{book{snapshot: 3, end: 1}, log(1, 1, -1), log(1, 1)}, 3, []uint64{3, 3, 2}, []uint64{2, 2, 2},
		},
		{
			"a snapshot holds what it covers",
			[]logbook{book{first: 5, terms: []int{2}, snapshot: 4, end: 2}, book{first: 4, terms: []int{2, 2}, snapshot: 3, end: 1}, log(1, 1, 1, 2)},
			5, []uint64{5, 5, 4}, []uint64{5, 5, 4},
		},
		{
			"a node behind the others' snapshots, of the same leader",
			[]logbook{book{snapshot: 9, end: 2}, book{snapshot: 9, end: 2}, log(1, 1, 2, 2)}, 9, []uint64{9, 9, 4}, []uint64{9, 9, 4},
		},
		{
			"a node behind the others' snapshots, of an older leader",
			[]logbook{book{snapshot: 9, end: 3}, book{snapshot: 9, end: 3}, book{first: 2, terms: []int{1, 2}, snapshot: 1, end: 1}},
			9, []uint64{9, 9, 1}, []uint64{9, 9, 1},
		},
		{
			"an old tail, newer than what the others' snapshots hold",
			[]logbook{book{snapshot: 9, end: 2}, book{snapshot: 9, end: 2}, log(1, 2, 3, 3)}, 9, []uint64{9, 9, 2}, []uint64{9, 9, 2},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			a, err := agree(c.nodes)
			if err != nil {
				t.Fatal(err)
			}
			var index []uint64
			for _, upTo := range a.upTo {
				i, err := a.index(upTo)
				if err != nil {
					t.Fatal(err)
				}
				index = append(index, i)
			}
			if a.last != c.last || !slices.Equal(a.upTo, c.upTo) || !slices.Equal(index, c.index) {
				t.Errorf("last %d, up to %v, index %v; want %d, %v, %v", a.last, a.upTo, index, c.last, c.upTo, c.index)
			}
		})
	}
}
