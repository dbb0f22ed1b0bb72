package edge

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"meridian/edge/heads"
	"meridian/edge/store"
	"meridian/internal/journal"
	"meridian/replication/forward"
	"meridian/replication/identity"
	"meridian/replication/raftnode"
)

const (
	// partedFile says why this node stopped serving; it lies in the node's directory.
	partedFile = "parted"
	// bornFile says since when the directory is this node's, by its clock in Unix
	// microseconds: what the node signed before, with another directory, does not
	// count against this one.
	bornFile = "born"
	// headsTimeout is how long a node may take to tell its heads.
	headsTimeout = 700 * time.Millisecond
	// comparedHeads bounds what is remembered of another node: ten minutes of ticks.
	comparedHeads = 600
	// signedPerAnswer bounds the signed heads in one answer.
	signedPerAnswer = 64
	// headsSilent is how much region time a member may go without a signed head.
	headsSilent = time.Minute
)

var (
	// ErrParted: this node had parted from the majority and does not serve.
	ErrParted = errors.New("edge: this node parted from its region")
	// ErrForeign: the directory holds heads that another cluster signed.
	ErrForeign = errors.New("edge: the directory is of another cluster")
)

const partedRemedy = "keep the directory as evidence, remove this member (meridian ctl edge remove), start it with an empty directory or with --join, and add it again (meridian ctl edge add)"

// loneRemedy is for the only node of a region: nobody else has its entries.
const loneRemedy = "keep the directory, and do not start the node with an empty one: it is the region's only node, and what the centre has not acknowledged lies only there. " +
	"Put the file that is named back from a copy, remove the file " + partedFile + " and start the node; when there is no copy, close the region (meridian ctl region close) and found another"

// comparing is what a node knows of the other nodes' heads, and signs of its own.
type comparing struct {
	signer *identity.Signer
	verify *identity.Verifier
	book   *heads.Book

	mu       sync.Mutex
	others   map[string]map[uint64]journal.Head // by node and log index
	born     int64                              // see bornFile; 0 when it is not known
	signedAt int64                              // region time of the newest own signed head
	upTo     uint64                             // own heads were looked at for signing
	verdict  heads.Verdict
	outdated error            // why this node waits to be upgraded
	parted   string           // why this node stopped serving, "" while it serves
	remedy   string           // for that
	wrong    map[string]error // by node: what it sent last, if it could not have it
	twice    error            // a node that signed two ledgers
	bookErr  error            // the book's last fault
	since    time.Time        // when this process first saw an epoch

	signed, taken, compared, refused atomic.Uint64
}

// wrongly notes that another node sent what it could not have.
func (c *comparing) wrongly(node string, err error) {
	c.refused.Add(1)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.wrong[node] = fmt.Errorf("node %s sent %w", node, err)
}

// answerHeads tells another node where this one stands.
func (n *Node) answerHeads(asker string, q forward.HeadsQuery) forward.Heads {
	var out forward.Heads
	for _, h := range n.store.Heads(q.AfterIndex) {
		out.Points = append(out.Points, h.Encode())
	}
	for _, k := range n.heads.book.After(n.cfg.Node, min(q.AfterSigned, 1<<62), signedPerAnswer) {
		out.Signed = append(out.Signed, k.Raw)
	}
	if k, ok := n.heads.book.Newest(asker); ok {
		out.Yours = k.Raw
	}
	return out
}

// compareHeads signs where this node stands and compares with the others, until ctx
// ends or this node parted.
func (n *Node) compareHeads(ctx context.Context) {
	t := time.NewTicker(n.cfg.HeadsEach)
	defer t.Stop()
	for {
		if damage := n.store.Damage(); errors.Is(damage, store.ErrTooOld) {
			n.outdated(damage)
			return
		} else if damage != nil {
			n.part("its own log contradicts its ledger, or the ledger cannot be read as it was written: " + damage.Error())
			return
		}
		n.signHeads()
		members, err := n.store.Raft().Peers()
		if err == nil {
			if why := n.askMembers(ctx, members); why != "" {
				n.part(why)
				return
			}
			if n.judge(len(members)) {
				return
			}
		}
		select {
		case <-t.C:
		case <-ctx.Done():
			return
		}
	}
}

// askMembers asks all other members for their heads. It returns why this node must
// not serve on, when one of them shows that.
func (n *Node) askMembers(ctx context.Context, members []raftnode.Peer) string {
	ctx, cancel := context.WithTimeout(ctx, headsTimeout)
	defer cancel()
	var mu sync.Mutex
	var why string
	var wg sync.WaitGroup
	for _, p := range members {
		addr, ok := n.forwardAddress(p.ID)
		if p.ID == n.cfg.Node || !ok {
			continue
		}
		wg.Go(func() {
			r, err := n.pool.Heads(ctx, addr, n.query(p.ID))
			if err != nil || r.From != p.ID {
				return // silent, or another node at that address
			}
			n.takeHeads(p.ID, r)
			if h, ok := n.ours(r); ok && h.At >= n.heads.born && h.Index > n.store.Raft().LastIndex() {
				mu.Lock()
				defer mu.Unlock()
				why = fmt.Sprintf("node %s keeps a head that this node signed at log index %d, its log ends at %d: it was rolled back", p.ID, h.Index, n.store.Raft().LastIndex())
			}
		})
	}
	wg.Wait()
	return why
}

func (n *Node) query(node string) forward.HeadsQuery {
	c := &n.heads
	var q forward.HeadsQuery
	if k, ok := c.book.Newest(node); ok {
		q.AfterSigned = k.Index
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for index := range c.others[node] {
		q.AfterIndex = max(q.AfterIndex, index)
	}
	return q
}

// takeHeads remembers what another node says and keeps what it signed.
func (n *Node) takeHeads(node string, r forward.Heads) {
	c := &n.heads
	points := make([]journal.Head, 0, len(r.Points))
	for _, b := range r.Points {
		h, err := journal.DecodeHead(b)
		if err != nil || h.Node != node || h.Region != n.cfg.Region {
			c.wrongly(node, fmt.Errorf("a head that is not its own: %s: %w", h.Place(), errors.Join(err, identity.ErrWrongPeer)))
			return
		}
		points = append(points, h)
	}
	var list []journal.SignedHead
	for _, b := range r.Signed {
		h, err := journal.DecodeSignedHead(b)
		if err == nil && (h.Node != node || h.Region != n.cfg.Region) {
			err = fmt.Errorf("it is of %s", h.Place())
		}
		if err == nil {
			err = c.check(h)
		}
		if err != nil {
			c.wrongly(node, fmt.Errorf("a head that it did not sign: %w", err))
			return
		}
		list, points = append(list, h), append(points, h.Head)
	}
	if len(list) > 0 {
		c.taken.Add(uint64(len(list)))
		n.bookFault(c.book.Add(list...))
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.wrong, node)
	known := c.others[node]
	if known == nil {
		known = map[uint64]journal.Head{}
		c.others[node] = known
	}
	for _, h := range points {
		known[h.Index] = h
	}
	if len(known) > comparedHeads {
		indexes := slices.Sorted(maps.Keys(known))
		for _, i := range indexes[:len(indexes)-comparedHeads] {
			delete(known, i)
		}
	}
}

// judge compares all that is known and says whether this node has to stop.
func (n *Node) judge(members int) (parted bool) {
	c := &n.heads
	own := n.store.Heads(0)
	c.mu.Lock()
	before, v := c.verdict, heads.Judge(own, c.others, members)
	c.verdict = v
	c.mu.Unlock()
	c.compared.Add(1)
	if v.Finding != heads.Agreed && (v.Finding != before.Finding || v.Index != before.Index) {
		n.logger.Error("heads differ", "finding", findingText(v), "index", v.Index, "nodes", heads.List(v.Nodes), "detail", v.Detail)
	}
	if v.Finding == heads.Parted {
		n.part("a majority of the region stands together and this node differs: " + v.Detail)
	}
	return v.Finding == heads.Parted
}

func findingText(v heads.Verdict) string {
	switch v.Finding {
	case heads.Parted:
		return "this node parted from the majority"
	case heads.OtherParted:
		return heads.List(v.Nodes) + " parted from the majority"
	}
	return "no majority stands together"
}

// part stops serving: no packet is answered, no command proposed, no vote given.
// Status, metrics and heads are still told, and a restart is refused.
func (n *Node) part(why string) {
	remedy := partedRemedy
	if n.alone() {
		remedy = loneRemedy
	}
	n.heads.mu.Lock()
	n.heads.parted, n.heads.remedy = why, remedy
	n.heads.mu.Unlock()
	n.logger.Error("this node stops serving", "why", why, "remedy", remedy)
	n.endServing(n.disk.Replace(filepath.Join(n.cfg.Dir, partedFile), []byte(why+": "+remedy+"\n")))
}

// alone tells whether this node is the only one of its region.
func (n *Node) alone() bool {
	members, err := n.store.Raft().Servers()
	if err != nil { // raft has stopped
		return len(n.cfg.Peers) <= 1 && len(n.founders) <= 1
	}
	return len(members) == 1 && members[0].ID == n.cfg.Node
}

// outdated stops serving, as part does, until the node is upgraded: its directory is
// good.
func (n *Node) outdated(why error) {
	n.heads.mu.Lock()
	n.heads.outdated = why
	n.heads.mu.Unlock()
	n.logger.Error("this node stops serving", "why", why)
	n.endServing(nil)
}

func (n *Node) endServing(err error) {
	n.stopServing()
	if err = errors.Join(err, n.closeRADIUS(), n.store.Close()); err != nil {
		n.logger.Error("stop serving", "error", err)
	}
}
