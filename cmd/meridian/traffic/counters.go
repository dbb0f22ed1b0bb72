package traffic

import "sync/atomic"

type counters struct {
	authOK, authReject, authTimeouts  atomic.Int64
	acctAcked, acctTimeouts           atomic.Int64
	duplicates, everywhere, reordered atomic.Int64
	limitStops, disconnected          atomic.Int64
}

// Counters are what happened so far; they only grow.
type Counters struct {
	AuthOK, AuthReject, AuthTimeouts  int64
	AcctAcked, AcctTimeouts           int64
	Duplicates, Everywhere, Reordered int64 // reports that were repeated or held back on purpose
	LimitStops, Disconnected          int64 // sessions that ended at their limit, and by Disconnect
	Retransmits, Failovers            int64
}

// Counters reads the counters.
func (t *Traffic) Counters() Counters {
	c := &t.count
	out := Counters{
		AuthOK: c.authOK.Load(), AuthReject: c.authReject.Load(), AuthTimeouts: c.authTimeouts.Load(),
		AcctAcked: c.acctAcked.Load(), AcctTimeouts: c.acctTimeouts.Load(),
		Duplicates: c.duplicates.Load(), Everywhere: c.everywhere.Load(), Reordered: c.reordered.Load(),
		LimitStops: c.limitStops.Load(), Disconnected: c.disconnected.Load(),
	}
	for _, b := range t.nas {
		s := b.Stats()
		out.Retransmits += int64(s.Exchanger.Retransmits)
		out.Failovers += int64(s.Failovers)
	}
	return out
}

// Minus is what happened since before.
func (c Counters) Minus(before Counters) Counters {
	return Counters{
		AuthOK: c.AuthOK - before.AuthOK, AuthReject: c.AuthReject - before.AuthReject, AuthTimeouts: c.AuthTimeouts - before.AuthTimeouts,
		AcctAcked: c.AcctAcked - before.AcctAcked, AcctTimeouts: c.AcctTimeouts - before.AcctTimeouts,
		Duplicates: c.Duplicates - before.Duplicates, Everywhere: c.Everywhere - before.Everywhere, Reordered: c.Reordered - before.Reordered,
		LimitStops: c.LimitStops - before.LimitStops, Disconnected: c.Disconnected - before.Disconnected,
		Retransmits: c.Retransmits - before.Retransmits, Failovers: c.Failovers - before.Failovers,
	}
}
