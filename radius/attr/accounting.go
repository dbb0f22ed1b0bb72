package attr

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"time"
)

// Accounting is what an Accounting-Request says, decoded in one walk. Byte slices point into the request and are nil when absent.
// Directions are the NAS's: input is what the subscriber sent (upload), output what it received (RFC 2866 §5.3, §5.4).
type Accounting struct {
	Status         AcctStatus
	SessionID      []byte // Acct-Session-Id
	MultiSessionID []byte
	UserName       []byte
	Class          []byte // the first Class
	NASIdentifier  []byte
	NASPortID      []byte
	CallingStation []byte
	CalledStation  []byte
	NASAddr        netip.Addr // NAS-IP-Address, or else NAS-IPv6-Address
	FramedAddr     netip.Addr // Framed-IP-Address, or else Framed-IPv6-Address
	NASPort        uint32
	EventTime      time.Time // Event-Timestamp; zero when absent
	DelayS         uint32    // Acct-Delay-Time, seconds
	SessionTimeS   uint32    // Acct-Session-Time, seconds
	InputOctets    uint64    // Gigawords included when present
	OutputOctets   uint64
	InputPackets   uint32
	OutputPackets  uint32
	TerminateCause TerminateCause
	Authentic      uint32

	// What was present, for counters that may rightly be zero.
	HasNASPort, HasSessionTime, HasInputOctets, HasOutputOctets bool
	HasInputGigawords, HasOutputGigawords                       bool
}

// When is the instant of the event: Event-Timestamp, or else received minus Acct-Delay-Time (RFC 2866 §5.2), in UTC.
func (a *Accounting) When(received time.Time) time.Time {
	if !a.EventTime.IsZero() {
		return a.EventTime
	}
	return received.Add(-time.Duration(a.DelayS) * time.Second).UTC()
}

// Accounting decodes the attributes of an Accounting-Request. An error wraps ErrAbsent when Acct-Status-Type is missing, ErrValue when an
// integer or an address has a wrong length; unknown attributes are passed over.
func (l List) Accounting() (Accounting, error) {
	var a Accounting
	hasStatus := false
	var inHigh, outHigh uint32
	for t, v := range l.All() {
		if field := a.text(t); field != nil {
			if *field == nil {
				*field = v
			}
			continue
		}
		switch t {
		case NASIPAddress, NASIPv6Address, FramedIPAddress, FramedIPv6Address:
			if err := a.address(t, v); err != nil {
				return a, err
			}
			continue
		case AcctStatusType, NASPort, EventTimestamp, AcctDelayTime, AcctSessionTime, AcctInputOctets, AcctOutputOctets,
			AcctInputGigawords, AcctOutputGigawords, AcctInputPackets, AcctOutputPackets, AcctTerminateCause, AcctAuthentic:
		default:
			continue
		}
		if len(v) != 4 {
			return a, fmt.Errorf("%w: %s of %d octets, must be 4", ErrValue, t, len(v))
		}
		n := binary.BigEndian.Uint32(v)
		switch t {
		case AcctStatusType:
			a.Status, hasStatus = AcctStatus(n), true
		case AcctInputGigawords:
			inHigh, a.HasInputGigawords = n, true
		case AcctOutputGigawords:
			outHigh, a.HasOutputGigawords = n, true
		default:
			a.number(t, n)
		}
	}
	a.InputOctets |= uint64(inHigh) << 32
	a.OutputOctets |= uint64(outHigh) << 32
	if !hasStatus {
		return a, fmt.Errorf("Acct-Status-Type: %w", ErrAbsent)
	}
	return a, nil
}

// text gives the field that holds the attribute's octets, nil when it is none of them.
func (a *Accounting) text(t Type) *[]byte {
	switch t {
	case AcctSessionID:
		return &a.SessionID
	case AcctMultiSessionID:
		return &a.MultiSessionID
	case UserName:
		return &a.UserName
	case Class:
		return &a.Class
	case NASIdentifier:
		return &a.NASIdentifier
	case NASPortID:
		return &a.NASPortID
	case CallingStationID:
		return &a.CallingStation
	case CalledStationID:
		return &a.CalledStation
	}
	return nil
}

func (a *Accounting) number(t Type, n uint32) {
	switch t {
	case NASPort:
		a.NASPort, a.HasNASPort = n, true
	case EventTimestamp:
		a.EventTime = time.Unix(int64(n), 0).UTC()
	case AcctDelayTime:
		a.DelayS = n
	case AcctSessionTime:
		a.SessionTimeS, a.HasSessionTime = n, true
	case AcctInputOctets:
		a.InputOctets, a.HasInputOctets = uint64(n), true
	case AcctOutputOctets:
		a.OutputOctets, a.HasOutputOctets = uint64(n), true
	case AcctInputPackets:
		a.InputPackets = n
	case AcctOutputPackets:
		a.OutputPackets = n
	case AcctTerminateCause:
		a.TerminateCause = TerminateCause(n)
	case AcctAuthentic:
		a.Authentic = n
	}
}

func (a *Accounting) address(t Type, v []byte) error {
	want := 4
	if t == NASIPv6Address || t == FramedIPv6Address {
		want = 16
	}
	if len(v) != want {
		return fmt.Errorf("%w: %s of %d octets, must be %d", ErrValue, t, len(v), want)
	}
	addr, _ := netip.AddrFromSlice(v)
	switch t {
	case NASIPAddress:
		a.NASAddr = addr
	case FramedIPAddress:
		a.FramedAddr = addr
	case NASIPv6Address:
		if !a.NASAddr.IsValid() {
			a.NASAddr = addr
		}
	case FramedIPv6Address:
		if !a.FramedAddr.IsValid() {
			a.FramedAddr = addr
		}
	}
	return nil
}
