package edge

import (
	"bytes"
	"cmp"
	_ "embed"
	"html/template"
	"maps"
	"math/big"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"meridian/edge/fsm"
	"meridian/internal/money"
	"meridian/internal/zones"
	"meridian/ops/alarm"
)

// Status is the node's own view of itself and its region. It names no subscriber
// and holds no secret: everybody may read it.
type Status struct {
	Cluster     string    `json:"cluster"`
	Region      string    `json:"region"`
	Node        string    `json:"node"`
	Version     string    `json:"version"`
	TZData      []string  `json:"tzdata"` // versions of the zone data in the binary
	At          time.Time `json:"at"`     // by this node's clock
	Started     time.Time `json:"started"`
	Role        string    `json:"role"`
	Leader      string    `json:"leader"`
	Term        uint64    `json:"term"`
	Applied     uint64    `json:"applied_index"`
	Mode        string    `json:"mode"`
	ModeSince   time.Time `json:"mode_since,omitzero"` // absent before the first change
	RegionTime  time.Time `json:"region_time"`
	Epoch       uint64    `json:"epoch"`
	Seq         uint64    `json:"seq"`
	Acked       uint64    `json:"acked"`
	Backlog     uint64    `json:"backlog"`
	BacklogMax  uint64    `json:"backlog_max"`
	BacklogSize int64     `json:"backlog_bytes"`
	BacklogAge  float64   `json:"backlog_age_seconds"`
	FeedVersion uint64    `json:"feed_version"`
	FeedError   string    `json:"feed_error,omitempty"`
	Members     int       `json:"members"`
	Nodes       []Peering `json:"nodes"`

	// The link is the leader's: on a follower it is not connected, and that is right.
	LinkConnected bool       `json:"link_connected"`
	LinkSince     *time.Time `json:"link_since,omitempty"`
	LinkContact   *time.Time `json:"link_last_contact,omitempty"`
	LinkSkew      float64    `json:"link_clock_skew_seconds"`
	LinkCause     string     `json:"link_cause,omitempty"`
	LinkReason    string     `json:"link_reason,omitempty"`
	LinkError     string     `json:"link_error,omitempty"`
	LinkRefusal   *Refusal   `json:"link_refusal,omitempty"`

	CertificateEnds time.Time      `json:"certificate_ends"`
	DataKey         uint32         `json:"data_key"`                  // id of the key that seals what is written
	OldestDataKey   uint32         `json:"oldest_data_key,omitempty"` // that something on the disk still needs; absent while the disk cannot be read
	Disk            DiskStatus     `json:"disk"`
	Parted          string         `json:"parted,omitempty"` // why this node stopped serving
	Live            fsm.Counts     `json:"live"`
	Headroom        []fsm.Headroom `json:"lease_headroom"`
	Alarms          []alarm.Alarm  `json:"alarms"`
}

// Peering is a node of the region as this one sees it.
type Peering struct {
	Node     string   `json:"node"`
	Alive    bool     `json:"alive"`
	Software string   `json:"version,omitempty"`
	HTTP     string   `json:"http,omitempty"`
	HTTPS    bool     `json:"https,omitempty"`              // http is served by TLS
	Skew     *float64 `json:"clock_skew_seconds,omitempty"` // its clock minus this one's; the leader knows
}

// Refusal is why the centre refused the link.
type Refusal struct {
	Code   string `json:"code"`
	Detail string `json:"detail"`
	Remedy string `json:"remedy"`
}

// Status reads the node's figures.
func (n *Node) Status() Status {
	r := n.store.Raft().Stats()
	leader, _ := n.store.Raft().Leader()
	s := Status{
		Cluster: n.cfg.Cluster, Region: n.cfg.Region, Node: n.cfg.Node, Version: n.cfg.Version, TZData: zones.Versions(), At: n.now().UTC(), Started: n.started.UTC(),
		Role: strings.ToLower(r.State), Leader: leader, Term: r.Term, Applied: r.AppliedIndex,
		Members: n.gossip.Stats().Members, Nodes: n.peerings(),
		CertificateEnds: n.expires.UTC(), Disk: n.diskStatus(), Alarms: n.alarms.Active(),
	}
	if err := n.partedFrom(); err != nil {
		s.Parted = err.Error()
	}
	s.DataKey = n.cfg.DataRing.Sealing()
	if k, err := n.store.Keys(); err == nil {
		s.OldestDataKey = k.Oldest
	}
	n.linkStatus(&s)
	b := n.backlogNow()
	s.Backlog, s.BacklogMax, s.BacklogSize, s.BacklogAge = b.entries, b.most, b.bytes, b.age.Seconds()
	n.store.View(func(st *fsm.State) {
		s.Mode, s.RegionTime = st.Mode.String(), time.UnixMicro(st.Now).UTC()
		if st.ModeSince != 0 {
			s.ModeSince = time.UnixMicro(st.ModeSince).UTC()
		}
		s.Epoch, s.Seq, s.Acked, s.FeedVersion = st.Epoch, st.Seq, st.Acked, st.FeedVersion
		s.Live, s.Headroom = st.Count(), st.Headroom()
	})
	return s
}

func (n *Node) linkStatus(s *Status) {
	l := n.link.State()
	s.LinkConnected, s.LinkSkew = l.Connected, l.ClockSkew.Seconds()
	s.LinkSince, s.LinkContact = instant(l.Since), instant(l.LastContact)
	if l.LastError != nil {
		s.LinkError, s.LinkCause, s.LinkReason = l.LastError.Error(), l.Cause.String(), l.Reason
	}
	if r := n.uplink.Refusal(); r != nil {
		s.LinkRefusal = &Refusal{Code: r.Code.String(), Detail: r.Detail, Remedy: r.Remedy}
	}
	if err := n.uplink.FeedBlocked(); err != nil {
		s.FeedError = err.Error()
	}
}

func instant(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	t = t.UTC()
	return &t
}

// peerings lists the region's members, and whom gossip sees besides.
func (n *Node) peerings() []Peering {
	byID := map[string]Peering{}
	members, err := n.store.Raft().Servers()
	for _, m := range members {
		byID[m.ID] = Peering{Node: m.ID}
	}
	if err != nil || len(members) == 0 {
		for _, p := range n.cfg.Peers {
			byID[p.ID] = Peering{Node: p.ID}
		}
	}
	for _, m := range n.gossip.Members() {
		byID[m.ID] = Peering{Node: m.ID, Alive: true, Software: m.Software, HTTP: m.HTTPAddr, HTTPS: m.HTTPS}
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	for id, skew := range n.skews {
		if p, ok := byID[id]; ok {
			seconds := skew.Seconds()
			p.Skew = &seconds
			byID[id] = p
		}
	}
	return slices.SortedFunc(maps.Values(byID), func(a, b Peering) int { return cmp.Compare(a.Node, b.Node) })
}

//go:embed status.html
var statusHTML string

// page is the status page's template: one file, nothing fetched from anywhere.
func page() (*template.Template, error) {
	return template.New("status").Funcs(template.FuncMap{
		"ago":   func(now, t time.Time) string { return span(now.Sub(t)) },
		"span":  func(seconds float64) string { return span(time.Duration(seconds * float64(time.Second))) },
		"bytes": octets,
		"count": grouped, "headroom": headroom,
		"time": func(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05") },
		"ms":   func(seconds float64) string { return strconv.FormatFloat(seconds*1000, 'f', 1, 64) + " ms" },
	}).Parse(statusHTML)
}

// span writes a duration with its two greatest units.
func span(d time.Duration) string {
	d = max(d, 0).Round(time.Second)
	days, hours, minutes := int64(d/(24*time.Hour)), int64(d/time.Hour)%24, int64(d/time.Minute)%60
	part := func(n int64, unit string) string { return strconv.FormatInt(n, 10) + " " + unit }
	switch {
	case days > 0:
		return part(days, "d") + " " + part(hours, "h")
	case hours > 0:
		return part(hours, "h") + " " + part(minutes, "min")
	case minutes > 0:
		return part(minutes, "min") + " " + part(int64(d/time.Second)%60, "s")
	}
	return part(int64(d/time.Second), "s")
}

// octets writes a size with one of the binary units.
func octets(v any) string {
	var n uint64
	switch v := v.(type) {
	case int64:
		n = uint64(max(v, 0))
	case uint64:
		n = v
	}
	unit, units := 0, []string{"B", "KiB", "MiB", "GiB", "TiB"}
	for n >= 10*1024 && unit < len(units)-1 {
		n, unit = n/1024, unit+1
	}
	return strconv.FormatUint(n, 10) + " " + units[unit]
}

// grouped writes a number with a thin space before each three digits.
func grouped(v any) string {
	var s string
	switch v := v.(type) {
	case int:
		s = strconv.Itoa(v)
	case uint64:
		s = strconv.FormatUint(v, 10)
	case string:
		s = v
	}
	var b strings.Builder
	for i, c := range s {
		if i > 0 && (len(s)-i)%3 == 0 {
			b.WriteRune('\u2009')
		}
		b.WriteRune(c)
	}
	return b.String()
}

// headroom writes an amount of money in major units, anything else as it is.
func headroom(h fsm.Headroom) string {
	switch h.Unit {
	case "bytes", "seconds", "events":
		return grouped(h.Amount.String())
	}
	return grouped(new(big.Int).Quo(h.Amount, big.NewInt(int64(money.Micro))).String())
}

// getStatus answers JSON, or a page to who prefers one.
func (n *Node) getStatus(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Vary", "Accept")
	if !wantsHTML(r) {
		n.answer(w, n.Status())
		return
	}
	var b bytes.Buffer
	if err := n.page.Execute(&b, n.Status()); err != nil {
		n.logger.Error("status page", "error", err)
		n.refuse(w, http.StatusInternalServerError, httpError{"internal", "the page cannot be written", "ask for it as JSON: GET /status?format=json"})
		return
	}
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Cache-Control", "no-store")
	h.Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'")
	h.Set("X-Content-Type-Options", "nosniff")
	if _, err := b.WriteTo(w); err != nil {
		n.logger.Debug("answer was not delivered", "error", err)
	}
}

// wantsHTML prefers JSON unless HTML is asked for by ?format=html or ranks higher
// in Accept (RFC 9110 section 12.5.1).
func wantsHTML(r *http.Request) bool {
	if f := r.URL.Query().Get("format"); f != "" {
		return f == "html"
	}
	html, other := 0.0, 0.0
	for part := range strings.SplitSeq(strings.Join(r.Header.Values("Accept"), ","), ",") {
		kind, parameters, _ := strings.Cut(part, ";")
		q := 1.0
		for p := range strings.SplitSeq(parameters, ";") {
			if v, ok := strings.CutPrefix(strings.TrimSpace(p), "q="); ok {
				q, _ = strconv.ParseFloat(v, 64) // not a number: 0, not wanted
			}
		}
		switch strings.TrimSpace(kind) {
		case "text/html":
			html = max(html, q)
		case "application/json":
			other = max(other, q)
		}
	}
	return html > other
}
