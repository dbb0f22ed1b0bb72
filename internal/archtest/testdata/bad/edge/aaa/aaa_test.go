package aaa

import (
	"testing"

	"meridian/central/accounts"
)

func TestNothing(t *testing.T) { t.Skip("later") }
