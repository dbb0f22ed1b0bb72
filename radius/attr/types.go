package attr

import "strconv"

// Type is the number of a RADIUS attribute, its first octet on the wire.
type Type uint8

// Attribute numbers, with the RFC that defines them.
const (
	UserName             Type = 1  // RFC 2865 §5.1
	UserPassword         Type = 2  // RFC 2865 §5.2
	CHAPPassword         Type = 3  // RFC 2865 §5.3
	NASIPAddress         Type = 4  // RFC 2865 §5.4
	NASPort              Type = 5  // RFC 2865 §5.5
	ServiceType          Type = 6  // RFC 2865 §5.6
	FramedProtocol       Type = 7  // RFC 2865 §5.7
	FramedIPAddress      Type = 8  // RFC 2865 §5.8
	FramedIPNetmask      Type = 9  // RFC 2865 §5.9
	FilterID             Type = 11 // RFC 2865 §5.11
	FramedMTU            Type = 12 // RFC 2865 §5.12
	ReplyMessage         Type = 18 // RFC 2865 §5.18
	FramedRoute          Type = 22 // RFC 2865 §5.22
	State                Type = 24 // RFC 2865 §5.24
	Class                Type = 25 // RFC 2865 §5.25
	VendorSpecific       Type = 26 // RFC 2865 §5.26
	SessionTimeout       Type = 27 // RFC 2865 §5.27
	IdleTimeout          Type = 28 // RFC 2865 §5.28
	TerminationAction    Type = 29 // RFC 2865 §5.29
	CalledStationID      Type = 30 // RFC 2865 §5.30
	CallingStationID     Type = 31 // RFC 2865 §5.31
	NASIdentifier        Type = 32 // RFC 2865 §5.32
	ProxyState           Type = 33 // RFC 2865 §5.33
	AcctStatusType       Type = 40 // RFC 2866 §5.1
	AcctDelayTime        Type = 41 // RFC 2866 §5.2
	AcctInputOctets      Type = 42 // RFC 2866 §5.3
	AcctOutputOctets     Type = 43 // RFC 2866 §5.4
	AcctSessionID        Type = 44 // RFC 2866 §5.5
	AcctAuthentic        Type = 45 // RFC 2866 §5.6
	AcctSessionTime      Type = 46 // RFC 2866 §5.7
	AcctInputPackets     Type = 47 // RFC 2866 §5.8
	AcctOutputPackets    Type = 48 // RFC 2866 §5.9
	AcctTerminateCause   Type = 49 // RFC 2866 §5.10
	AcctMultiSessionID   Type = 50 // RFC 2866 §5.11
	AcctInputGigawords   Type = 52 // RFC 2869 §5.1
	AcctOutputGigawords  Type = 53 // RFC 2869 §5.2
	EventTimestamp       Type = 55 // RFC 2869 §5.3
	CHAPChallenge        Type = 60 // RFC 2865 §5.40
	NASPortType          Type = 61 // RFC 2865 §5.41
	PortLimit            Type = 62 // RFC 2865 §5.42
	ARAPPassword         Type = 70 // RFC 2869 §5.4
	ConnectInfo          Type = 77 // RFC 2869 §5.11
	EAPMessage           Type = 79 // RFC 3579 §3.1
	MessageAuthenticator Type = 80 // RFC 3579 §3.2
	AcctInterimInterval  Type = 85 // RFC 2869 §5.16
	NASPortID            Type = 87 // RFC 2869 §5.17
	FramedPool           Type = 88 // RFC 2869 §5.18
	ChargeableUser       Type = 89 // RFC 4372 §2.2
	NASIPv6Address       Type = 95 // RFC 3162 §2.1
	FramedInterfaceID    Type = 96 // RFC 3162 §2.2
	FramedIPv6Prefix     Type = 97 // RFC 3162 §2.3
	FramedIPv6Pool       Type = 100
	ErrorCause           Type = 101 // RFC 5176 §3.5
	DelegatedIPv6Prefix  Type = 123 // RFC 4818 §3
	FramedIPv6Address    Type = 168 // RFC 6911 §3.1
)

// Numbers of private enterprises (RFC 2865 §5.26) whose attributes are read or written here.
const (
	VendorMicrosoft  uint32 = 311
	VendorWISPr      uint32 = 14122
	VendorChilliSpot uint32 = 14559
	VendorMikrotik   uint32 = 14988
)

// MaxValue is the longest value of one attribute, in octets (RFC 2865 §5).
const MaxValue = 253

// MaxList is the longest list of attributes that fits a packet of 4096 octets, in octets (RFC 2865 §3).
const MaxList = 4096 - 20

// AcctStatus is the value of Acct-Status-Type (RFC 2866 §5.1).
type AcctStatus uint32

// Values of Acct-Status-Type.
const (
	AcctStart   AcctStatus = 1
	AcctStop    AcctStatus = 2
	AcctInterim AcctStatus = 3
	AcctOn      AcctStatus = 7
	AcctOff     AcctStatus = 8
)

// String gives the RFC's name of the status, or its number.
func (s AcctStatus) String() string {
	switch s {
	case AcctStart:
		return "Start"
	case AcctStop:
		return "Stop"
	case AcctInterim:
		return "Interim-Update"
	case AcctOn:
		return "Accounting-On"
	case AcctOff:
		return "Accounting-Off"
	}
	return "Acct-Status-" + strconv.FormatUint(uint64(s), 10)
}

// TerminateCause is the value of Acct-Terminate-Cause (RFC 2866 §5.10).
type TerminateCause uint32

// Values of Acct-Terminate-Cause. CauseNone (0) means that the attribute is absent.
const (
	CauseNone           TerminateCause = 0
	CauseUserRequest    TerminateCause = 1
	CauseLostCarrier    TerminateCause = 2
	CauseLostService    TerminateCause = 3
	CauseIdleTimeout    TerminateCause = 4
	CauseSessionTimeout TerminateCause = 5
	CauseAdminReset     TerminateCause = 6
	CauseAdminReboot    TerminateCause = 7
	CausePortError      TerminateCause = 8
	CauseNASError       TerminateCause = 9
	CauseNASRequest     TerminateCause = 10
	CauseNASReboot      TerminateCause = 11
	CauseUserError      TerminateCause = 17
	CauseHostRequest    TerminateCause = 18
)

// Values of Acct-Authentic (RFC 2866 §5.6) and of Service-Type and Framed-Protocol (RFC 2865 §5.6, §5.7) that a broadband NAS sends.
const (
	AuthenticRADIUS uint32 = 1
	AuthenticLocal  uint32 = 2
	ServiceFramed   uint32 = 2
	ProtocolPPP     uint32 = 1
	PortEthernet    uint32 = 15
)

// String gives the attribute's number in the form that logs use, "attribute 44".
func (t Type) String() string { return "attribute " + strconv.Itoa(int(t)) }
