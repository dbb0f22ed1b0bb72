package edge

import (
	"math/big"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"meridian/edge/fsm"
	"meridian/ops/alarm"
)

func TestWantsHTML(t *testing.T) {
	for _, c := range []struct {
		url, accept string
		want        bool
	}{
		{"/status", "", false},
		{"/status", "*/*", false},
		{"/status", "application/json", false},
		{"/status", "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", true},
		{"/status", "application/json, text/html;q=0.5", false},
		{"/status", "application/json;q=0.2, text/html;q=0.5", true},
		{"/status", "text/html;q=0", false},
		{"/status", "text/html;q=x", false},
		{"/status?format=json", "text/html", false},
		{"/status?format=html", "", true},
	} {
		r := httptest.NewRequest(http.MethodGet, c.url, nil)
		r.Header.Set("Accept", c.accept)
		if got := wantsHTML(r); got != c.want {
			t.Errorf("%s with Accept %q: %t", c.url, c.accept, got)
		}
	}
}

// TestStatusPage: everything a person needs is on the page, what comes from outside
// is escaped, and nothing is fetched from anywhere.
func TestStatusPage(t *testing.T) {
	p, err := page()
	if err != nil {
		t.Fatal(err)
	}
	at := time.Date(2026, 11, 25, 9, 0, 0, 0, time.UTC)
	since, skew := at.Add(-90*time.Minute), -0.0123
	s := Status{
		Cluster: "acme", Region: "north", Node: "north-1", Version: "v1", At: at, Started: at.Add(-50 * time.Hour), Role: "leader", Leader: "north-1",
		Term: 7, Mode: "isolated", ModeSince: since, RegionTime: at, Backlog: 1234567, BacklogMax: 20_000_000, BacklogSize: 300 << 20, BacklogAge: 5400,
		FeedError: "row 5 <script>", LinkContact: &since, LinkCause: "refused", LinkError: "no stream",
		LinkRefusal: &Refusal{Code: "STALE_EPOCH", Detail: "epoch 1 has ended", Remedy: "give the region a new epoch"},
		Nodes:       []Peering{{Node: "north-1", Alive: true, Software: "v1", HTTP: "127.0.0.1:1"}, {Node: "north-2", Alive: true, Software: "v2", Skew: &skew}, {Node: "north-3"}},
		Alarms:      []alarm.Alarm{{Name: "link_refused", Severity: alarm.Critical, Means: "The centre refuses.", Active: true, Since: &since, Detail: "STALE_EPOCH"}},
		Disk:        DiskStatus{State: "low", FreeBytes: 400 << 20},
		Headroom:    []fsm.Headroom{{Unit: "EUR", Amount: big.NewInt(1_234_567_890_000)}, {Unit: "bytes", Amount: big.NewInt(5_000_000)}},
	}
	var b strings.Builder
	if err := p.Execute(&b, s); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"north-1", "isolated, for 1 h 30 min", "1\u2009234\u2009567", "300 MiB", "STALE_EPOCH: epoch 1 has ended; give the region a new epoch",
		"row 5 &lt;script&gt;", "-12.3 ms", "differs", "ops/runbooks/link_refused.md", "2 d 2 h", ">1\u2009234\u2009567<", ">5\u2009000\u2009000<", "width=device-width",
	} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("the page does not say %q", want)
		}
	}
	s.Nodes[1].HTTP, s.Nodes[1].HTTPS = "127.0.0.2:1", true
	var mixed strings.Builder
	if err := p.Execute(&mixed, s); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{`<a href="http://127.0.0.1:1/status">north-1</a>`, `<a href="https://127.0.0.2:1/status">north-2</a>`} {
		if !strings.Contains(mixed.String(), want) {
			t.Errorf("the page has no link %q", want)
		}
	}
	for _, never := range []string{"<script", "src=", "@import", "url(", "https://"} {
		if strings.Contains(b.String(), never) {
			t.Errorf("the page has %q", never)
		}
	}
}

func TestSpanAndOctets(t *testing.T) {
	for d, want := range map[time.Duration]string{-time.Second: "0 s", 59 * time.Second: "59 s", 61 * time.Second: "1 min 1 s", 25 * time.Hour: "1 d 1 h"} {
		if got := span(d); got != want {
			t.Errorf("%s: %q", d, got)
		}
	}
	for n, want := range map[uint64]string{0: "0 B", 10239: "10239 B", 10240: "10 KiB", 5 << 40: "5120 GiB"} {
		if got := octets(n); got != want {
			t.Errorf("%d: %q", n, got)
		}
	}
}
