// Package vendor turns a service profile into the attributes that a make of NAS understands, and reads them back for the NAS simulator.
//
// It owns which attribute of which vendor carries a speed, a volume or a pool, and in which unit and order. It does not own where a profile
// comes from, nor whether a NAS honours it. Everything here is pure.
package vendor

import (
	"errors"
	"fmt"
	"math"
	"net/netip"
	"strconv"
	"strings"
	"unicode/utf8"

	"meridian/radius/attr"
)

// Profile is what a session is given, in neutral terms. A zero field is absent: nothing is said to the NAS about it.
type Profile struct {
	UpBps, DownBps   int64 // bits per second, as the subscriber sees up and down
	Pool             string
	FramedIP         netip.Addr
	SessionTimeoutS  int64 // seconds
	VolumeLimitBytes int64 // octets, both directions together
	IdleTimeoutS     int64 // seconds
	InterimS         int64 // seconds between interims
	Class            []byte
	ReplyMessage     string
}

// Names of the vendors known here.
const (
	Generic  = "generic"
	Mikrotik = "mikrotik"
	AccelPPP = "accel-ppp"
)

// Faults.
var (
	ErrUnknown = errors.New("unknown NAS vendor")
	ErrProfile = errors.New("profile cannot be sent")
)

// Names lists the vendors known here, in alphabetical order.
func Names() []string { return []string{AccelPPP, Generic, Mikrotik} }

// Check returns an error wrapping ErrUnknown, with the known names, when the name is none of them.
func Check(name string) error {
	switch name {
	case Generic, Mikrotik, AccelPPP:
		return nil
	}
	return fmt.Errorf("%w %q: say one of %s", ErrUnknown, name, strings.Join(Names(), ", "))
}

// Numbers of the vendors' attributes, as FreeRADIUS's and CoovaChilli's dictionaries have them.
const (
	wisprMaxUp   = 7 // bit/s
	wisprMaxDown = 8 // bit/s

	chilliMaxTotalOctets    = 3  // low word
	chilliMaxTotalGigawords = 23 // high word, CoovaChilli

	mikrotikRateLimit           = 8  // "rx/tx", rx is the subscriber's upload
	mikrotikTotalLimit          = 17 // low word
	mikrotikTotalLimitGigawords = 18 // high word

	sessionOctetsLimit attr.Type = 227 // pppd and accel-ppp's pppd_compat: octets in 32 bits
	octetsDirection    attr.Type = 228 // 0 = both directions together
)

// Encode appends the profile to b in the vendor's attributes. The error wraps ErrUnknown or ErrProfile; faults of length show at b.List.
//
// Where an attribute is too small for a value the largest it holds is sent: speeds of 2³² bit/s and more (WISPr) become slower, volumes of
// 4 GiB and more on accel-ppp end the session earlier, never later, and the next login gets the rest.
func Encode(b *attr.Builder, name string, p Profile) error {
	if err := Check(name); err != nil {
		return err
	}
	if err := p.check(); err != nil {
		return err
	}
	p.standard(b)
	switch name {
	case Generic:
		p.generic(b)
	case Mikrotik:
		p.mikrotik(b)
	case AccelPPP:
		p.accel(b)
	}
	return nil
}

func (p Profile) check() error {
	var faults []error
	for _, f := range []struct {
		name  string
		value int64
	}{
		{"UpBps", p.UpBps}, {"DownBps", p.DownBps}, {"SessionTimeoutS", p.SessionTimeoutS}, {"VolumeLimitBytes", p.VolumeLimitBytes},
		{"IdleTimeoutS", p.IdleTimeoutS}, {"InterimS", p.InterimS},
	} {
		if f.value < 0 {
			faults = append(faults, fmt.Errorf("%w: %s is %d: give 0 for none or a positive number", ErrProfile, f.name, f.value))
		}
	}
	if p.FramedIP.IsValid() && !p.FramedIP.Is4() {
		faults = append(faults, fmt.Errorf("%w: FramedIP is %v: give an IPv4 address", ErrProfile, p.FramedIP))
	}
	return errors.Join(faults...)
}

// standard appends what the RFCs have attributes for.
func (p Profile) standard(b *attr.Builder) {
	if p.FramedIP.IsValid() {
		b.Addr(attr.FramedIPAddress, p.FramedIP)
	}
	if p.Pool != "" {
		b.String(attr.FramedPool, p.Pool)
	}
	seconds(b, attr.SessionTimeout, p.SessionTimeoutS)
	seconds(b, attr.IdleTimeout, p.IdleTimeoutS)
	seconds(b, attr.AcctInterimInterval, p.InterimS)
	if len(p.Class) > 0 {
		b.Bytes(attr.Class, p.Class)
	}
	Message(b, p.ReplyMessage)
}

// Message appends a text as one or more Reply-Message attributes, cut between characters (RFC 2865 §5.18). "" appends nothing.
func Message(b *attr.Builder, text string) {
	for len(text) > 0 {
		n := min(len(text), attr.MaxValue)
		for n < len(text) && n > attr.MaxValue-utf8.UTFMax && !utf8.RuneStart(text[n]) {
			n--
		}
		b.String(attr.ReplyMessage, text[:n])
		text = text[n:]
	}
}

func seconds(b *attr.Builder, t attr.Type, s int64) {
	if s > 0 {
		b.Uint32(t, uint32(min(s, math.MaxUint32)))
	}
}

func (p Profile) generic(b *attr.Builder) {
	if p.UpBps > 0 {
		b.VSAUint32(attr.VendorWISPr, wisprMaxUp, uint32(min(p.UpBps, math.MaxUint32)))
	}
	if p.DownBps > 0 {
		b.VSAUint32(attr.VendorWISPr, wisprMaxDown, uint32(min(p.DownBps, math.MaxUint32)))
	}
	split(b, attr.VendorChilliSpot, chilliMaxTotalOctets, chilliMaxTotalGigawords, p.VolumeLimitBytes)
}

func (p Profile) mikrotik(b *attr.Builder) {
	if p.UpBps > 0 || p.DownBps > 0 {
		var space [64]byte
		limit := append(appendRate(space[:0], p.UpBps), '/')
		b.VSA(attr.VendorMikrotik, mikrotikRateLimit, appendRate(limit, p.DownBps))
	}
	split(b, attr.VendorMikrotik, mikrotikTotalLimit, mikrotikTotalLimitGigawords, p.VolumeLimitBytes)
}

// accel writes the shaper's default form, Filter-Id "down/up" in kbit/s: the other way round than MikroTik.
func (p Profile) accel(b *attr.Builder) {
	if p.UpBps > 0 || p.DownBps > 0 {
		b.String(attr.FilterID, kbit(p.DownBps)+"/"+kbit(p.UpBps))
	}
	if p.VolumeLimitBytes > 0 {
		b.Uint32(sessionOctetsLimit, uint32(min(p.VolumeLimitBytes, math.MaxUint32)))
		b.Uint32(octetsDirection, 0)
	}
}

// split appends a 64-bit limit as low word and, where needed, high word.
func split(b *attr.Builder, vendor uint32, low, high uint8, limit int64) {
	if limit <= 0 {
		return
	}
	b.VSAUint32(vendor, low, uint32(limit))
	if words := uint32(limit >> 32); words != 0 {
		b.VSAUint32(vendor, high, words)
	}
}

// appendRate writes bits per second as RouterOS reads them: k and M are thousands and millions, 0 is no limit.
func appendRate(dst []byte, bps int64) []byte {
	switch {
	case bps > 0 && bps%1_000_000 == 0:
		return append(strconv.AppendInt(dst, bps/1_000_000, 10), 'M')
	case bps > 0 && bps%1000 == 0:
		return append(strconv.AppendInt(dst, bps/1000, 10), 'k')
	}
	return strconv.AppendInt(dst, bps, 10)
}

// kbit rounds down to kbit/s but keeps a speed above zero from becoming "no limit".
func kbit(bps int64) string {
	if bps <= 0 {
		return "0"
	}
	return strconv.FormatInt(max(1, bps/1000), 10)
}
