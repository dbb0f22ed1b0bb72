package memstore_test

import (
	"testing"

	"meridian/central"
	"meridian/central/store/storetest"
	"meridian/internal/sim/memstore"
	"meridian/internal/verify"
)

func TestContract(t *testing.T) {
	storetest.Run(t, func(*testing.T) (central.Backend, func() verify.CentreReader) {
		s := memstore.New()
		return s, s.Reader
	})
}

func TestContractWithFailingCommits(t *testing.T) {
	storetest.Run(t, func(*testing.T) (central.Backend, func() verify.CentreReader) {
		s := memstore.NewFailingFirstCommits()
		return s, s.Reader
	})
}
