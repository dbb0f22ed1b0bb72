package fsm

import (
	"testing"

	"meridian/edge/command"
	"meridian/internal/money"
)

// BenchmarkInterim is a report of a metered session with a plain price: session
// delta, rating, payment, hold.
func BenchmarkInterim(b *testing.B) {
	r := newRegion(b, 900_000_000*money.Micro, perGigabyte())
	r.login("s1")
	r.acct(command.Start, "s1", t0, 0, 0)
	c := &command.Accounting{NAS: "nas", SessionID: "s1", Login: "u", Status: command.Interim, Giga: true}
	b.ReportAllocs()
	for i := range b.N {
		c.Seconds = int64(i+1) * 60
		c.Event, c.Out = t0+c.Seconds, uint64(i+1)*10_000_000
		r.s.Apply(c)
	}
}
