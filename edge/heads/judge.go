package heads

import (
	"fmt"
	"slices"
	"strings"

	"meridian/internal/journal"
)

// Finding is what a comparison of heads shows.
type Finding uint8

// Findings.
const (
	// Agreed: nobody whose heads are known differs.
	Agreed Finding = iota
	// OtherParted: this node stands with a majority, others differ from it.
	OtherParted
	// NoMajority: heads differ, and no majority of the members stands together.
	NoMajority
	// Parted: a majority of the members stands together, and this node differs.
	Parted
)

// Verdict is what this node's heads are against the others'.
type Verdict struct {
	Finding Finding
	Index   uint64   // first log index at which heads differ
	Nodes   []string // that differ from this one there, sorted
	Detail  string   // what differs, for a person
}

// Judge compares this node's heads with the others', at every log index that both
// have. members is how many voters the region has. Of several places that differ
// the first of the gravest finding is told.
func Judge(own []journal.Head, others map[string]map[uint64]journal.Head, members int) Verdict {
	var out Verdict
	names := make([]string, 0, len(others))
	for node := range others {
		names = append(names, node)
	}
	slices.Sort(names)
	for i := range own {
		if v := judgeAt(&own[i], names, others, members); v.Finding > out.Finding {
			out = v
		}
	}
	return out
}

func judgeAt(own *journal.Head, names []string, others map[string]map[uint64]journal.Head, members int) Verdict {
	with := 1 // who stands here with this node
	var against []journal.Head
	for _, node := range names {
		h, ok := others[node][own.Index]
		switch {
		case !ok:
		case own.Same(&h):
			with++
		default:
			against = append(against, h)
		}
	}
	if len(against) == 0 {
		return Verdict{}
	}
	v := Verdict{Finding: NoMajority, Index: own.Index, Detail: differ(own, &against[0])}
	together := 0
	for i := range against {
		v.Nodes = append(v.Nodes, against[i].Node)
		n := 0
		for j := range against {
			if against[i].Same(&against[j]) {
				n++
			}
		}
		together = max(together, n)
	}
	switch {
	case 2*with > members:
		v.Finding = OtherParted
	case 2*together > members:
		v.Finding = Parted
	}
	return v
}

// differ says in what two heads of one log index differ.
func differ(a, b *journal.Head) string {
	at := fmt.Sprintf("at log index %d", a.Index)
	switch {
	case a.Epoch != b.Epoch || a.Seq != b.Seq:
		return fmt.Sprintf("%s node %s has written entries up to %d/%d, node %s up to %d/%d", at, a.Node, a.Epoch, a.Seq, b.Node, b.Epoch, b.Seq)
	case a.Hash != b.Hash:
		return fmt.Sprintf("%s entry %d/%d has hash %.12x… at node %s, %.12x… at node %s: an entry at or before it differs", at, a.Epoch, a.Seq, a.Hash, a.Node, b.Hash, b.Node)
	case a.At != b.At:
		return fmt.Sprintf("%s region time is %d at node %s, %d at node %s", at, a.At, a.Node, b.At, b.Node)
	}
	return fmt.Sprintf("%s part %d of %d of the state has hash %.12x… at node %s, %.12x… of part %d of %d at node %s",
		at, a.StatePart, a.StateParts, a.State, a.Node, b.State, b.StatePart, b.StateParts, b.Node)
}

// List names nodes for a person.
func List(nodes []string) string { return strings.Join(nodes, " and ") }
