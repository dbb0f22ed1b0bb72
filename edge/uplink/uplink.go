// Package uplink is the region's end of the link to the centre: the ledger goes
// up, the feed comes down as commands.
//
// It owns the cursors' bookkeeping, the mode, and what a Welcome means. It
// decides nothing about a subscriber: an edge that never hears from the centre
// again keeps every promise that its leases allow. It runs on the region's
// leader only.
package uplink

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"meridian/edge/command"
	"meridian/edge/fsm"
	"meridian/internal/feed"
	"meridian/internal/journal"
	"meridian/internal/tariff"
	"meridian/internal/verify"
	"meridian/replication/link"
)

// Log is the node's replicated state, as uplink needs it.
type Log interface {
	// Do proposes a command and waits for its result.
	Do(ctx context.Context, c command.Command) (command.Result, error)
	View(fn func(*fsm.State))
	// Changed returns a channel closed at the next change of the state.
	Changed() <-chan struct{}
	// Entries returns entries after a seq whose hash is afterHash, and the hash after them.
	Entries(after uint64, afterHash journal.Hash, maxEntries, maxBytes int) ([]verify.RawEntry, journal.Hash, error)
	HashAt(seq uint64) (journal.Hash, error)
}

// ErrDiverged: the centre's ledger of this region is not the one that lies here.
// Nothing is sent until a person has looked.
var ErrDiverged = fmt.Errorf("uplink: %w: nothing is sent until a person has looked: compare the region's segments with the centre's entries", link.ErrDiverged)

// Uplink implements link.Source and link.Applier over a Log.
type Uplink struct {
	region, node, version string
	log                   Log
	term                  func() uint64
	now                   func() time.Time
	logger                *slog.Logger
	heads                 Heads

	mu       sync.Mutex
	sent     uint64 // last entry handed to the stream, and its hash
	sentHash journal.Hash
	epoch    uint64
	wanted   map[string]int64 // told on this stream
	seen     uint64           // serial of the wanted totals that were told; 0 = none

	headsTold uint64 // serial of the last signed head told on this stream

	hello   link.Hello // the newest
	refused *link.Refused
	behind  *command.Fence // to be proposed: the centre has more of the ledger
	blocked error          // the feed waits at a row that cannot be read
}

// New returns an Uplink; term gives the raft term, now the node's clock.
func New(region, node, version string, log Log, term func() uint64, now func() time.Time, logger *slog.Logger) *Uplink {
	return &Uplink{region: region, node: node, version: version, log: log, term: term, now: now, logger: logger, wanted: map[string]int64{}}
}

// Refusal is why the centre refused the last stream, nil when it did not.
func (u *Uplink) Refusal() *link.Refused {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.refused
}

// Hello implements link.Source.
func (u *Uplink) Hello() link.Hello {
	h := link.Hello{Region: u.region, Node: u.node, Term: u.term(), SoftwareVersion: u.version}
	u.log.View(func(s *fsm.State) {
		h.Epoch, h.LastSeq, h.AckedSeq, h.FeedVersion = s.Epoch, s.Seq, s.Acked, s.FeedVersion
		h.HeadHash = bytes.Clone(s.Head[:])
	})
	u.mu.Lock()
	u.hello = h
	u.mu.Unlock()
	return h
}

// Health implements link.Source.
func (u *Uplink) Health() link.Health {
	h := link.Health{ClockUnixMicros: u.now().UnixMicro()}
	u.log.View(func(s *fsm.State) {
		h.Mode, h.BacklogEntries, h.FeedVersion = s.Mode.String(), s.Backlog(), s.FeedVersion
	})
	return h
}

// openEpoch begins the epoch of a Welcome. One that takes the place of another is the
// centre's answer to the ledger that the hello told of: if that went on since, it is
// not what the centre gave the epoch to.
func (u *Uplink) openEpoch(ctx context.Context, w link.Welcome, before uint64) error {
	if before != 0 {
		u.mu.Lock()
		c := &command.Fence{Meta: u.meta(), Epoch: before, LastSeq: u.hello.LastSeq}
		u.mu.Unlock()
		r, err := u.log.Do(ctx, c)
		if err != nil {
			return fmt.Errorf("uplink: leave epoch %d: %w", before, err)
		}
		if r.Code != command.OK && r.Code != command.Repeated {
			return fmt.Errorf("%w: the centre gives epoch %d to a ledger of epoch %d that ended at entry %d, and it went on", ErrDiverged, w.Epoch, before, c.LastSeq)
		}
	}
	err := u.do(ctx, &command.OpenEpoch{Meta: u.meta(), Epoch: w.Epoch, Previous: hashOf(w.EpochPrevHash)})
	if err == nil && w.Epoch > 1 {
		u.logger.Warn("the region begins a new epoch: it serves once it has what the centre knows of it", "epoch", w.Epoch, "ended", before)
	}
	return err
}

// Welcome implements link.Applier: the region's first contact opens its epoch, and
// one that the centre issued since; later ones must find their own ledger at the
// centre.
func (u *Uplink) Welcome(ctx context.Context, w link.Welcome) error {
	var epoch, acked, seq uint64
	u.log.View(func(s *fsm.State) { epoch, acked, seq = s.Epoch, s.Acked, s.Seq })
	if w.Epoch > epoch {
		if err := u.openEpoch(ctx, w, epoch); err != nil {
			return err
		}
		epoch, acked, seq = w.Epoch, 0, 1
	}
	if w.Epoch != epoch {
		return fmt.Errorf("%w: the centre is at epoch %d, the region at %d", ErrDiverged, w.Epoch, epoch)
	}
	if w.CursorSeq < acked {
		return fmt.Errorf("%w: the centre has entries up to %d, but acknowledged %d before", ErrDiverged, w.CursorSeq, acked)
	}
	if w.CursorSeq > seq {
		return fmt.Errorf("%w: the centre has entries up to %d, the region up to %d", ErrDiverged, w.CursorSeq, seq)
	}
	hash, err := u.log.HashAt(w.CursorSeq)
	if err != nil {
		return fmt.Errorf("uplink: %w", err)
	}
	if w.CursorSeq > 0 && hash != hashOf(w.CursorHash) {
		if err := u.whole(); err != nil {
			return err
		}
		if w.CursorSeq > acked { // else the centre contradicts what it acknowledged itself, and the region is right
			u.mu.Lock()
			u.behind = u.parted(epoch)
			u.mu.Unlock()
		}
		return fmt.Errorf("%w: hash of entry %d", ErrDiverged, w.CursorSeq)
	}
	u.mu.Lock()
	u.epoch, u.sent, u.sentHash, u.refused, u.blocked, u.behind = epoch, w.CursorSeq, hash, nil, nil, nil
	clear(u.wanted)
	u.seen, u.headsTold = 0, 0
	u.mu.Unlock()
	if err := u.Acked(ctx, link.Ack{Epoch: epoch, Seq: w.CursorSeq, Hash: w.CursorHash}); err != nil {
		return err
	}
	return u.SetMode(ctx, command.Connected)
}

func hashOf(b []byte) (h journal.Hash) {
	copy(h[:], b)
	return h
}

func (u *Uplink) meta() command.Meta { return command.Meta{At: u.now().UnixMicro(), Node: u.node} }

// do proposes a command; a refusal by the state machine is an error here.
func (u *Uplink) do(ctx context.Context, c command.Command) error {
	r, err := u.log.Do(ctx, c)
	if err != nil {
		return fmt.Errorf("uplink: %T: %w", c, err)
	}
	if r.Code != command.OK && r.Code != command.Repeated {
		return fmt.Errorf("uplink: %T was answered with code %d", c, r.Code)
	}
	return nil
}

// Acked implements link.Applier.
func (u *Uplink) Acked(ctx context.Context, a link.Ack) error {
	if a.Seq == 0 {
		return nil
	}
	return u.do(ctx, &command.Acked{Meta: u.meta(), Epoch: a.Epoch, Seq: a.Seq, Hash: hashOf(a.Hash)})
}

// Feed implements link.Applier. Rows are read once here: one that cannot be read
// never enters the log, and the feed waits there until the next stream, while the
// ledger goes on upwards.
func (u *Uplink) Feed(ctx context.Context, rows []link.Row) error {
	if u.FeedBlocked() != nil {
		return nil
	}
	c := &command.Feed{Meta: u.meta()}
	for _, r := range rows {
		row := feed.Row{Number: r.Number, Skipped: r.Skipped, Kind: feed.Kind(r.EntityKind), ID: r.EntityID, Version: r.EntityVersion, Body: r.Body}
		entity, err := row.Decode()
		if err == nil {
			err = u.lacks(&row, entity, c.Rows)
		}
		if err != nil {
			u.block(err)
			break
		}
		c.Rows = append(c.Rows, row)
	}
	if len(c.Rows) == 0 {
		return nil
	}
	return u.do(ctx, c)
}

// lacks reports that an offering names a table which is neither here nor comes before
// it.
func (u *Uplink) lacks(row *feed.Row, entity any, before []feed.Row) error {
	o, ok := entity.(*tariff.Offering)
	if !ok {
		return nil
	}
	var lacks []string
	u.log.View(func(s *fsm.State) { lacks = s.Lacks(o) })
	lacks = slices.DeleteFunc(lacks, func(key string) bool {
		return slices.ContainsFunc(before, func(r feed.Row) bool { return r.Kind == feed.KindTable && r.ID == key })
	})
	if len(lacks) == 0 {
		return nil
	}
	return fmt.Errorf("%w: row %d (%s %s): tables %v are not here: publish the table again, then the offering", feed.ErrRow, row.Number, row.Kind, row.ID, lacks)
}

func (u *Uplink) block(err error) {
	u.mu.Lock()
	u.blocked = err
	u.mu.Unlock()
	u.logger.Error("the feed waits at a row that this version cannot read; the ledger goes on", "error", err)
}

// FeedBlocked is why the feed waits, nil when it does not.
func (u *Uplink) FeedBlocked() error {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.blocked
}

// Refused implements link.Applier.
func (u *Uplink) Refused(r link.Refused) {
	var damaged error
	if r.Code == link.CodeBadHash {
		damaged = u.whole()
	}
	u.mu.Lock()
	u.refused = &r
	switch {
	case u.hello.Epoch == 0:
	case r.Code == link.CodeStaleEpoch:
		u.behind = &command.Fence{Meta: u.meta(), Epoch: u.hello.Epoch, LastSeq: u.hello.LastSeq}
	case r.Code == link.CodeBadHash && damaged == nil:
		u.behind = u.parted(u.hello.Epoch)
	}
	u.mu.Unlock()
	u.logger.Error("the centre refused the link", "code", r.Code.String(), "detail", r.Detail, "remedy", r.Remedy)
	if damaged != nil {
		u.logger.Error("the region is not fenced for it: hand leadership to another node, and repair this one", "error", damaged)
	}
}

// whole tells whether the segments of this node are the region's ledger, which all nodes
// agree on by its head. When they are not, what the centre refuses is this node's damage,
// and no reason to fence the region.
func (u *Uplink) whole() error {
	var seq uint64
	var head journal.Hash
	u.log.View(func(s *fsm.State) { seq, head = s.Seq, s.Head })
	hash, err := u.log.HashAt(seq)
	if err != nil {
		return fmt.Errorf("uplink: read this node's segments up to entry %d: %w", seq, err)
	}
	if hash != head {
		return fmt.Errorf("%w: the segments of node %s do not chain to the head of the region's ledger at entry %d: put them back from another node", ErrDiverged, u.node, seq)
	}
	return nil
}

// parted is the fence of a ledger that has another entry than the centre accepted: it
// was restored from before that entry and went on, and nothing that it writes changes
// that.
func (u *Uplink) parted(epoch uint64) *command.Fence {
	return &command.Fence{Meta: u.meta(), Epoch: epoch, LastSeq: 1 << 62}
}

// Fence ends all spending of the region if the centre said that it has more of its
// ledger, or has ended its epoch. It is called at every tick; what was said of a ledger
// that has gone on since is forgotten.
func (u *Uplink) Fence(ctx context.Context) error {
	u.mu.Lock()
	c := u.behind
	u.mu.Unlock()
	if c == nil {
		return nil
	}
	r, err := u.log.Do(ctx, c)
	if err != nil {
		return fmt.Errorf("uplink: fence the region: %w", err)
	}
	u.mu.Lock()
	if u.behind == c {
		u.behind = nil
	}
	u.mu.Unlock()
	if r.Code == command.OK {
		u.logger.Error("the region is fenced: the centre has more of its ledger than the region itself, so it spends nothing", "epoch", c.Epoch, "seq", c.LastSeq)
	}
	return nil
}

// SetMode records how the region stands to the centre.
func (u *Uplink) SetMode(ctx context.Context, m command.Mode) error {
	var now command.Mode
	u.log.View(func(s *fsm.State) { now = s.Mode })
	if now == m {
		return nil
	}
	return u.do(ctx, &command.SetMode{Meta: u.meta(), Mode: m})
}

// Entries implements link.Source.
func (u *Uplink) Entries(ctx context.Context, afterSeq uint64, maxEntries, maxBytes int) (link.Batch, error) {
	for {
		changed := u.log.Changed()
		u.mu.Lock()
		epoch, sent, hash := u.epoch, u.sent, u.sentHash
		u.mu.Unlock()
		if afterSeq != sent {
			var err error
			if hash, err = u.log.HashAt(afterSeq); err != nil {
				return link.Batch{}, err
			}
		}
		entries, head, err := u.log.Entries(afterSeq, hash, maxEntries, maxBytes)
		if err != nil {
			return link.Batch{}, err
		}
		if len(entries) > 0 {
			b := link.Batch{Epoch: epoch, FirstSeq: entries[0].Seq, PrevHash: bytes.Clone(hash[:]), HeadHash: bytes.Clone(head[:])}
			for _, e := range entries {
				b.Entries = append(b.Entries, e.Raw)
			}
			u.mu.Lock()
			u.sent, u.sentHash = b.LastSeq(), head
			u.mu.Unlock()
			return b, nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return link.Batch{}, ctx.Err()
		}
	}
}

// maxWanted bounds the buckets named in one message.
const maxWanted = 1000

// Wanted implements link.Source.
func (u *Uplink) Wanted(ctx context.Context) (link.Wanted, error) {
	for {
		changed := u.log.Changed()
		if w := u.untold(); len(w.Items) > 0 {
			return w, nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return link.Wanted{}, ctx.Err()
		}
	}
}

// untold collects wanted totals that this stream has not carried yet.
func (u *Uplink) untold() (w link.Wanted) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.log.View(func(s *fsm.State) {
		serial := s.WantedSerial() + 1
		if serial == u.seen {
			return
		}
		want := s.Wanted(maxWanted, func(x fsm.Wanted) bool { return u.wanted[x.Bucket] >= x.Total })
		for _, x := range want {
			u.wanted[x.Bucket] = x.Total
			w.Items = append(w.Items, link.WantedItem{Bucket: x.Bucket, Total: x.Total, Epoch: s.Epoch})
		}
		if len(want) < maxWanted {
			u.seen = serial
		}
	})
	return w
}
