package aaa

import (
	"encoding/hex"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"meridian/radius/attr"
)

// hexMark begins a text that stands for octets which are no clean text.
const hexMark = `\hex:`

// text turns the octets of an attribute into a text that the ledger and the
// centre's database can hold: clean UTF-8 without control characters stays as it
// is, anything else, NUL octets above all, becomes its hexadecimal form behind a
// mark. No two octet strings give one text; [octets] is the way back.
func text(v []byte) string {
	if clean(v) {
		return string(v)
	}
	return hexMark + hex.EncodeToString(v)
}

func clean(v []byte) bool {
	ascii := true
	for _, c := range v {
		if c < 0x20 || c == 0x7f {
			return false
		}
		ascii = ascii && c < utf8.RuneSelf
	}
	if len(v) > 0 && v[0] == hexMark[0] && strings.HasPrefix(string(v), hexMark) {
		return false
	}
	if ascii {
		return true
	}
	for i := 0; i < len(v); {
		r, n := utf8.DecodeRune(v[i:])
		if (r == utf8.RuneError && n == 1) || unicode.IsControl(r) {
			return false
		}
		i += n
	}
	return true
}

// octets gives back what text was made of: what the NAS itself calls its session.
func octets(s string) []byte {
	if digits, marked := strings.CutPrefix(s, hexMark); marked {
		if raw, err := hex.DecodeString(digits); err == nil {
			return raw
		}
	}
	return []byte(s)
}

// maxNumber bounds a telephone number's digits (E.164 allows 15; access codes come
// before them).
const maxNumber = 32

// number is the telephone number of a Called-Station-Id (RFC 2865 section 5.30): digits,
// + before them or not, as they stand or in a SIP or tel URI (RFC 3261 section 19.1,
// RFC 3966). Anything else, such as an access point's address, is none.
func number(v []byte) string {
	s := string(v)
	for _, scheme := range [...]string{"sip:", "sips:", "tel:"} {
		if len(s) > len(scheme) && strings.EqualFold(s[:len(scheme)], scheme) {
			s = s[len(scheme):]
			if end := strings.IndexAny(s, "@;?"); end >= 0 {
				s = s[:end]
			}
			if scheme == "tel:" { // visual separators
				s = strings.NewReplacer("-", "", ".", "", "(", "", ")", "").Replace(s)
			}
			break
		}
	}
	digits := strings.TrimPrefix(s, "+")
	if digits == "" || len(digits) > maxNumber || strings.Trim(digits, "0123456789") != "" {
		return ""
	}
	return s
}

// portText names the line: NAS-Port-Id, or else NAS-Port in decimal.
func portText(id []byte, port uint32, hasPort bool) string {
	switch {
	case len(id) > 0:
		return text(id)
	case hasPort:
		return strconv.FormatUint(uint64(port), 10)
	}
	return ""
}

// portOf is portText of a request's attributes.
func portOf(l attr.List) string {
	port, ok := l.Uint32(attr.NASPort)
	return portText(l.Bytes(attr.NASPortID), port, ok)
}
