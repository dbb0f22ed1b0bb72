package vendor

import (
	"math"
	"strconv"
	"strings"

	"meridian/radius/attr"
)

// Decode reads a profile back from the attributes of an Access-Accept, as a NAS of that vendor would. Attributes that it cannot read are passed
// over, as a NAS does. The error wraps ErrUnknown. Class and other octets point into l.
func Decode(name string, l attr.List) (Profile, error) {
	if err := Check(name); err != nil {
		return Profile{}, err
	}
	p := Profile{
		Pool:            l.Text(attr.FramedPool),
		SessionTimeoutS: integer(l, attr.SessionTimeout),
		IdleTimeoutS:    integer(l, attr.IdleTimeout),
		InterimS:        integer(l, attr.AcctInterimInterval),
		Class:           l.Bytes(attr.Class),
	}
	if a, ok := l.Addr(attr.FramedIPAddress); ok && a.Is4() {
		p.FramedIP = a
	}
	var text strings.Builder
	for v := range l.Values(attr.ReplyMessage) {
		text.Write(v)
	}
	p.ReplyMessage = text.String()
	switch name {
	case Generic:
		p.UpBps, p.DownBps = word(l, attr.VendorWISPr, wisprMaxUp), word(l, attr.VendorWISPr, wisprMaxDown)
		p.VolumeLimitBytes = joined(l, attr.VendorChilliSpot, chilliMaxTotalOctets, chilliMaxTotalGigawords)
	case Mikrotik:
		v, _ := l.VSA(attr.VendorMikrotik, mikrotikRateLimit)
		p.UpBps, p.DownBps = mikrotikRates(string(v))
		p.VolumeLimitBytes = joined(l, attr.VendorMikrotik, mikrotikTotalLimit, mikrotikTotalLimitGigawords)
	case AccelPPP:
		p.UpBps, p.DownBps = accelRates(l.Text(attr.FilterID))
		p.VolumeLimitBytes = integer(l, sessionOctetsLimit)
	}
	return p, nil
}

func integer(l attr.List, t attr.Type) int64 { v, _ := l.Uint32(t); return int64(v) }

func word(l attr.List, vendor uint32, t uint8) int64 { v, _ := l.VSAUint32(vendor, t); return int64(v) }

// joined puts a limit together; one beyond int64 is as good as none.
func joined(l attr.List, vendor uint32, low, high uint8) int64 {
	lo, _ := l.VSAUint32(vendor, low)
	hi, _ := l.VSAUint32(vendor, high)
	v := uint64(hi)<<32 | uint64(lo)
	if v > math.MaxInt64 {
		return 0
	}
	return int64(v)
}

// mikrotikRates reads "rx[/tx]" and leaves bursts aside; one value is for both directions.
func mikrotikRates(s string) (up, down int64) {
	first, _, _ := strings.Cut(strings.TrimSpace(s), " ")
	rx, tx, both := strings.Cut(first, "/")
	up = scaled(rx)
	if !both {
		return up, up
	}
	return up, scaled(tx)
}

func scaled(s string) int64 {
	unit := int64(1)
	switch {
	case strings.HasSuffix(s, "k"), strings.HasSuffix(s, "K"):
		unit = 1000
	case strings.HasSuffix(s, "M"):
		unit = 1_000_000
	case strings.HasSuffix(s, "G"):
		unit = 1_000_000_000
	}
	if unit > 1 {
		s = s[:len(s)-1]
	}
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil || n < 0 || n > math.MaxInt64/unit {
		return 0
	}
	return n * unit
}

// accelRates reads "down/up", or one value for both, in kbit/s.
func accelRates(s string) (up, down int64) {
	d, u, both := strings.Cut(s, "/")
	down = scaled(d + "k")
	if !both {
		return down, down
	}
	return scaled(u + "k"), down
}
