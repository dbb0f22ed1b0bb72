package command

import (
	"errors"
	"fmt"

	"meridian/internal/canon"
)

// Policy is what a region is configured with. Every replica has the same, because
// it comes by the log. Times are seconds.
type Policy struct {
	CutAge            int64 // uncut usage is cut at this age
	StaleAfter        int64 // a session that has not reported for so long is closed
	TombstoneLife     int64 // closed sessions are remembered for so long
	ReservationTTL    int64 // a reservation that no Start adopts ends after this
	MaxBacklogEntries int64 // unacknowledged entries at which new sessions are refused
	DuePerTick        int64 // due items that one tick handles

	MaxBacklogBytes int64 // the same, in octets of entries
	MaxBacklogAge   int64 // the same, in seconds since the oldest of them was written
	MaxTombstones   int64 // closed sessions that are remembered at most
	MaxSessions     int64 // open sessions of the region; reports of more are recorded and not charged
	MaxNASSessions  int64 // the same, of one NAS
	RenewalSpread   int64 // renewals due at one instant are spread over so long
	RenewalsPerHour int64 // at most so many in an hour of region time; beyond it a person is asked
}

// DefaultPolicy returns the documented defaults.
func DefaultPolicy() Policy {
	return Policy{
		CutAge: 3600, StaleAfter: 3600, TombstoneLife: 7 * 86400, ReservationTTL: 120,
		MaxBacklogEntries: 20_000_000, DuePerTick: 2000,
	}.withLimits()
}

// withLimits fills in what Configure, and dumps before format 4, do not carry. These
// numbers are part of the log's meaning and never change.
func (p Policy) withLimits() Policy {
	p.MaxBacklogBytes, p.MaxBacklogAge = 8<<30, 30*86400
	p.MaxTombstones, p.MaxSessions, p.MaxNASSessions = 10_000_000, 2_000_000, 200_000
	p.RenewalSpread, p.RenewalsPerHour = 0, 5_000_000
	return p
}

// Validate reports every fault at once.
func (p Policy) Validate() error {
	var faults []error
	for _, f := range []struct {
		name        string
		value, from int64
	}{
		{"cut_age", p.CutAge, 1}, {"stale_after", p.StaleAfter, 60}, {"tombstone_life", p.TombstoneLife, 3600},
		{"reservation_ttl", p.ReservationTTL, 1}, {"max_backlog_entries", p.MaxBacklogEntries, 1}, {"due_per_tick", p.DuePerTick, 1},
		{"max_backlog_bytes", p.MaxBacklogBytes, 1 << 16}, {"max_backlog_age", p.MaxBacklogAge, 3600},
		{"max_tombstones", p.MaxTombstones, 1}, {"max_sessions", p.MaxSessions, 1}, {"max_nas_sessions", p.MaxNASSessions, 1},
		{"renewal_spread", p.RenewalSpread, 0}, {"renewals_per_hour", p.RenewalsPerHour, 1},
	} {
		if f.value < f.from || f.value > 1<<50 {
			faults = append(faults, fmt.Errorf("policy %s is %d: allowed are %d to %d", f.name, f.value, f.from, int64(1)<<50))
		}
	}
	return errors.Join(faults...)
}

// fields are all fields in the order in which they are written; the first
// foundingFields of them are Configure's.
func (p *Policy) fields() []*int64 {
	return []*int64{
		&p.CutAge, &p.StaleAfter, &p.TombstoneLife, &p.ReservationTTL, &p.MaxBacklogEntries, &p.DuePerTick,
		&p.MaxBacklogBytes, &p.MaxBacklogAge, &p.MaxTombstones, &p.MaxSessions, &p.MaxNASSessions,
		&p.RenewalSpread, &p.RenewalsPerHour,
	}
}

const foundingFields = 6

// AppendFounding writes the fields that Configure carries.
func (p Policy) AppendFounding(w *canon.Writer) {
	for _, f := range p.fields()[:foundingFields] {
		w.Varint(*f)
	}
}

// ReadFounding reads what AppendFounding wrote.
func ReadFounding(r *canon.Reader) (p Policy) {
	for _, f := range p.fields()[:foundingFields] {
		*f = r.Varint()
	}
	return p.withLimits()
}

// AppendLimits writes the other fields and how many they are.
func (p Policy) AppendLimits(w *canon.Writer) {
	rest := p.fields()[foundingFields:]
	w.Uvarint(uint64(len(rest)))
	for _, f := range rest {
		w.Varint(*f)
	}
}

// ReadLimits reads what AppendLimits wrote over p.
func (p *Policy) ReadLimits(r *canon.Reader) {
	rest := p.fields()[foundingFields:]
	if n := r.Count(1); n != len(rest) {
		r.Fail("policy has %d limits, this version knows %d: upgrade this node", n, len(rest))
	}
	for _, f := range rest {
		*f = r.Varint()
	}
}
