package link

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
)

// A region that is far behind gets each entity once, in its newest version, however
// often its stream is cut, and what is published meanwhile as ever.
func TestFarBehindRegionGetsTheNewest(t *testing.T) {
	ca, sink, l := testCA(t), newBooks(), newLedger(0)
	const versions, entities = 10, 400
	for n := range versions * entities {
		sink.feed = append(sink.feed, Row{Number: uint64(n + 1), EntityKind: "lease", EntityID: fmt.Sprint("b", n%entities), EntityVersion: uint64(n/entities + 1), Body: []byte(strings.Repeat("r", 50))})
	}
	srv := startCentre(t, ca, sink, func(c *ServerConfig) { c.MaxRows, c.FarBehind = 5, 1000 })
	r := startRelay(t, srv.addr, func() int { return 3500 + rand.N(6_000) })
	c, _ := runClient(t, quickClient(t, ca, "north", "n1", r.addr()), l)
	total := uint64(versions * entities)
	eventually(t, "half of it", func() bool { l.mu.Lock(); defer l.mu.Unlock(); return l.feedVersion() > total-entities/2 })
	sink.publish(7, []byte("r"))
	eventually(t, "the feed applied", func() bool { l.mu.Lock(); defer l.mu.Unlock(); return l.feedVersion() == total+7 })
	l.mu.Lock()
	defer l.mu.Unlock()
	seen := map[string]bool{}
	for _, row := range l.rows {
		if seen[row.EntityID] || row.EntityKind == "lease" && row.EntityVersion != versions {
			t.Errorf("%s comes again or in version %d", row.EntityID, row.EntityVersion)
		}
		seen[row.EntityID] = true
	}
	if len(seen) != entities+7 {
		t.Errorf("%d entities", len(seen))
	}
	if st := c.Stats(); st.Losses < 3 || sink.newest == 0 {
		t.Errorf("%d streams were lost, the newest were asked for %d times", st.Losses, sink.newest)
	}
}
