package edge

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"meridian/edge/command"
	"meridian/edge/fsm"
	"meridian/ops/alarm"
	"meridian/replication/link"
)

// watched is an alarm and the look that finds its problem, nil when there is none.
type watched struct {
	alarm.Definition
	find func() error
}

// eventHold keeps an alarm about single events in view.
const eventHold = 5 * time.Minute

// watched lists what a node watches of itself. A look is short, takes its figures
// from the parts' Stats, and tells no secret and no subscriber. Each alarm has a
// page of its name in ops/runbooks.
func (n *Node) watched() []watched {
	return []watched{
		{alarm.Definition{Name: "no_leader", Severity: alarm.Critical,
			Means: "This node hears no leader: accounting is not acknowledged, and only logins that need no exactness are accepted."}, n.noLeader},
		{alarm.Definition{Name: "region_isolated", Severity: alarm.Warning, Hold: 5 * time.Second,
			Means: "The region works cut off from the centre: on its leases, with a growing backlog."}, n.isolated},
		{alarm.Definition{Name: "link_refused", Severity: alarm.Critical,
			Means: "The centre refuses this region's link: nothing is settled until a person has acted."}, n.linkRefused},
		{alarm.Definition{Name: "ledger_diverged", Severity: alarm.Critical,
			Means: "The centre's ledger of this region and the one that lies here differ: nothing is sent until a person has looked."}, n.ledgerDiverged},
		{alarm.Definition{Name: "peer_refused", Severity: alarm.Warning, Hold: eventHold,
			Means: "A process that is no node of this region, of another installation, or of another version tried to join in."}, n.peerRefused},
		{alarm.Definition{Name: "feed_blocked", Severity: alarm.Critical,
			Means: "The feed waits at a row that this version cannot read: later changes of the centre do not arrive."}, n.uplink.FeedBlocked},
		{alarm.Definition{Name: "backlog_high", Severity: alarm.Warning,
			Means: "More than half of the room for unacknowledged entries is used."}, func() error { return n.backlog(1, 2) }},
		{alarm.Definition{Name: "backlog_full", Severity: alarm.Critical,
			Means: "The room for unacknowledged entries is used up: new sessions that cost money are refused."}, func() error { return n.backlog(1, 1) }},
		{alarm.Definition{Name: "renewals_held", Severity: alarm.Critical,
			Means: "More renewals fell due than an hour may see: none is charged until a person has looked."}, n.renewalsHeld},
		{alarm.Definition{Name: "clock_jump", Severity: alarm.Critical,
			Means: "The clocks of a majority jumped: region time stands still, and with it renewals and time-outs."}, n.clockJump},
		{alarm.Definition{Name: "clock_skew", Severity: alarm.Warning, Hold: 30 * time.Second,
			Means: "The clocks of the region's nodes differ by more than two seconds."}, n.clockSkew},
		{alarm.Definition{Name: "certificate_expiring", Severity: alarm.Warning,
			Means: "This node's certificate ends within 14 days: then no other node and no centre talks to it."}, n.certificateExpiring},
		{alarm.Definition{Name: "api_certificate_expiring", Severity: alarm.Warning,
			Means: "The certificate of this node's API ends within 14 days, or new files for it cannot be used."}, n.apiCertificateExpiring},
		{alarm.Definition{Name: "queue_full", Severity: alarm.Critical, Hold: eventHold,
			Means: "Commands were refused because the queue to the log was full: reports are not acknowledged in time."}, n.queueFull},
		{alarm.Definition{Name: "kernel_drops", Severity: alarm.Warning, Hold: eventHold,
			Means: "The kernel dropped RADIUS packets before they were read."}, n.kernelDrops},
		{alarm.Definition{Name: "disconnects_failing", Severity: alarm.Warning, Hold: eventHold,
			Means: "CoA or Disconnect requests were given up: sessions run on past their limit, as overrun."}, n.disconnectsFailing},
		{alarm.Definition{Name: "heads_differ", Severity: alarm.Critical,
			Means: "Ledger or state of the region's nodes differ: one of them was altered or is faulty. A node that differs from the majority has stopped serving."}, n.headsDiffer},
		{alarm.Definition{Name: "sessions_full", Severity: alarm.Critical,
			Means: "A bound of sessions is reached: what new ones report is acknowledged and recorded, and not charged."}, n.sessionsFull},
		{alarm.Definition{Name: "raft_log_differs", Severity: alarm.Critical,
			Means: "Entries that this node reads back from its log are not what the leader wrote."}, n.logDiffers},
		{alarm.Definition{Name: "version_too_old", Severity: alarm.Critical,
			Means: "The region's log is of a later version than this node's: it has stopped serving until it is upgraded."}, n.versionTooOld},
		{alarm.Definition{Name: "heads_missing", Severity: alarm.Warning, Hold: 5 * time.Second,
			Means: "Signed heads of a member do not come or cannot be kept: less can be found of a rewritten ledger."}, n.headsMissing},
		{alarm.Definition{Name: "disk_low", Severity: alarm.Warning, Hold: 5 * time.Second,
			Means: "Little room is left on the data disk: this node gives leadership up, and takes no new work if it must lead."}, n.diskLow},
		{alarm.Definition{Name: "disk_failed", Severity: alarm.Critical, Hold: 5 * time.Second,
			Means: "The data disk is full, fails or does not answer: this node acknowledges nothing and does not lead."}, n.diskFailed},
		{alarm.Definition{Name: "snapshots_failing", Severity: alarm.Warning, Hold: eventHold,
			Means: "Snapshots cannot be written: the log grows until they can."}, n.snapshotsFailing},
	}
}

func (n *Node) openAlarms() (err error) {
	n.watching = n.watched()
	definitions := make([]alarm.Definition, len(n.watching))
	for i, w := range n.watching {
		definitions[i] = w.Definition
	}
	n.alarms, err = alarm.New(time.Now, n.logger, definitions...)
	return err
}

// watch looks at everything watched at each tick.
func (n *Node) watch(ctx context.Context) {
	t := time.NewTicker(n.cfg.TickEach)
	defer t.Stop()
	for {
		n.sawTime()
		for _, w := range n.watching {
			n.alarms.Set(w.Name, w.find())
		}
		select {
		case <-t.C:
		case <-ctx.Done():
			return
		}
	}
}

func (n *Node) noLeader() error { return n.hasLeader(context.Background()) }

// isolated names the cause where it is known: on the leader, which holds the link.
func (n *Node) isolated() (err error) {
	cause := ""
	if l := n.link.State(); l.Cause != link.CauseNone && n.store.IsLeader() {
		cause = strings.TrimRight(" ("+l.Cause.String()+" "+l.Reason, " ") + ")"
	}
	n.store.View(func(s *fsm.State) {
		switch {
		case s.Mode != command.Isolated:
		case s.ModeSince == 0 && time.Since(n.started) < n.cfg.IsolatedAfter: // founded just now
		case s.ModeSince == 0:
			err = fmt.Errorf("the centre was never reached%s, %d entries wait for it", cause, s.Backlog())
		default:
			err = fmt.Errorf("isolated since %s%s, %d entries wait for the centre", time.UnixMicro(s.ModeSince).UTC().Format(time.RFC3339), cause, s.Backlog())
		}
	})
	return err
}

// linkRefused is about the leader's link: the others have none.
func (n *Node) linkRefused() error {
	if r := n.uplink.Refusal(); r != nil && n.store.IsLeader() {
		return r
	}
	return nil
}

// ledgerDiverged is about the leader's link, as linkRefused.
func (n *Node) ledgerDiverged() error {
	if l := n.link.State(); l.Cause == link.CauseDiverged && n.store.IsLeader() {
		return l.LastError
	}
	return nil
}

// peerRefused is about raft, forwarding and gossip together: the log names the
// peer and what does not fit.
func (n *Node) peerRefused() error {
	g := n.gossip.Stats()
	refused := n.store.Raft().Stats().PeersRefused + n.forward.Stats().Refused + g.Foreign + g.OtherCluster + g.OtherVersion
	if rose := n.rise.By("peers refused", refused); rose > 0 {
		return fmt.Errorf("%d times: the log names the peer and what does not fit", rose)
	}
	return nil
}

// backlog is a problem from a share of the bound on.
func (n *Node) backlog(share, of uint64) (err error) {
	n.store.View(func(s *fsm.State) {
		if p := s.Policy; s.Configured && s.BacklogUse() >= int64(1000*share/of) {
			err = fmt.Errorf("%d entries of %d MiB wait for the centre, the oldest for %s; the bounds are %d, %d MiB and %s", s.Backlog(), s.BacklogBytes()>>20,
				time.Duration(s.BacklogAge())*time.Second, p.MaxBacklogEntries, p.MaxBacklogBytes>>20, time.Duration(p.MaxBacklogAge)*time.Second)
		}
	})
	return err
}

func (n *Node) renewalsHeld() (err error) {
	n.store.View(func(s *fsm.State) {
		if s.RenewalsHeld {
			err = fmt.Errorf("%d renewals were charged in an hour, the bound is %d: see whether time and tariffs are right, then raise RenewalsPerHour", s.Renewals, s.Policy.RenewalsPerHour)
		}
	})
	return err
}

func (n *Node) clockJump() error {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.jumped == 0 {
		return nil
	}
	return fmt.Errorf("the clocks' median is %s ahead of the time that passed since this node began to lead: set the clocks right; if they are, and region time is wrong, confirm it (meridian ctl edge confirm-time)", n.jumped.Round(time.Second))
}

// mostSkew is how far apart the nodes' clocks may be before it is an alarm;
// sessions are told apart by starts that are known to within 30 s.
const mostSkew = 2 * time.Second

func (n *Node) clockSkew() error {
	if skew := n.greatestSkew(); skew > mostSkew {
		return fmt.Errorf("another node's clock is %s from this one's: see /status for which, and its time service", skew.Round(time.Millisecond))
	}
	return nil
}

// expiryWarning is how long before its end a certificate should be renewed.
const expiryWarning = 14 * 24 * time.Hour

func (n *Node) certificateExpiring() error {
	if left := time.Until(n.expires); left < expiryWarning {
		return fmt.Errorf("the certificate ends at %s: issue a new one and restart this node", n.expires.UTC().Format(time.RFC3339))
	}
	return nil
}

func (n *Node) queueFull() error {
	if rose := n.rise.By("busy", n.store.Stats().Busy); rose > 0 {
		return fmt.Errorf("%d commands refused", rose)
	}
	return nil
}

func (n *Node) kernelDrops() error {
	s := n.radius.Stats()
	if rose := n.rise.By("kernel drops", s.Auth.KernelDrops+s.Acct.KernelDrops); rose > 0 {
		return fmt.Errorf("%d packets dropped: raise net.core.rmem_max or add nodes", rose)
	}
	return nil
}

func (n *Node) disconnectsFailing() error {
	s := n.effects.Stats()
	failed, noTarget := n.rise.By("effects failed", s.Failed), n.rise.By("effects without target", s.NoTarget)
	var problems []error
	if failed > 0 {
		problems = append(problems, fmt.Errorf("%d requests were not answered by their NAS", failed))
	}
	if noTarget > 0 {
		problems = append(problems, fmt.Errorf("%d requests had no NAS to go to", noTarget))
	}
	return errors.Join(problems...)
}
