package edge

import (
	"testing"
	"time"

	"meridian/edge/fsm"
)

// What a thief of a node's keys can hide is bounded by how often heads are signed and
// compared: the README states both, and no setting changes them.
func TestHeadsAreSignedAndComparedAsDocumented(t *testing.T) {
	c := DefaultConfig()
	if c.HeadsEach != time.Second {
		t.Errorf("heads are compared every %s, the README says every second", c.HeadsEach)
	}
	if c.SignEach != 10*time.Second || fsm.StateHashEach != c.SignEach.Microseconds() {
		t.Errorf("heads are signed every %s and states hashed every %d µs, the README says every 10 s", c.SignEach, int64(fsm.StateHashEach))
	}
}
