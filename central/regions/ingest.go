package regions

import (
	"context"
	"fmt"
	"log/slog"

	"meridian/central/ledger"
	"meridian/central/store"
	"meridian/internal/journal"
	"meridian/replication/link"
)

// Ingest implements link.Sink: one serializable transaction appends the entries
// that are new, settles them and moves the cursor. A batch that was accepted
// before, or in part, is compared with what was accepted and acknowledged again.
func (s *Service) Ingest(ctx context.Context, region string, b link.Batch) (link.Ack, *link.Refused, error) {
	a, refused := prepare(region, b, MaxBatch)
	if refused != nil {
		s.finish(region, "batch", refused)
		return link.Ack{}, refused, nil
	}
	type result struct {
		ack     link.Ack
		refused *link.Refused
		fresh   int
		reviews int
	}
	out, err := store.Run(ctx, s.Runner, "regions.ingest", func(ctx context.Context, tx store.Tx) (result, error) {
		r, refused, err := s.lookup(ctx, tx, region)
		if err == nil && refused == nil {
			refused, err = s.continues(ctx, tx, r, a, b.Term)
		}
		if err != nil || refused != nil {
			return result{refused: refused}, err
		}
		if a.last() <= r.Seq {
			return result{ack: ack(r.Epoch, r.Seq, r.Hash)}, nil
		}
		if refused, err := s.contradicted(ctx, tx, r, a); err != nil || refused != nil {
			return result{refused: refused}, err
		}
		reviews, err := s.accept(ctx, tx, r, a)
		if err != nil {
			return result{}, err
		}
		return result{ack: ack(r.Epoch, a.last(), a.hashAt(a.last())), fresh: int(a.last() - r.Seq), reviews: reviews}, nil
	})
	if err != nil {
		return link.Ack{}, nil, fmt.Errorf("take in entries %d to %d of region %s: %w", b.FirstSeq, b.LastSeq(), region, unwell(err))
	}
	s.finish(region, "batch", out.refused)
	if out.refused == nil {
		s.stats.Batches.Add(1)
		s.stats.Entries.Add(uint64(out.fresh))
		s.stats.Repeated.Add(uint64(len(b.Entries) - out.fresh))
		s.stats.Suspended.Add(uint64(out.reviews))
	}
	if out.reviews > 0 {
		s.Log.Warn("entries wait for a person", slog.String("region", region), slog.Int("entries", out.reviews),
			slog.Uint64("from", a.first), slog.Uint64("to", a.last()))
	}
	return out.ack, out.refused, nil
}

func ack(epoch, seq uint64, hash journal.Hash) link.Ack {
	return link.Ack{Epoch: epoch, Seq: seq, Hash: hash[:]}
}

// continues checks that a batch continues what was accepted, or repeats it.
func (s *Service) continues(ctx context.Context, tx store.Tx, r Region, a *arrived, term uint64) (*link.Refused, error) {
	switch {
	case a.epoch < r.Epoch:
		return refuse(link.CodeStaleEpoch, "send the entries of the present epoch", "batch of epoch %d, the region is in epoch %d", a.epoch, r.Epoch), nil
	case a.epoch > r.Epoch:
		return refuse(link.CodeRegionMismatch, "connect the region to the centre that it belongs to", "epoch %d was never issued here", a.epoch), nil
	case term < r.RaftTerm:
		return refuse(link.CodeStaleTerm, "let the region's present leader send", "raft term %d, a leader of term %d has been here", term, r.RaftTerm), nil
	case a.first > r.Seq+1:
		return refuse(link.CodeGap, "send from the cursor of the welcome on", "batch starts at entry %d, the cursor is at %d", a.first, r.Seq), nil
	}
	at, want := r.Seq, r.Hash
	if a.last() < r.Seq {
		at = a.last()
		hash, err := s.Ledger(tx).EntryHash(ctx, ledger.Place{Region: r.Name, Epoch: r.Epoch, Seq: at})
		if err != nil {
			return nil, fmt.Errorf("read entry %d: %w", at, err)
		}
		want = hash
	}
	if a.hashAt(at) != want {
		return refuse(link.CodeBadHash, "compare the edge's segments from the last acknowledged entry on",
			"entry %d of epoch %d has another hash than the one accepted", at, r.Epoch), nil
	}
	return nil, nil
}

// accept appends and settles what lies beyond the cursor and moves it. It
// returns how many entries went to suspense.
func (s *Service) accept(ctx context.Context, tx store.Tx, r Region, a *arrived) (int, error) {
	skip := r.Seq + 1 - a.first
	// The closure may run again: what is marked here must start from what arrived.
	records := append([]ledger.Record(nil), a.records[skip:]...)
	reasons := a.reasons[skip:]
	k, err := s.load(ctx, tx, r.Name, r.Epoch, records)
	if err != nil {
		return 0, err
	}
	now := s.Now().UnixMicro()
	out := settle(a, records, reasons, r.PrevHash, k, now)
	odd, err := s.Orders.Answered(ctx, tx, r.Name, out.answers)
	if err != nil {
		return 0, err
	}
	out.queue(odd, a, records, now)
	st := s.Ledger(tx)
	if err := st.AppendEntries(ctx, records); err != nil {
		return 0, fmt.Errorf("append %d entries: %w", len(records), err)
	}
	if err := s.raise(ctx, tx, r, &out, now); err != nil {
		return 0, err
	}
	if err := s.Books.Post(ctx, tx, r.Name, out.journals); err != nil {
		return 0, err
	}
	if len(out.reviews) > 0 {
		if err := st.InsertReviews(ctx, out.reviews); err != nil {
			return 0, fmt.Errorf("queue %d reviews: %w", len(out.reviews), err)
		}
	}
	if err := s.Stores(tx).MoveCursor(ctx, r.Name, r.Epoch, r.Seq, a.last(), a.hashAt(a.last())); err != nil {
		return 0, fmt.Errorf("move the cursor from %d to %d: %w", r.Seq, a.last(), err)
	}
	return len(out.reviews), nil
}
