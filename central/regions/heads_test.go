package regions

import (
	"testing"
	"time"

	"meridian/internal/journal"
)

// A node that was removed signs nothing more: a day behind the others it is no longer
// listed, so that nobody is alerted about it for ever.
func TestSignedHeadsForgetANodeThatIsGone(t *testing.T) {
	s := &Service{signed: map[string]map[string]Signed{}}
	head := func(region, node string, at int64) SignedHead {
		return SignedHead{SignedHead: journal.SignedHead{Head: journal.Head{Region: region, Node: node, At: at}}}
	}
	day := signedFor.Microseconds()
	s.noteSigned([]SignedHead{head("north", "gone", 7), head("north", "late", 8), head("north", "north-1", 7+day), head("south", "old", 3)})
	got := s.SignedHeads()
	if len(got) != 3 || got[0].Node != "late" || got[1].Node != "north-1" || got[2].Node != "old" {
		t.Errorf("%+v", got)
	}
	s.noteSigned([]SignedHead{head("north", "gone", 7+day+time.Hour.Microseconds())})
	if got := s.SignedHeads(); len(got) != 3 || got[0].Node != "gone" || got[1].Node != "north-1" {
		t.Errorf("after it came back: %+v", got)
	}
}
