package edge

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"meridian/edge/heads"
	"meridian/internal/journal"
	"meridian/replication/disk"
	"meridian/replication/forward"
	"meridian/replication/identity"
	"meridian/replication/raftnode"
)

// openHeads opens the book of signed heads and refuses a directory that has parted
// from its region or is another cluster's.
func (n *Node) openHeads() (err error) {
	why, err := os.ReadFile(filepath.Join(n.cfg.Dir, partedFile))
	if err == nil {
		return fmt.Errorf("%w: %s", ErrParted, strings.TrimSpace(string(why)))
	}
	if !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("edge: %w", err)
	}
	c := &n.heads
	c.others, c.wrong = map[string]map[uint64]journal.Head{}, map[string]error{}
	if c.signer, err = n.cfg.Identity.Signer(); err != nil {
		return err
	}
	if c.verify, err = identity.NewVerifier(n.cfg.Identity.CAPEM); err != nil {
		return err
	}
	if c.book, err = heads.OpenBook(filepath.Join(n.cfg.Dir, heads.File), bookGuard{n.disk}); err != nil {
		return err
	}
	if damage := c.book.Damage(); damage != nil {
		n.logger.Error("the book of signed heads was damaged; what lies behind the damage is asked from the other nodes again", "error", damage)
	}
	own, ok := c.book.Newest(n.cfg.Node)
	if !ok {
		return nil
	}
	c.signedAt = own.At
	if err := c.check(own.SignedHead); errors.Is(err, identity.ErrUntrusted) {
		return fmt.Errorf("%w: its newest head, %s, was signed under another authority (%w): give the node the directory or the certificates of its own cluster",
			ErrForeign, own.Place(), err)
	}
	return nil
}

// bookGuard writes the book through the node's disk layer. The book can be written
// again: its failure stops nothing else.
type bookGuard struct{ layer *disk.Layer }

// Write implements heads.Guard.
func (g bookGuard) Write(path string, do func() error) error {
	return g.layer.Try(disk.Write, path, do)
}

// Sync implements heads.Guard.
func (g bookGuard) Sync(path string, do func() error) error { return g.layer.Try(disk.Sync, path, do) }

// closeBook is the last of all: whoever compares writes to it.
func (n *Node) closeBook() error {
	if n.heads.book == nil {
		return nil
	}
	return n.heads.book.Close()
}

// check verifies a signed head's signature.
func (c *comparing) check(h journal.SignedHead) error {
	return c.verify.Verify(h.Certificate, h.Message(), h.Signature, identity.Node(h.Region, h.Node), time.UnixMicro(h.At))
}

// reached is the highest log index of which this node's own book or a node of the
// region that answers has a head signed by it: a log that ends before it was rolled
// back. A directory without state begins a new life of the node.
func (n *Node) reached() (index uint64, err error) {
	has, err := raftnode.HasState(n.cfg.Dir)
	if err != nil {
		return 0, err
	}
	told := n.askedAtStart()
	path := filepath.Join(n.cfg.Dir, bornFile)
	if !has {
		n.heads.born = time.Now().UnixMicro()
		for _, h := range told { // region time may be ahead of this node's clock
			n.heads.born = max(n.heads.born, h.At+1)
		}
		return 0, n.disk.Replace(path, fmt.Appendln(nil, n.heads.born))
	}
	text, err := os.ReadFile(path)
	if err == nil {
		n.heads.born, err = strconv.ParseInt(strings.TrimSpace(string(text)), 10, 64)
	}
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return 0, fmt.Errorf("edge: read since when the directory is this node's: %w", err)
	}
	for _, h := range told {
		if h.At >= n.heads.born {
			index = max(index, h.Index)
		}
	}
	if own, ok := n.heads.book.Newest(n.cfg.Node); ok {
		index = max(index, own.Index)
	}
	return index, nil
}

// askedAtStart are the newest heads of this node that others keep, of those that
// answer at once.
func (n *Node) askedAtStart() (told []journal.SignedHead) {
	ctx, cancel := context.WithTimeout(context.Background(), headsTimeout)
	defer cancel()
	var mu sync.Mutex
	var wg sync.WaitGroup
	for _, p := range n.cfg.Peers {
		if p.ID == n.cfg.Node {
			continue
		}
		wg.Go(func() {
			// Only heads are asked for that nobody has: what counts is ours.
			r, err := n.pool.Heads(ctx, p.Forward, forward.HeadsQuery{AfterIndex: 1 << 62, AfterSigned: 1 << 62})
			if err != nil {
				return
			}
			if h, ok := n.ours(r); ok {
				mu.Lock()
				defer mu.Unlock()
				told = append(told, h)
			}
		})
	}
	wg.Wait()
	return told
}

// ours is the head of this node that another one keeps; what this node did not
// sign does not count.
func (n *Node) ours(r forward.Heads) (journal.SignedHead, bool) {
	if len(r.Yours) == 0 {
		return journal.SignedHead{}, false
	}
	h, err := journal.DecodeSignedHead(r.Yours)
	if err == nil && (h.Region != n.cfg.Region || h.Node != n.cfg.Node) {
		err = fmt.Errorf("it is of %s", h.Place())
	}
	if err == nil {
		err = n.heads.check(h)
	}
	if err != nil {
		n.heads.wrongly(r.From, fmt.Errorf("a head of this node that it did not sign: %w", err))
		return journal.SignedHead{}, false
	}
	return h, true
}

// signHeads signs the own heads that carry a state hash, and the newest one when
// none was signed for SignEach of region time.
func (n *Node) signHeads() {
	c := &n.heads
	own := n.store.Heads(c.upTo)
	if len(own) == 0 {
		return
	}
	c.upTo = own[len(own)-1].Index
	var list []journal.SignedHead
	for i, h := range own {
		if h.StateForm == 0 && (i < len(own)-1 || h.At-c.signedAt < n.cfg.SignEach.Microseconds()) {
			continue
		}
		if before, ok := c.book.Newest(n.cfg.Node); ok && before.Index >= h.Index || h.Seq == 0 {
			continue // replayed: it was signed before this process began
		}
		s := journal.SignedHead{Head: h, Certificate: c.signer.Certificate()}
		var err error
		if s.Signature, err = c.signer.Sign(h.Message()); err != nil {
			n.bookFault(err)
			continue
		}
		list, c.signedAt = append(list, s), h.At
	}
	if len(list) > 0 {
		c.signed.Add(uint64(len(list)))
		n.bookFault(c.book.Add(list...))
	}
}

// bookFault notes what the book said last. That a node signed two ledgers is not
// forgotten.
func (n *Node) bookFault(err error) {
	n.heads.mu.Lock()
	defer n.heads.mu.Unlock()
	if errors.Is(err, heads.ErrTwoLedgers) {
		n.heads.twice = err
		n.logger.Error("a node signed two ledgers", "error", err)
		return
	}
	n.heads.bookErr = err
}
