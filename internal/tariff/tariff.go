// Package tariff is the vocabulary of the catalog: what an offering is and when
// it is well formed.
//
// It owns the types and their validation. Reading files is central/catalog's
// work, pricing is rating's.
package tariff

import (
	"crypto/sha256"
	"errors"
	"fmt"

	"meridian/internal/canon"
	"meridian/internal/money"
)

// Quantity is what a usage component counts.
type Quantity string

// MaxPrice bounds a single amount: 2^52 micro-units.
const MaxPrice money.Amount = 1 << 52

const (
	mostBytes     = 1 << 50 // of one session, that must be payable
	mostSeconds   = 1 << 33
	maxTTLSeconds = 30 * 86400
)

// Quantities: octets in both directions together, or seconds of session time.
const (
	Bytes   Quantity = "bytes"
	Seconds Quantity = "seconds"
)

// OverrunPolicy says who bears usage that nothing could pay.
type OverrunPolicy string

// Overrun is owed by the subscriber (a receivable) or absorbed by the operator.
const (
	Owed     OverrunPolicy = "owed"
	Absorbed OverrunPolicy = "absorbed"
)

// Usage is a usage component: Price for each Per units, cumulative over the
// session and rounded down to a micro-unit.
type Usage struct {
	Unit  Quantity     `json:"unit"`
	Price money.Amount `json:"price_micro"`
	Per   int64        `json:"per"`
}

// Recurring is a charge in advance for each period of Days × 24 h, counted from
// the subscription's activation.
type Recurring struct {
	Price money.Amount `json:"price_micro"`
	Days  int          `json:"days"`
}

// Profile is the service that a NAS is told to give.
type Profile struct {
	UpBps          int64  `json:"up_bps,omitempty"`
	DownBps        int64  `json:"down_bps,omitempty"`
	Pool           string `json:"pool,omitempty"`
	SessionLimit   int    `json:"session_limit"`
	InterimSeconds int    `json:"interim_seconds"`
}

// Reservation sizes what is held ahead for a metered session: Quota units of the
// usage component, kept for TTLSeconds after the last report.
type Reservation struct {
	Quota      int64 `json:"quota,omitempty"`
	TTLSeconds int64 `json:"ttl_seconds,omitempty"`
}

// Offering is one version of what is sold. Versions of one ID differ in
// ValidFrom (Unix seconds); usage is rated by the latest version valid at its
// time.
type Offering struct {
	ID               string         `json:"id"`
	Version          uint32         `json:"version"`
	Name             string         `json:"name"`
	Currency         money.Currency `json:"currency"`
	ValidFrom        int64          `json:"valid_from"`
	Service          string         `json:"service"`
	Usage            *Usage         `json:"usage,omitempty"`
	Recurring        *Recurring     `json:"recurring,omitempty"`
	Profile          Profile        `json:"profile"`
	Reservation      Reservation    `json:"reservation"`
	Overrun          OverrunPolicy  `json:"overrun"`
	OfflineAllowance money.Amount   `json:"offline_allowance_micro,omitempty"`
}

// Metered tells whether a session needs a reservation before it may start.
func (o *Offering) Metered() bool { return o.Usage != nil && o.Usage.Price > 0 }

// Validate reports every fault at once, each with its field and a remedy.
func (o *Offering) Validate() error {
	var faults []error
	need := func(ok bool, field string, value any, remedy string) {
		if !ok {
			faults = append(faults, fmt.Errorf("%s: %v: %s", field, value, remedy))
		}
	}
	need(o.ID != "" && len(o.ID) <= 64, "id", o.ID, "give 1 to 64 characters")
	need(o.Version > 0, "version", o.Version, "number versions from 1")
	need(o.Name != "", "name", o.Name, "give the name that subscribers see")
	need(o.Service != "", "service", o.Service, "name the service, e.g. internet")
	if err := o.Currency.Validate(); err != nil {
		faults = append(faults, fmt.Errorf("currency: %w", err))
	}
	if u := o.Usage; u != nil {
		need(u.Unit == Bytes || u.Unit == Seconds, "usage.unit", u.Unit, "use bytes or seconds")
		need(u.Price >= 0, "usage.price", u.Price, "use a price that is not negative")
		need(u.Per > 0, "usage.per", u.Per, "say how many units the price is for")
		if u.Price > 0 && u.Per > 0 {
			most := int64(mostBytes)
			if u.Unit == Seconds {
				most = mostSeconds
			}
			_, err := money.MulDiv(most, int64(u.Price), u.Per, money.Floor)
			need(err == nil, "usage.price", u.Price, fmt.Sprintf("the price of %d units does not fit: lower it or raise per", most))
		}
	}
	if o.Metered() {
		need(o.Reservation.Quota > 0, "reservation.quota", o.Reservation.Quota, "say how many units a session may hold ahead")
		ttl := o.Reservation.TTLSeconds
		need(ttl >= 60 && ttl <= maxTTLSeconds, "reservation.ttl", ttl, "use 60 seconds to 30 days")
		// A NAS is told an interim interval of up to a fifth more.
		need(ttl*5 > int64(o.Profile.InterimSeconds)*12, "reservation.ttl", ttl, "use more than 2.4 interim intervals, so that one lost report does not end the hold")
	}
	if r := o.Recurring; r != nil {
		need(r.Price >= 0 && r.Price <= MaxPrice, "recurring.price", r.Price, "use a price from 0 to 4 503 599 627")
		need(r.Days > 0 && r.Days <= 366, "recurring.days", r.Days, "use 1 to 366 days")
	}
	need(o.Usage != nil || o.Recurring != nil, "usage, recurring", "both absent", "give the offering at least one price component, at price 0 if it is free")
	need(o.Profile.SessionLimit > 0, "profile.session_limit", o.Profile.SessionLimit, "allow at least one session")
	need(o.Profile.InterimSeconds >= 60, "profile.interim", o.Profile.InterimSeconds, "use at least 60 seconds (RFC 2869 section 5.16)")
	need(o.Profile.UpBps >= 0 && o.Profile.DownBps >= 0, "profile", "negative speed", "use bits per second, 0 for no limit")
	need(o.Overrun == Owed || o.Overrun == Absorbed, "overrun", o.Overrun, "say owed or absorbed")
	need(o.OfflineAllowance >= 0 && o.OfflineAllowance <= MaxPrice, "offline_allowance", o.OfflineAllowance, "use an amount from 0 to 4 503 599 627")
	need(o.Profile.InterimSeconds <= maxTTLSeconds, "profile.interim", o.Profile.InterimSeconds, "use at most 30 days")
	return errors.Join(faults...)
}

// Hash is the SHA-256 of the version's canonical content: what a usage record
// names to say by which prices it was rated.
func (o *Offering) Hash() [32]byte {
	var w canon.Writer
	o.AppendCanonical(&w)
	return sha256.Sum256(w.B)
}

// AppendCanonical writes the offering in canonical form, version 1.
func (o *Offering) AppendCanonical(w *canon.Writer) {
	w.Byte(1)
	w.String(o.ID)
	w.Uvarint(uint64(o.Version))
	w.String(o.Name)
	w.String(string(o.Currency))
	w.Varint(o.ValidFrom)
	w.String(o.Service)
	w.Bool(o.Usage != nil)
	if u := o.Usage; u != nil {
		w.String(string(u.Unit))
		w.Varint(int64(u.Price))
		w.Varint(u.Per)
	}
	w.Bool(o.Recurring != nil)
	if r := o.Recurring; r != nil {
		w.Varint(int64(r.Price))
		w.Varint(int64(r.Days))
	}
	p := &o.Profile
	w.Varint(p.UpBps)
	w.Varint(p.DownBps)
	w.String(p.Pool)
	w.Varint(int64(p.SessionLimit))
	w.Varint(int64(p.InterimSeconds))
	w.Varint(o.Reservation.Quota)
	w.Varint(o.Reservation.TTLSeconds)
	w.String(string(o.Overrun))
	w.Varint(int64(o.OfflineAllowance))
}

// ReadOffering reads what AppendCanonical wrote.
func ReadOffering(r *canon.Reader) *Offering {
	if v := r.Byte(); v != 1 {
		r.Fail("offering format %d is not known", v)
	}
	o := &Offering{
		ID: r.String(), Version: uint32(r.Uvarint()), Name: r.String(),
		Currency: money.Currency(r.String()), ValidFrom: r.Varint(), Service: r.String(),
	}
	if r.Bool() {
		o.Usage = &Usage{Unit: Quantity(r.String()), Price: money.Amount(r.Varint()), Per: r.Varint()}
	}
	if r.Bool() {
		o.Recurring = &Recurring{Price: money.Amount(r.Varint()), Days: int(r.Varint())}
	}
	o.Profile = Profile{
		UpBps: r.Varint(), DownBps: r.Varint(), Pool: r.String(),
		SessionLimit: int(r.Varint()), InterimSeconds: int(r.Varint()),
	}
	o.Reservation = Reservation{Quota: r.Varint(), TTLSeconds: r.Varint()}
	o.Overrun = OverrunPolicy(r.String())
	o.OfflineAllowance = money.Amount(r.Varint())
	return o
}
