package edge

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"meridian/edge/command"
	"meridian/replication/link"
)

// settledRegion is a region of one node whose ledger a centre has taken in.
func settledRegion(t *testing.T) (r *region, centre *centreStub, stop func()) {
	t.Helper()
	r = newRegion(t, 1)
	centre = &centreStub{}
	centre.sell(t, r.cfgs[0], netip.MustParseAddrPort(freeAddr(t, "udp")).Addr().String())
	_, stop = centre.serveAs(t, r.ca, r.cfgs[0].Centre[0], "test")
	r.until("settled", func() bool { s := r.nodes[0].Status(); return s.LinkConnected && s.Seq > 0 && s.Backlog == 0 })
	return r, centre, stop
}

// alarmSays waits until an alarm is raised whose detail has all of the texts.
func (r *region) alarmSays(name string, says ...string) {
	r.t.Helper()
	r.until("alarm "+name, func() bool {
		a, bad := raised(r.nodes[0], name)
		for _, want := range says {
			bad = bad && strings.Contains(a.Detail, want)
		}
		return bad
	})
}

func (r *region) alarmEnds(name string) {
	r.t.Helper()
	r.until("the end of alarm "+name, func() bool { _, bad := raised(r.nodes[0], name); return !bad })
}

// A centre of another installation at the right address refuses the link: the node
// raises the alarm with the centre's reason and remedy, until its own centre answers.
func TestLinkRefusedAlarm(t *testing.T) {
	r, centre, stop := settledRegion(t)
	if a, bad := raised(r.nodes[0], "link_refused"); bad {
		t.Fatalf("before: %+v", a)
	}
	stop()
	_, stop = centre.serveAs(t, r.ca, r.cfgs[0].Centre[0], "another")
	r.alarmSays("link_refused", "CLUSTER", `"another"`)
	if s := r.nodes[0].Status(); s.LinkRefusal == nil || s.LinkRefusal.Code != link.CodeCluster.String() || s.LinkRefusal.Remedy == "" {
		t.Errorf("status: %+v", s.LinkRefusal)
	}
	stop()
	centre.serve(t, r.ca, r.cfgs[0].Centre[0])
	r.alarmEnds("link_refused")
}

// The centre's ledger of the region was altered: the node finds it by the hash of
// the entry, sends nothing more, and raises the alarm until the ledgers agree again.
func TestLedgerDivergedAlarm(t *testing.T) {
	r, centre, stop := settledRegion(t)
	stop()
	seq, right := centre.head()
	centre.mu.Lock()
	centre.hash[0] ^= 1
	centre.mu.Unlock()
	_, stop = centre.serveAs(t, r.ca, r.cfgs[0].Centre[0], "test")
	r.alarmSays("ledger_diverged", "hash of entry")
	r.do(&command.Accounting{Meta: r.nodes[0].meta(), NAS: "nas", SessionID: "s1", Login: "ann", Status: command.Stop,
		Event: time.Now().Unix(), Out: 2_000_000, Giga: true})
	attempts := r.nodes[0].link.Stats().Attempts
	r.until("the link is tried again", func() bool { return r.nodes[0].link.Stats().Attempts > attempts+1 })
	if s := r.nodes[0].Status(); s.LinkConnected || s.LinkCause != "diverged" || s.Backlog == 0 {
		t.Errorf("link: connected %t, cause %q, %d entries wait", s.LinkConnected, s.LinkCause, s.Backlog)
	}
	if got, _ := centre.head(); got != seq {
		t.Errorf("entries %d to %d were sent to a centre whose ledger differs", seq+1, got)
	}
	stop()
	centre.mu.Lock()
	centre.hash = right
	centre.mu.Unlock()
	centre.serve(t, r.ca, r.cfgs[0].Centre[0])
	r.alarmEnds("ledger_diverged")
	r.until("the link is back", func() bool { s := r.nodes[0].Status(); return s.LinkConnected && s.Backlog == 0 })
}
