package coa

import "strconv"

// ErrorCause is the value of Error-Cause (RFC 5176 §3.5).
type ErrorCause uint32

// Values of Error-Cause. CauseNone: the NAK carried none.
const (
	CauseNone                 ErrorCause = 0
	CauseResidualRemoved      ErrorCause = 201
	CauseUnsupportedAttribute ErrorCause = 401
	CauseMissingAttribute     ErrorCause = 402
	CauseNASMismatch          ErrorCause = 403
	CauseInvalidRequest       ErrorCause = 404
	CauseUnsupportedService   ErrorCause = 405
	CauseUnsupportedExtension ErrorCause = 406
	CauseInvalidValue         ErrorCause = 407
	CauseProhibited           ErrorCause = 501
	CauseNotRoutable          ErrorCause = 502
	CauseSessionNotFound      ErrorCause = 503
	CauseNotRemovable         ErrorCause = 504
	CauseOtherProxyError      ErrorCause = 505
	CauseResources            ErrorCause = 506
	CauseRequestInitiated     ErrorCause = 507
	CauseMultipleSessions     ErrorCause = 508
)

// String gives the RFC's words for the cause, or its number.
func (c ErrorCause) String() string {
	switch c {
	case CauseNone:
		return "no cause given"
	case CauseResidualRemoved:
		return "residual session context removed"
	case CauseUnsupportedAttribute:
		return "unsupported attribute"
	case CauseMissingAttribute:
		return "missing attribute"
	case CauseNASMismatch:
		return "NAS identification mismatch"
	case CauseInvalidRequest:
		return "invalid request"
	case CauseUnsupportedService:
		return "unsupported service"
	case CauseUnsupportedExtension:
		return "unsupported extension"
	case CauseInvalidValue:
		return "invalid attribute value"
	case CauseProhibited:
		return "administratively prohibited"
	case CauseNotRoutable:
		return "request not routable"
	case CauseSessionNotFound:
		return "session context not found"
	case CauseNotRemovable:
		return "session context not removable"
	case CauseOtherProxyError:
		return "other proxy processing error"
	case CauseResources:
		return "resources unavailable"
	case CauseRequestInitiated:
		return "request initiated"
	case CauseMultipleSessions:
		return "multiple session selection unsupported"
	}
	return "Error-Cause " + strconv.FormatUint(uint64(c), 10)
}
