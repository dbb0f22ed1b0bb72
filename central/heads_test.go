package central_test

import (
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"meridian/central/cockroach"
	"meridian/central/cockroach/testdb"
	"meridian/central/store/storetest"
	"meridian/internal/journal"
	"meridian/ops/metrics"
	"meridian/replication/identity"
	"meridian/replication/link"
)

// refusedEdge notes what it was refused for.
type refusedEdge struct {
	*edge
	refused []link.Refused
}

func (e *refusedEdge) Refused(r link.Refused) { e.note(func() { e.refused = append(e.refused, r) }) }

func read(t *testing.T, url string) string {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), "GET", url, nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+token)
	body, err := json.Marshal(do(t, r, http.StatusOK))
	if err != nil {
		t.Fatal(err)
	}
	return string(body)
}

// lines is a log that a test reads.
type lines chan string

// Write drops what nobody reads.
func (l lines) Write(b []byte) (int, error) {
	select {
	case l <- string(b):
	default:
	}
	return len(b), nil
}

// until waits for a line with all of the words.
func (l lines) until(t *testing.T, words ...string) {
	t.Helper()
	for late := time.After(time.Minute); ; {
		select {
		case line := <-l:
			missing := func(w string) bool { return !strings.Contains(line, w) }
			if !slices.ContainsFunc(words, missing) {
				return
			}
		case <-late:
			t.Fatalf("no line of the log has %q", words)
		}
	}
}

// A region whose leader sends other entries than a node has signed is held, says
// so wherever a person looks, and speaks again once a person released it.
func TestHeldRegionIsReleasedByAPerson(t *testing.T) {
	t.Run("plain", func(t *testing.T) { heldRegionIsReleased(t, nil) })
	t.Run("first commits fail", func(t *testing.T) { heldRegionIsReleased(t, cockroach.FailFirstCommit) })
}

func heldRegionIsReleased(t *testing.T, beforeCommit func(string, int) error) {
	ca, err := identity.NewCA("test", time.Now(), time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	cfg := config(t, testdb.New(t), ca)
	cfg.Authority = ca.Certificate()
	cfg.Database.BeforeCommit = beforeCommit
	log := make(lines, 1000)
	cfg.Logger = slog.New(slog.NewTextHandler(log, nil))
	if cfg.Registry, err = metrics.NewRegistry(); err != nil {
		t.Fatal(err)
	}
	s := start(t, cfg)
	post(t, s, "/v1/regions", `{"name":"north"}`)

	e := &refusedEdge{edge: &edge{Edge: storetest.NewEdge("north"), news: make(chan struct{}, 1)}}
	e.Add(storetest.Epoch(), storetest.Charge("u", 100))
	node := bundle(t, ca, identity.Node("north", "n2"))
	key, err := node.Signer()
	if err != nil {
		t.Fatal(err)
	}
	h := journal.SignedHead{Head: journal.Head{Region: "north", Node: "n2", Epoch: 1, Seq: 2, Hash: journal.Hash{1, 2, 3}, Index: 9, At: time.Now().UnixMicro()}, Certificate: key.Certificate()}
	if h.Signature, err = key.Sign(h.Message()); err != nil {
		t.Fatal(err)
	}
	e.head = h.Encode()

	clientTLS, err := bundle(t, ca, identity.Node("north", "n1")).TLS(identity.TheCentre())
	if err != nil {
		t.Fatal(err)
	}
	lc := link.DefaultClientConfig()
	lc.Cluster = "test"
	lc.Region, lc.Node, lc.Addresses, lc.TLS, lc.Logger = "north", "n1", []string{s.LinkAddr()}, clientTLS, slog.New(slog.DiscardHandler)
	lc.BackoffMax = lc.BackoffMin
	client, err := link.NewClient(lc, e, e)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	wg.Go(func() { _ = client.Run(ctx) }) // ends with ctx
	defer wg.Wait()
	defer cancel()

	const why = "node n2 of region north at entry 1/2, log index 9 signed hash 010203000000"
	e.until(t, "the region is held", func() bool {
		return len(e.refused) > 1 && e.refused[0].Code == link.CodeHeld && strings.Contains(e.refused[0].Detail, why)
	})
	if got := read(t, "http://"+s.HTTPAddr()+"/v1/regions"); !strings.Contains(got, why) {
		t.Errorf("the list of regions is %s", got)
	}
	if got := scrape(t, s); !strings.Contains(got, "\nmeridian_central_heads_contradicted_total 1\n") {
		t.Error("the metrics do not count the contradiction")
	}
	e.until(t, "the alarm is raised", func() bool {
		got := scrape(t, s)
		return strings.Contains(got, "\nmeridian_central_alarm{alarm=\"link_refusing\",severity=\"critical\"} 1\n") && !strings.Contains(got, "link_refusals_total{code=\"HELD\"} 0\n")
	})
	log.until(t, "alarm=link_refusing", "HELD (")
	released := post(t, s, "/v1/regions/release", `{"region":"north","reason":"n2 had signed with a test key","discard_heads":true}`)
	if released["node"] != "n2" {
		t.Errorf("released %v", released)
	}
	e.until(t, "all entries acknowledged", func() bool { return e.acked == 2 })
	if got := read(t, "http://"+s.HTTPAddr()+"/v1/audit"); !strings.Contains(got, "n2 had signed with a test key") || !strings.Contains(got, why) {
		t.Errorf("the audit log is %s", got)
	}
}
