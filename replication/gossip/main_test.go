package gossip

import (
	"testing"

	"go.uber.org/goleak"
)

// TestMain finds goroutines that outlive what started them.
func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }
