package regions

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"time"

	"meridian/central/fault"
	"meridian/central/ledger"
	"meridian/central/store"
	"meridian/internal/journal"
	"meridian/replication/link"
)

// MaxPendingHeads bounds the signed heads of a region that wait for their entries.
// A region keeps some hundred for each node; what comes beyond is dropped, and
// counted.
const MaxPendingHeads = 4096

// Signed is the newest head of a node that this server has had.
type Signed struct {
	Region, Node string
	Seq          uint64
	At           int64 // region time, Unix microseconds
}

func held(reason string) *link.Refused {
	return refuse(link.CodeHeld, "find out which node is right, take the other out of the region, then release the region (POST /v1/regions/release)", "%s", reason)
}

// Heads implements link.Sink. A head whose entries are here is compared with the
// ledger at once, another waits for them. One that contradicts the ledger, or a
// head that its node signed before, holds the region's stream until a person has
// looked.
func (s *Service) Heads(ctx context.Context, region string, raw [][]byte) (*link.Refused, error) {
	heads := make([]SignedHead, 0, len(raw))
	now := s.Now().UnixMicro()
	for _, b := range raw {
		h, err := journal.DecodeSignedHead(b)
		switch {
		case err != nil:
		case h.Region != region:
			err = fmt.Errorf("it is of region %q", h.Region)
		case s.Verify == nil:
			err = errors.New("this centre has no authority to check it by")
		default:
			err = s.Verify(h)
		}
		if err != nil {
			refused := refuse(link.CodeProtocol, "see that the node's certificate is of this centre's authority, and its software of this version", "signed head: %v", err)
			s.finish(region, "heads", refused)
			return refused, nil
		}
		heads = append(heads, SignedHead{SignedHead: h, Raw: b, ReceivedAt: now})
	}
	type result struct {
		refused *link.Refused
		dropped int
	}
	out, err := store.Run(ctx, s.Runner, "regions.heads", func(ctx context.Context, tx store.Tx) (result, error) {
		r, refused, err := s.lookup(ctx, tx, region)
		if err != nil || refused != nil {
			return result{refused: refused}, err
		}
		refused, dropped, err := s.takeHeads(ctx, tx, r, heads)
		return result{refused, dropped}, err
	})
	if err != nil {
		return nil, fmt.Errorf("take %d signed heads of region %s: %w", len(heads), region, unwell(err))
	}
	s.finish(region, "heads", out.refused)
	if out.refused == nil {
		s.stats.Heads.Add(uint64(len(heads) - out.dropped))
		s.stats.HeadsDropped.Add(uint64(out.dropped))
		s.noteSigned(heads)
	}
	return out.refused, nil
}

func (s *Service) takeHeads(ctx context.Context, tx store.Tx, r Region, heads []SignedHead) (refused *link.Refused, dropped int, err error) {
	pending, err := s.Stores(tx).PendingHeads(ctx, r.Name, r.Epoch, 1<<62, MaxPendingHeads)
	if err != nil {
		return nil, 0, fmt.Errorf("read heads that wait: %w", err)
	}
	type place struct {
		node  string
		index uint64
	}
	known := make(map[place]*SignedHead, len(pending))
	for i := range pending {
		known[place{pending[i].Node, pending[i].Index}] = &pending[i]
	}
	var wait, checked []SignedHead
	for i := range heads {
		h := &heads[i]
		before, again := known[place{h.Node, h.Index}]
		switch {
		case h.Epoch > r.Epoch:
			return refuse(link.CodeRegionMismatch, "connect the region to the centre that it belongs to", "signed head of epoch %d, which was never issued here", h.Epoch), 0, nil
		case again && before.Head != h.Head:
			refused, err = s.hold(ctx, tx, h, fmt.Sprintf("%s signed two heads: entry %d with hash %.12x… and entry %d with hash %.12x…",
				h.Place(), before.Seq, before.Hash, h.Seq, h.Hash))
			return refused, 0, err
		case h.Epoch < r.Epoch: // what an ended epoch's nodes signed is judged when it is reconciled
			dropped++
		case h.Seq <= r.Seq:
			if refused, err = s.compare(ctx, tx, r, h, nil); err != nil || refused != nil {
				return refused, 0, err
			}
			checked = append(checked, *h)
		case again:
		case len(known) >= MaxPendingHeads:
			dropped++
		default:
			wait = append(wait, *h)
			known[place{h.Node, h.Index}] = h
		}
	}
	st := s.Stores(tx)
	if len(wait) > 0 {
		if err := st.PutPending(ctx, wait); err != nil {
			return nil, 0, fmt.Errorf("keep %d heads that wait: %w", len(wait), err)
		}
	}
	return nil, dropped, s.keepChecked(ctx, tx, checked)
}

// keepChecked keeps heads that match; of several of one node and hour the newest.
func (s *Service) keepChecked(ctx context.Context, tx store.Tx, heads []SignedHead) error {
	type slot struct {
		epoch uint64
		node  string
		hour  int64
	}
	newest := map[slot]SignedHead{}
	for _, h := range heads {
		k := slot{h.Epoch, h.Node, h.Hour()}
		if old, ok := newest[k]; !ok || old.Index < h.Index {
			newest[k] = h
		}
	}
	if len(newest) == 0 {
		return nil
	}
	list := slices.SortedFunc(maps.Values(newest), func(a, b SignedHead) int {
		return cmp.Or(cmp.Compare(a.Epoch, b.Epoch), cmp.Compare(a.Node, b.Node), cmp.Compare(a.Index, b.Index))
	})
	if err := s.Stores(tx).PutChecked(ctx, list); err != nil {
		return fmt.Errorf("keep %d checked heads: %w", len(list), err)
	}
	return nil
}

// compare holds a head against the ledger; a is a batch that lies above what is
// stored, or nil. A head of an ended epoch may name an entry that never came: such
// entries are reconciled by persons.
func (s *Service) compare(ctx context.Context, tx store.Tx, r Region, h *SignedHead, a *arrived) (*link.Refused, error) {
	var got journal.Hash
	what := "the ledger that was accepted has"
	if a != nil && h.Epoch == a.epoch && h.Seq >= a.first {
		got, what = a.hashAt(h.Seq), "the entries that were sent have"
	} else {
		var err error
		got, err = s.Ledger(tx).EntryHash(ctx, ledger.Place{Region: h.Region, Epoch: h.Epoch, Seq: h.Seq})
		switch {
		case errors.Is(err, store.ErrNotFound) && h.Epoch < r.Epoch:
			return nil, nil
		case errors.Is(err, store.ErrNotFound):
			return s.hold(ctx, tx, h, fmt.Sprintf("%s signed an entry that the centre accepted and does not have any more", h.Place()))
		case err != nil:
			return nil, fmt.Errorf("read entry %d: %w", h.Seq, err)
		}
	}
	if got == h.Hash {
		return nil, nil
	}
	return s.hold(ctx, tx, h, fmt.Sprintf("%s signed hash %.12x…, %s %.12x… there: an entry at or before it was changed", h.Place(), h.Hash, what, got))
}

// hold keeps the region out, with the head that says why.
func (s *Service) hold(ctx context.Context, tx store.Tx, h *SignedHead, reason string) (*link.Refused, error) {
	st := s.Stores(tx)
	if err := st.PutPending(ctx, []SignedHead{*h}); err != nil {
		return nil, fmt.Errorf("keep the head that contradicts: %w", err)
	}
	if err := st.Hold(ctx, Hold{Region: h.Region, At: s.Now().UnixMicro(), Node: h.Node, Reason: reason}); err != nil {
		return nil, fmt.Errorf("hold region %s: %w", h.Region, err)
	}
	tx.AfterCommit(func() {
		s.stats.Contradicted.Add(1)
		s.Log.Error("a signed head contradicts the ledger: the region is held until a person has looked",
			slog.String("alarm", "signed_head_contradicted"), slog.String("region", h.Region), slog.String("node", h.Node), slog.String("reason", reason))
	})
	return held(reason), nil
}

// contradicted compares the heads that waited for a batch's entries. A batch that
// one of them contradicts is not taken.
func (s *Service) contradicted(ctx context.Context, tx store.Tx, r Region, a *arrived) (*link.Refused, error) {
	st := s.Stores(tx)
	waiting, err := st.PendingHeads(ctx, r.Name, r.Epoch, a.last(), MaxPendingHeads)
	if err != nil {
		return nil, fmt.Errorf("read heads that wait: %w", err)
	}
	if len(waiting) == 0 {
		return nil, nil
	}
	for i := range waiting {
		if refused, err := s.compare(ctx, tx, r, &waiting[i], a); err != nil || refused != nil {
			return refused, err
		}
	}
	if err := st.TakePending(ctx, waiting); err != nil {
		return nil, fmt.Errorf("take %d heads that waited: %w", len(waiting), err)
	}
	return nil, s.keepChecked(ctx, tx, waiting)
}

// Released is what ReleaseTx ended.
type Released struct {
	Hold
	Discarded []SignedHead // heads that were given up with it
}

// ReleaseTx lets a held region speak again. With discard the heads that wait are
// given up: the entries are right, and what was signed is not. Without, they stay:
// entries that contradict them hold the region anew.
func (s *Service) ReleaseTx(ctx context.Context, tx store.Tx, region string, discard bool) (Released, error) {
	st := s.Stores(tx)
	h, err := st.Release(ctx, region)
	if errors.Is(err, store.ErrNotFound) {
		return Released{}, fault.Missing("region", region, "a hold of the region", "list the regions to see which are held")
	}
	if err != nil {
		return Released{}, fmt.Errorf("release region %s: %w", region, err)
	}
	out := Released{Hold: h}
	if discard {
		if out.Discarded, err = st.DropPending(ctx, region); err != nil {
			return Released{}, fmt.Errorf("give up the heads of region %s: %w", region, err)
		}
	}
	return out, nil
}

func (s *Service) noteSigned(heads []SignedHead) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := range heads {
		h := &heads[i]
		if s.signed[h.Region] == nil {
			s.signed[h.Region] = map[string]Signed{}
		}
		if old := s.signed[h.Region][h.Node]; old.At <= h.At {
			s.signed[h.Region][h.Node] = Signed{Region: h.Region, Node: h.Node, Seq: h.Seq, At: h.At}
		}
	}
}

// signedFor is how long a node that signs nothing more is listed after the others of
// its region: time to alert about it, and then it may have been removed.
const signedFor = 24 * time.Hour

// SignedHeads lists the newest head of each node that this server has had, by
// region and node, but those that are signedFor behind the newest of their region.
func (s *Service) SignedHeads() []Signed {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []Signed
	for _, region := range slices.Sorted(maps.Keys(s.signed)) {
		var newest int64
		for _, h := range s.signed[region] {
			newest = max(newest, h.At)
		}
		for _, node := range slices.Sorted(maps.Keys(s.signed[region])) {
			if h := s.signed[region][node]; newest-h.At < signedFor.Microseconds() {
				out = append(out, h)
			}
		}
	}
	return out
}
