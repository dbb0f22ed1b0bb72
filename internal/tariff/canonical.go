package tariff

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"

	"meridian/internal/canon"
	"meridian/internal/invariant"
	"meridian/internal/money"
)

// canonicalFormat is 2: JSON of the fields in the order of their declaration.
// Format 1, which is still read, had one usage and one recurring component.
const canonicalFormat = 2

// Hash is the SHA-256 of the version's canonical content, the version of its
// zone data included: what a usage record names to say by which prices it was
// rated.
func (o *Offering) Hash() [32]byte {
	var w canon.Writer
	o.AppendCanonical(&w)
	return sha256.Sum256(w.B)
}

// AppendCanonical writes the offering in canonical form.
func (o *Offering) AppendCanonical(w *canon.Writer) {
	b, err := json.Marshal(o)
	invariant.Check(err == nil, "offering %s: %v", o.ID, err) // the types hold nothing that JSON lacks
	w.Byte(canonicalFormat)
	w.Bytes(b)
}

// ReadOffering reads what AppendCanonical wrote.
func ReadOffering(r *canon.Reader) *Offering {
	switch v := r.Byte(); v {
	case 1:
		return readFormat1(r)
	case canonicalFormat:
	default:
		r.Fail("offering format %d is not known", v)
	}
	o := &Offering{}
	d := json.NewDecoder(bytes.NewReader(r.Bytes()))
	d.DisallowUnknownFields()
	if r.Err() != nil {
		return o
	}
	if err := d.Decode(o); err != nil {
		r.Fail("offering: %v", err)
	}
	return o
}

func readFormat1(r *canon.Reader) *Offering {
	o := &Offering{
		ID: r.String(), Version: uint32(r.Uvarint()), Name: r.String(),
		Currency: money.Currency(r.String()), ValidFrom: r.Varint(), Service: r.String(),
	}
	if r.Bool() {
		o.Usage = PerUnit(Unit(r.String()), money.Amount(r.Varint()), r.Varint())
	}
	if r.Bool() {
		o.Recurring = EachDays(money.Amount(r.Varint()), int(r.Varint()))
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
