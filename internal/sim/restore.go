package sim

import (
	"context"
	"slices"
	"strings"
	"time"

	"meridian/central/orders"
	"meridian/central/regions"
	"meridian/central/store"
	"meridian/edge/fsm"
	"meridian/internal/verify"
	"meridian/replication/link"
)

// epochs is what became of a region's disks, and of its epochs since.
type epochs struct {
	backup    *backup
	lostDisks bool // until the region serves in a new epoch
	asked     bool // two persons are about to give it one
	epoch     uint64
	releasing int // epochs of which what was leased has not been given back

	restored, anew int
}

// backup is a copy of a node's files.
type backup struct {
	term       uint64
	log        []record
	state      []byte
	entries    []verify.RawEntry
	epoch, seq uint64
}

// disaster copies the region's files, or loses them all: then the copy takes their
// place, or the region is closed and founded anew.
func (r *region) disaster() {
	w, f := r.w, &r.w.cfg.Faults
	lead := r.lead()
	if lead == nil || !lead.ready || r.lostDisks || r.releasing > 0 || lead.state.Epoch == 0 || lead.state.Gathering {
		return
	}
	if w.chance(f.Backup) {
		lead.catchUp()
		s := lead.state
		r.backup = &backup{lead.term, slices.Clone(lead.log[:lead.applied]), s.Dump(), slices.Clone(lead.entries), s.Epoch, s.Seq}
	}
	if !w.chance(f.Restore) {
		return
	}
	epoch, seq := r.cursor()
	switch b := r.backup; {
	case b != nil && b.epoch == epoch && b.seq < seq && w.rng.IntN(3) > 0:
		r.restored++
		r.replace(b)
	case seq > 0 && epoch == lead.state.Epoch:
		r.anew++
		r.replace(&backup{})
		r.office("close", func(ctx context.Context, tx store.Tx, s *regions.Service) error {
			_, err := s.CloseTx(ctx, tx, r.name, "every disk is lost")
			return err
		})
		r.giveEpoch(regions.Heir{})
	}
}

// cursor is how far the centre has the region's ledger.
func (r *region) cursor() (epoch, seq uint64) {
	list, err := r.w.office.store.Reader().Regions(context.Background())
	for _, x := range list {
		if x.Name == r.name {
			epoch, seq = x.Epoch, x.Seq
		}
	}
	if err != nil {
		r.w.audit.fail("read the cursor of %s: %v", r.name, err)
	}
	return epoch, seq
}

// replace puts the same files on every disk.
func (r *region) replace(b *backup) {
	r.lostDisks, r.leader, r.lost = true, -1, nil
	for _, n := range r.nodes {
		n.link.break_()
		state := fsm.New()
		if b.state != nil {
			var err error
			if state, err = fsm.Load(b.state); err != nil {
				r.w.audit.fail("backup of %s: %v", n.id, err)
				return
			}
		}
		*n = replica{id: n.id, up: true, term: b.term, log: slices.Clone(b.log), commit: len(b.log), applied: len(b.log), state: state, entries: slices.Clone(b.entries),
			snapshot: b.state, snapIndex: len(b.log), snapKept: slices.Clone(b.entries), link: n.link, booted: r.w.now}
	}
	r.elect()
}

// refused tells whether the centre rightly refused a hello of a region whose disks
// were lost, and has people act on it.
func (r *region) refused(s *stream, refused *link.Refused) bool {
	if !r.lostDisks || refused.Code != link.CodeStaleEpoch && refused.Code != link.CodeRevoked && refused.Code != link.CodeBadHash && refused.Code != link.CodeStaleTerm {
		return false
	}
	s.up.Refused(*refused)
	r.fence(s)
	return true
}

// fence has the region's leader do what it was told of its ledger, and people act on it.
func (r *region) fence(s *stream) {
	_ = s.up.Fence(context.Background())
	if lead := r.lead(); lead != nil && lead.ready && lead.state.Fenced && !r.asked {
		heir := regions.Heir{Epoch: lead.state.Epoch, Seq: lead.state.Seq, Hash: lead.state.Head}
		r.giveEpoch(heir)
	}
}

// giveEpoch has two persons give the region its next epoch, and later give back what
// the ended one had.
func (r *region) giveEpoch(heir regions.Heir) {
	r.asked = true
	w := r.w
	w.after(time.Second+w.upTo(20*time.Second), func() {
		var o regions.Opening
		ends, accepted := r.cursor()
		if heir.Epoch == ends && heir.Seq >= accepted { // it went on, and parted from what the centre has
			r.office("close", func(ctx context.Context, tx store.Tx, s *regions.Service) error {
				_, err := s.CloseTx(ctx, tx, r.name, "the copy went on by itself")
				return err
			})
		}
		r.office("open", func(ctx context.Context, tx store.Tx, s *regions.Service) (err error) {
			o, err = s.OpenEpochTx(ctx, tx, r.name, ends, heir, "the disks were lost")
			return err
		})
		r.releasing++
		r.unanswered()
		r.prepare(o)
		w.after(w.upTo(2*time.Minute), func() { r.release(o.Epoch - 1) })
	})
}

// prepare tells the region's feed page by page.
func (r *region) prepare(o regions.Opening) {
	r.w.after(r.w.upTo(5*time.Second), func() {
		var next regions.Opening
		r.office("prepare", func(ctx context.Context, tx store.Tx, s *regions.Service) (err error) {
			next, err = s.PrepareTx(ctx, tx, o)
			return err
		})
		if next.ReadyAt == 0 {
			r.prepare(next)
		}
	})
}

// release gives back what an ended epoch had, twice: it must not give anything twice.
func (r *region) release(epoch uint64) {
	r.office("allow", func(ctx context.Context, tx store.Tx, s *regions.Service) error {
		_, err := s.AllowReleaseTx(ctx, tx, r.name, epoch, "no disk was found")
		return err
	})
	for range 2 {
		r.office("release", func(ctx context.Context, tx store.Tx, s *regions.Service) error {
			_, err := s.ReleaseSuspenseTx(ctx, tx, r.name, epoch, "")
			return err
		})
	}
	r.releasing--
}

// unanswered forgets orders that the ended epoch did not answer, which the centre
// refused.
func (r *region) unanswered() {
	o := r.w.office
	err := o.store.View(context.Background(), "sim", func(ctx context.Context, tx store.Tx) error {
		for _, id := range sortedOrders(o.orders) {
			list, err := o.store.Orders(tx).Get(ctx, []string{id})
			if err != nil {
				return err
			}
			if len(list) == 1 && list[0].Status == orders.Refused && strings.Contains(list[0].Detail, "ended before it was answered") {
				delete(o.orders, id)
			}
		}
		return nil
	})
	if err != nil {
		r.w.audit.fail("read the orders of %s: %v", r.name, err)
	}
}

func sortedOrders[V any](m map[string]V) []string {
	ids := make([]string, 0, len(m))
	for id := range m {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	return ids
}

// office does what people do at the centre about the region.
func (r *region) office(what string, fn func(context.Context, store.Tx, *regions.Service) error) {
	o := r.w.office
	err := o.store.Do(context.Background(), "sim", func(ctx context.Context, tx store.Tx) error { return fn(ctx, tx, o.services.Regions) })
	if err != nil {
		r.w.audit.fail("%s, region %s: %v", what, r.name, err)
	}
}

// serves notes that the region serves in a new epoch: what was used before is in the
// ended one's ledger, or lost.
func (r *region) serves() {
	lead := r.lead()
	if lead == nil || lead.state.Gathering || lead.state.Fenced || lead.state.Epoch <= max(r.epoch, 1) {
		return
	}
	r.epoch, r.lostDisks, r.asked, r.backup = lead.state.Epoch, false, false, nil
	for _, l := range r.w.audit.lives {
		if l.key.NAS == r.nas {
			l.ended = true
		}
	}
}
