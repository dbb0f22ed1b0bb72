package accounts_test

import (
	"testing"

	"meridian/central/cockroach"
	"meridian/central/cockroach/testdb"
)

func TestStore(t *testing.T) { _, _ = cockroach.New, testdb.New }
