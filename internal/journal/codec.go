package journal

import (
	"crypto/sha256"

	"meridian/internal/canon"
	"meridian/internal/money"
	"meridian/internal/rating"
)

// The first octet of an encoded entry. Format 2 has a usage record with parts, and
// only such entries have it: an entry has one encoding.
const (
	entryFormat      = 1
	entryFormatParts = 2
)

// Encode returns the entry's canonical bytes.
func (e *Entry) Encode() []byte {
	w := canon.Writer{B: make([]byte, 0, 192)}
	if e.Usage != nil && len(e.Usage.Parts) > 0 {
		w.Byte(entryFormatParts)
	} else {
		w.Byte(entryFormat)
	}
	w.String(e.Region)
	w.Uvarint(e.Epoch)
	w.Uvarint(e.Seq)
	w.Varint(e.At)
	w.Byte(byte(e.Kind))
	w.String(e.Account)
	w.String(e.Subscription)
	w.String(e.Bucket)
	w.String(string(e.Unit))
	w.Varint(e.Amount)
	w.Varint(e.Quantity)
	e.Session.Append(&w)
	w.Uvarint(uint64(e.Cut))
	w.String(e.Ref)
	w.String(e.Detail)
	w.Bool(e.Usage != nil)
	if e.Usage != nil {
		e.Usage.append(&w)
	}
	return w.B
}

// Append writes the key canonically.
func (k SessionKey) Append(w *canon.Writer) {
	w.String(k.NAS)
	w.String(k.ID)
	w.Varint(k.Start)
}

// ReadSessionKey reads what Append wrote.
func ReadSessionKey(r *canon.Reader) SessionKey {
	return SessionKey{NAS: r.String(), ID: r.String(), Start: r.Varint()}
}

func (u *UsageRecord) append(w *canon.Writer) {
	w.Uvarint(uint64(u.Number))
	w.Varint(u.From)
	w.Varint(u.To)
	w.Uvarint(u.InOctets)
	w.Uvarint(u.OutOctets)
	w.Varint(u.Seconds)
	w.Uvarint(u.CumulativeIn)
	w.Uvarint(u.CumulativeOut)
	w.Varint(u.CumulativeSeconds)
	w.String(u.Service)
	w.String(u.FramedIP)
	w.String(u.NASPort)
	w.String(u.CallingStation)
	w.Uvarint(uint64(u.TerminateCause))
	w.String(u.Offering)
	w.Uvarint(uint64(u.OfferingVersion))
	w.Hash(u.TariffHash)
	if len(u.Parts) > 0 {
		w.String(u.CalledStation)
		appendUsageParts(w, u.Parts)
		return
	}
	AppendState(w, u.Before)
	AppendSlices(w, u.Slices)
}

// AppendState writes a rating state canonically.
func AppendState(w *canon.Writer, s rating.State) {
	w.Varint(s.Quantity)
	w.Varint(int64(s.Charged))
}

// ReadState reads what AppendState wrote.
func ReadState(r *canon.Reader) rating.State {
	return rating.State{Quantity: r.Varint(), Charged: money.Amount(r.Varint())}
}

// AppendSlices writes priced slices canonically.
func AppendSlices(w *canon.Writer, slices []rating.Slice) {
	w.Uvarint(uint64(len(slices)))
	for _, s := range slices {
		w.String(s.Rule)
		w.Varint(s.Quantity)
		w.Varint(int64(s.Amount))
	}
}

// ReadSlices reads what AppendSlices wrote.
func ReadSlices(r *canon.Reader) []rating.Slice {
	n := r.Count(3)
	if n == 0 {
		return nil
	}
	out := make([]rating.Slice, n)
	for i := range out {
		out[i] = rating.Slice{Rule: r.String(), Quantity: r.Varint(), Amount: money.Amount(r.Varint())}
	}
	return out
}

func readUsage(r *canon.Reader, parts bool) *UsageRecord {
	u := &UsageRecord{
		Number: uint32(r.Uvarint()), From: r.Varint(), To: r.Varint(),
		InOctets: r.Uvarint(), OutOctets: r.Uvarint(), Seconds: r.Varint(),
		CumulativeIn: r.Uvarint(), CumulativeOut: r.Uvarint(), CumulativeSeconds: r.Varint(),
		Service: r.String(), FramedIP: r.String(), NASPort: r.String(), CallingStation: r.String(),
		TerminateCause: uint32(r.Uvarint()), Offering: r.String(), OfferingVersion: uint32(r.Uvarint()),
		TariffHash: r.Hash(),
	}
	if parts {
		u.CalledStation = r.String()
		u.Parts = readUsageParts(r)
	} else {
		u.Before, u.Slices = ReadState(r), ReadSlices(r)
	}
	return u
}

// DecodeEntry reads canonical bytes; errors wrap canon.ErrCorrupt or ErrEntry.
func DecodeEntry(b []byte) (Entry, error) {
	r := canon.NewReader(b)
	format := r.Byte()
	if format != entryFormat && format != entryFormatParts {
		r.Fail("entry format %d is not known", format)
	}
	e := Entry{
		Region: r.String(), Epoch: r.Uvarint(), Seq: r.Uvarint(), At: r.Varint(), Kind: Kind(r.Byte()),
		Account: r.String(), Subscription: r.String(), Bucket: r.String(), Unit: Unit(r.String()),
		Amount: r.Varint(), Quantity: r.Varint(), Session: ReadSessionKey(r), Cut: uint32(r.Uvarint()),
		Ref: r.String(), Detail: r.String(),
	}
	if r.Bool() {
		e.Usage = readUsage(r, format == entryFormatParts)
	} else if format == entryFormatParts {
		r.Fail("an entry of format %d has a usage record", format)
	}
	if err := r.Close(); err != nil {
		return Entry{}, err
	}
	return e, e.Validate()
}

// Hash is a link of a region's chain.
type Hash = [sha256.Size]byte

// Chain returns SHA-256(previous hash ‖ entry's canonical bytes). The chain of an
// epoch starts from the zero hash.
func Chain(previous Hash, entry []byte) Hash {
	h := sha256.New()
	h.Write(previous[:])
	h.Write(entry)
	var out Hash
	h.Sum(out[:0])
	return out
}
