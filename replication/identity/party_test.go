package identity

import (
	"strings"
	"testing"
)

func TestFit(t *testing.T) {
	ours := Party{Cluster: "acme", Min: 2, Max: 3, Software: "v3"}
	for _, c := range []struct {
		theirs Party
		cause  string
		says   []string
	}{
		{Party{Cluster: "acme", Min: 1, Max: 2}, "", nil},
		{Party{Cluster: "acme", Min: 3, Max: 9}, "", nil},
		{Party{Cluster: "test", Min: 2, Max: 3}, CauseCluster, []string{`"test"`, `"acme"`}},
		{Party{Min: 2, Max: 3}, CauseCluster, []string{`""`, `"acme"`}},
		{Party{Cluster: "acme", Min: 1, Max: 1, Software: "v1"}, CauseVersion, []string{"1 to 1", "v1", "2 to 3", "v3"}},
		{Party{Cluster: "acme", Min: 4, Max: 5, Software: "v5"}, CauseVersion, []string{"4 to 5", "v5", "2 to 3", "v3"}},
	} {
		m := ours.Fit(c.theirs)
		if (m == nil) != (c.cause == "") || (m != nil && m.Cause != c.cause) {
			t.Errorf("%v: %v", c.theirs, m)
			continue
		}
		for _, want := range c.says {
			if !strings.Contains(m.Error(), want) {
				t.Errorf("%v does not say %s", m, want)
			}
		}
	}
}

func TestPartyText(t *testing.T) {
	p := Party{Cluster: "acme", Min: 1, Max: 2, Software: "v1/dirty"}
	if got, err := ParseParty(p.String()); err != nil || got != p {
		t.Errorf("%v, %v", got, err)
	}
	for _, bad := range []string{"", "acme", "acme/1/v", "acme/2-1/v", "acme/a-b/v", "acme/1-2"} {
		if p, err := ParseParty(bad); err == nil {
			t.Errorf("%q was read as %v", bad, p)
		}
	}
}
