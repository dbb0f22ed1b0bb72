package forward

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"meridian/replication/identity"
)

// safeBuffer is written by loggers of several goroutines.
type safeBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *safeBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *safeBuffer) count(text string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return strings.Count(s.b.String(), text)
}

// TestOtherPartiesAreRefused: a node of another installation or version, with a good
// certificate, proposes nothing; both sides say why, once, and count it.
func TestOtherPartiesAreRefused(t *testing.T) {
	ca := testCA(t)
	ours := identity.Party{Cluster: "acme", Min: 2, Max: 3, Software: "v3"}
	for name, c := range map[string]struct {
		theirs  identity.Party
		says    []string
		counted func(ServerStats) uint64
	}{
		"another cluster": {identity.Party{Cluster: "test", Min: 2, Max: 3}, []string{`"acme"`, `"test"`}, func(s ServerStats) uint64 { return s.RefusedCluster }},
		"an old version":  {identity.Party{Cluster: "acme", Min: 1, Max: 1, Software: "v1"}, []string{"1 to 1", "v1", "2 to 3", "v3"}, func(s ServerStats) uint64 { return s.RefusedVersion }},
		"a new version":   {identity.Party{Cluster: "acme", Min: 4, Max: 4, Software: "v4"}, []string{"4 to 4", "v4", "2 to 3", "v3"}, func(s ServerStats) uint64 { return s.RefusedVersion }},
	} {
		t.Run(name, func(t *testing.T) {
			var serverLog, clientLog safeBuffer
			cfg := testConfig(t, ca, "north", "n1")
			cfg.Party, cfg.Logger = ours, slog.New(slog.NewTextHandler(&serverLog, nil))
			proposer := &fakeLeader{}
			srv := serve(t, cfg, proposer, "127.0.0.1:0")
			cfg = testConfig(t, ca, "north", "n2")
			cfg.Party, cfg.Logger = c.theirs, slog.New(slog.NewTextHandler(&clientLog, nil))
			pool, err := NewPool(cfg)
			if err != nil {
				t.Fatal(err)
			}
			defer pool.Close()
			for range 3 {
				ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
				_, err := pool.Status(ctx, srv.addr)
				cancel()
				if !errors.Is(err, ErrRefused) {
					t.Fatalf("status: %v", err)
				}
				for _, want := range c.says {
					if !strings.Contains(err.Error(), want) {
						t.Errorf("%v does not say %s", err, want)
					}
				}
			}
			eventually(t, "the pool counts it", func() bool { return pool.Stats().Refused > 0 })
			if s := srv.Stats(); c.counted(s) < 3 || s.Refused != c.counted(s) || s.Streams != 0 {
				t.Errorf("counted %+v", s)
			}
			if n := serverLog.count("node refused"); n != 1 {
				t.Errorf("the server said it %d times", n)
			}
			if n := clientLog.count("refuses this one"); n != 1 {
				t.Errorf("the client said it %d times", n)
			}
		})
	}
}
