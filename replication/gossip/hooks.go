package gossip

import (
	"bytes"
	"context"
	"errors"
	"log/slog"

	"github.com/hashicorp/memberlist"
)

// hooks is a Gossip as memberlist calls it back; kept apart so that these
// methods are not part of the package's interface. None may block or call
// memberlist.
type hooks Gossip

var (
	_ memberlist.Delegate      = (*hooks)(nil)
	_ memberlist.EventDelegate = (*hooks)(nil)
	_ memberlist.AliveDelegate = (*hooks)(nil)
	_ memberlist.MergeDelegate = (*hooks)(nil)
)

func (h *hooks) NodeMeta(int) []byte { return h.meta } // its length was checked by Validate

// No messages of our own are passed.
func (h *hooks) NotifyMsg([]byte)                {}
func (h *hooks) GetBroadcasts(int, int) [][]byte { return nil }
func (h *hooks) LocalState(bool) []byte          { return nil }
func (h *hooks) MergeRemoteState([]byte, bool)   {}

func (h *hooks) NotifyAlive(n *memberlist.Node) error { return (*Gossip)(h).admit(n) }

// NotifyMerge fails a join between regions, so that the side which joins says
// why. A node without a place is no reason to refuse the others.
func (h *hooks) NotifyMerge(nodes []*memberlist.Node) error {
	for _, n := range nodes {
		if err := (*Gossip)(h).admit(n); errors.Is(err, errForeign) {
			return err
		}
	}
	return nil
}

func (h *hooks) NotifyJoin(n *memberlist.Node)   { h.up(n, Joined) }
func (h *hooks) NotifyUpdate(n *memberlist.Node) { h.up(n, Updated) }

func (h *hooks) up(n *memberlist.Node, kind Kind) {
	m, err := (*Gossip)(h).read(n)
	if err != nil {
		h.unreadable.Add(1)
		return
	}
	h.mu.Lock()
	h.alive[m.ID] = m
	h.mu.Unlock()
	h.events.put(Event{Kind: kind, Member: m})
}

func (h *hooks) NotifyLeave(n *memberlist.Node) {
	h.mu.Lock()
	m, ok := h.alive[n.Name]
	delete(h.alive, n.Name)
	h.mu.Unlock()
	if ok {
		h.events.put(Event{Kind: Gone, Member: m})
	}
}

// lineLogger passes memberlist's lines, which name their level in brackets.
type lineLogger struct{ to *slog.Logger }

func (l lineLogger) Write(line []byte) (int, error) {
	level, rest := slog.LevelDebug, bytes.TrimSpace(line)
	for tag, v := range map[string]slog.Level{
		// An unreachable member is told as an event; its lines are for debugging.
		"[ERR] ": slog.LevelWarn, "[WARN] ": slog.LevelInfo, "[INFO] ": slog.LevelDebug, "[DEBUG] ": slog.LevelDebug,
	} {
		if r, ok := bytes.CutPrefix(rest, []byte(tag)); ok {
			level, rest = v, r
			break
		}
	}
	if bytes.Contains(rest, []byte(errForeign.Error())) {
		level = slog.LevelDebug // we have said it, once
	}
	l.to.Log(context.Background(), level, string(rest))
	return len(line), nil
}
