// Package money counts in whole micro-units.
package money

import (
	"math/bits"
	"time"

	"meridian/internal/invariant"
)

// Amount is a number of micro-units.
type Amount int64

// At says when, as it was told.
func At(t time.Time) time.Time { return t.UTC() }

var _ = bits.Len
var _ = invariant.Check
