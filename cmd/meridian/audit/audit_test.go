package audit

import (
	"testing"

	"meridian/edge"
	"meridian/internal/verify"
)

// A report of an audit before this one is none, also when all nodes still give it.
func TestReportsAreOfOneAudit(t *testing.T) {
	now := verify.EdgeReport{Node: "a", Index: 9, AskedBy: "b", AskedAt: 5}
	before := verify.EdgeReport{Node: "b", Index: 7, AskedBy: "b", AskedAt: 4}
	elsewhere := verify.EdgeReport{Node: "b", Index: 8, AskedBy: "a", AskedAt: 5}
	for _, c := range []struct {
		name    string
		reports []verify.EdgeReport
		missing int
		ok      bool
	}{
		{"all have come to it", []verify.EdgeReport{now, now}, 0, true},
		{"one is behind", []verify.EdgeReport{now, before}, 0, false},
		{"all are behind", []verify.EdgeReport{before, before}, 0, false},
		{"asked of another node at the same instant", []verify.EdgeReport{elsewhere}, 0, false},
		{"one does not answer", []verify.EdgeReport{now}, 1, false},
		{"none answers", nil, 3, false},
	} {
		if err := ofOneAudit(edge.Audited{AskedBy: "b", AskedAt: 5}, c.reports, c.missing); (err == nil) != c.ok {
			t.Errorf("%s: %v", c.name, err)
		}
	}
}
