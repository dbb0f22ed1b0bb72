package store

import (
	"slices"

	"meridian/replication/raftnode"
)

// logbook is what one node holds of the log; see raftnode.Offline.
type logbook interface {
	At(index uint64) (e raftnode.LogEntry, ok bool, err error)
	FirstIndex() (uint64, error)
	LastIndex() (uint64, error)
	SnapshotIndex() uint64
}

// agreement is what a majority of nodes hold, by their logs and snapshots. Two
// logs with an entry of the same index and term are the same up to it (the log
// matching property of raft), so the last such entry says it all.
type agreement struct {
	nodes []logbook
	last  uint64   // what lies behind it was never acknowledged
	term  uint64   // of the entry at last
	upTo  []uint64 // by node: how far it holds the same as the majority
}

func agree(nodes []logbook) (*agreement, error) {
	a := &agreement{nodes: nodes}
	if err := a.findLast(); err != nil {
		return nil, err
	}
	for _, o := range nodes {
		upTo, err := a.match(o)
		if err != nil {
			return nil, err
		}
		a.upTo = append(a.upTo, upTo)
	}
	return a, nil
}

// findLast finds the greatest index at which a majority has the same term.
func (a *agreement) findLast() error {
	if len(a.nodes) == 0 {
		return nil
	}
	lasts := make([]uint64, len(a.nodes))
	for i, o := range a.nodes {
		last, err := o.LastIndex()
		if err != nil {
			return err
		}
		lasts[i] = max(last, o.SnapshotIndex())
	}
	slices.Sort(lasts)
	for i := lasts[(len(lasts)-1)/2]; i > 0; i-- {
		term, holders, err := a.count(i)
		if err != nil {
			return err
		}
		if 2*holders > len(a.nodes) {
			a.last, a.term = i, term
			return nil
		}
	}
	return nil
}

// count says how many hold the entry at index of the term that most have there.
// Only entries that a majority holds get into a snapshot: a node whose snapshot
// covers the index holds that one.
func (a *agreement) count(index uint64) (term uint64, holders int, err error) {
	var terms []uint64
	covered := 0
	for _, o := range a.nodes {
		e, ok, err := o.At(index)
		switch {
		case err != nil:
			return 0, 0, err
		case ok:
			terms = append(terms, e.Term)
		case index <= o.SnapshotIndex():
			covered++
		}
	}
	slices.Sort(terms)
	most := 0
	for i, n := 0, 0; i < len(terms); i++ {
		if n++; i == 0 || terms[i] != terms[i-1] {
			n = 1
		}
		if n >= most {
			term, most = terms[i], n
		}
	}
	return term, most + covered, nil
}

// match is the last index at which the node holds the same as the majority; its
// snapshot's, when what is left of the majority's logs does not say.
func (a *agreement) match(o logbook) (uint64, error) {
	last, err := o.LastIndex()
	if err != nil {
		return 0, err
	}
	for i := min(last, a.last); i > o.SnapshotIndex(); i-- {
		mine, _, err := o.At(i)
		if err != nil {
			return 0, err
		}
		at, term, err := a.termFrom(i)
		if err != nil {
			return 0, err
		}
		if mine.Term == term {
			// Also if the majority's entry is a later one: a term has one leader, who
			// never rewrites its log, so what it wrote before is the majority's too.
			return i, nil
		}
		if at > i && mine.Term < term {
			break // it may be the majority's, or what another had in its place
		}
	}
	return o.SnapshotIndex(), nil
}

// termFrom is the majority's term at an index up to last, or at the first index
// after it that the majority still knows of.
func (a *agreement) termFrom(index uint64) (at, term uint64, err error) {
	for _, o := range a.nodes {
		e, ok, err := o.At(a.last)
		if err != nil {
			return 0, 0, err
		}
		if !ok || e.Term != a.term {
			continue
		}
		first, err := o.FirstIndex()
		if err != nil {
			return 0, 0, err
		}
		if first = max(first, index); at != 0 && first >= at {
			continue
		}
		if e, _, err = o.At(first); err != nil {
			return 0, 0, err
		}
		at, term = first, e.Term
	}
	return at, term, nil
}

// index is the last command up to an index: what raft writes for itself leaves the
// state as it is.
func (a *agreement) index(upTo uint64) (uint64, error) {
	for ; upTo > 0; upTo-- {
		quiet := false
		for i, o := range a.nodes {
			if a.upTo[i] < upTo {
				continue
			}
			e, ok, err := o.At(upTo)
			if err != nil {
				return 0, err
			}
			quiet = quiet || ok && !e.Command
		}
		if !quiet {
			break
		}
	}
	return upTo, nil
}
