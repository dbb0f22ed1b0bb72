package aaa

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"

	"meridian/edge/fsm"
	"meridian/internal/feed"
	"meridian/radius"
	"meridian/radius/vendor"
)

// registry is the NAS registry as packets need it: by source address, with the
// secrets opened. Readers take an immutable snapshot; refresh makes the next one.
type registry struct {
	cfg      Config
	log      Log
	opener   Opener
	logger   *slog.Logger
	counters *counters

	mu   sync.Mutex // one refresh at a time
	snap atomic.Pointer[registrySnapshot]
}

// registrySnapshot is the registry at one version of the feed; read-only.
type registrySnapshot struct {
	version uint64
	table   *radius.ClientTable
	byID    map[string]*nasEntry
	usable  int
}

// nasEntry is one NAS. client is nil when its packets cannot be served; coa is
// invalid when it takes no requests.
type nasEntry struct {
	row    feed.NAS
	client *radius.Client
	prefix netip.Prefix
	coa    netip.AddrPort
	fault  string // what is wrong with the row, "" for nothing
}

func (r *registry) snapshot() *registrySnapshot { return r.snap.Load() }

// client finds the NAS of a source address.
func (r *registry) client(source netip.Addr) (*radius.Client, bool) {
	s := r.snap.Load()
	if s == nil {
		return nil, false
	}
	return s.table.Client(source)
}

// nas finds a NAS by its id; nil when it is unknown.
func (r *registry) nas(id string) *nasEntry {
	s := r.snap.Load()
	if s == nil {
		return nil
	}
	return s.byID[id]
}

// refresh makes a new snapshot when the feed has moved. What has not changed is
// taken over: a secret is opened once, and a fault is logged once.
func (r *registry) refresh() {
	r.mu.Lock()
	defer r.mu.Unlock()
	old := r.snap.Load()
	var rows []feed.NAS
	var version uint64
	same := false
	r.log.View(func(s *fsm.State) {
		version = s.FeedVersion
		if same = old != nil && old.version == version; !same {
			s.EachNAS(func(n feed.NAS) { rows = append(rows, n) })
		}
	})
	if same {
		return
	}
	next := &registrySnapshot{version: version, byID: make(map[string]*nasEntry, len(rows))}
	clients := make(map[netip.Prefix]*radius.Client, len(rows))
	for i := range rows {
		var before *nasEntry
		if old != nil {
			before = old.byID[rows[i].ID]
		}
		e := r.entry(&rows[i], before)
		e.claim(clients)
		next.byID[e.row.ID] = e
		if e.client != nil {
			next.usable++
		}
		if e.fault != "" && (before == nil || before.fault != e.fault) {
			r.counters.nasFaults.Add(1)
			r.logger.Error("NAS cannot be served as registered", slog.String("nas", e.row.ID), slog.String("fault", e.fault), slog.Bool("served", e.client != nil))
		}
	}
	table, err := radius.NewClientTable(clients)
	if err != nil {
		// Entries were checked one by one; a table that still has a fault serves the
		// others.
		r.logger.Error("NAS registry has faults", slog.String("error", err.Error()))
	}
	next.table = table
	r.snap.Store(next)
	r.counters.refreshes.Add(1)
}

// entry reads a row, or takes over what was made of it before.
func (r *registry) entry(row *feed.NAS, before *nasEntry) *nasEntry {
	if before != nil && before.fault == "" && sameNAS(&before.row, row) {
		taken := *before
		return &taken
	}
	e := &nasEntry{row: *row}
	var faults []error
	prefix, err := parseAddress(row.Address)
	if err != nil {
		faults = append(faults, err)
	}
	e.prefix = prefix
	if row.CoA != "" {
		if e.coa, err = netip.ParseAddrPort(row.CoA); err != nil || e.coa.Port() == 0 {
			e.coa = netip.AddrPort{}
			faults = append(faults, fmt.Errorf("coa %q: write it as 192.0.2.1:3799", row.CoA))
		}
	}
	name := row.Vendor
	if name == "" {
		name = vendor.Generic
	}
	if err := vendor.Check(name); err != nil {
		name = vendor.Generic
		faults = append(faults, fmt.Errorf("vendor: %w; served as %s", err, name))
	}
	secret, err := r.opener.Open(row.Secret, "nas/"+row.ID)
	switch {
	case err != nil:
		faults = append(faults, fmt.Errorf("open secret: %w", err))
	case len(secret) == 0:
		faults = append(faults, errors.New("secret is empty: give the NAS one"))
	case prefix.IsValid():
		e.client = &radius.Client{
			ID: row.ID, Vendor: name, Secret: secret, MA: r.cfg.MessageAuthenticator, LimitProxyState: r.cfg.LimitProxyState,
		}
	}
	if err := errors.Join(faults...); err != nil {
		e.fault = err.Error()
	}
	return e
}

// claim enters the NAS under its address. Of two with one address the first by id
// is served.
func (e *nasEntry) claim(clients map[netip.Prefix]*radius.Client) {
	if e.client == nil {
		return
	}
	if other, taken := clients[e.prefix]; taken {
		e.client = nil
		e.fault = strings.TrimPrefix(e.fault+"\n", "\n") + fmt.Sprintf("address %s: also of NAS %s: give each its own", e.row.Address, other.ID)
		return
	}
	clients[e.prefix] = e.client
}

func sameNAS(a, b *feed.NAS) bool {
	return a.ID == b.ID && a.Address == b.Address && a.Vendor == b.Vendor && a.CoA == b.CoA && bytes.Equal(a.Secret, b.Secret)
}

// parseAddress reads an address, or a prefix for a NAS that sends from several.
func parseAddress(s string) (netip.Prefix, error) {
	if p, err := netip.ParsePrefix(s); err == nil {
		return p.Masked(), nil
	}
	a, err := netip.ParseAddr(s)
	if err != nil {
		return netip.Prefix{}, fmt.Errorf("address %q: write it as 192.0.2.1 or 192.0.2.0/24", s)
	}
	a = a.Unmap().WithZone("")
	return netip.PrefixFrom(a, a.BitLen()), nil
}
