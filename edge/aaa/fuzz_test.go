package aaa

import (
	"bytes"
	"net/netip"
	"testing"
	"time"

	"meridian/edge/command"
	"meridian/edge/fsm"
	"meridian/internal/tariff"
	"meridian/radius"
	"meridian/radius/attr"
	"meridian/radius/vendor"
)

// inline is a Log that has an answer at once, in the caller's goroutine.
type inline struct{ *region }

func (l inline) Propose(c command.Command, done func(command.Result, error)) {
	l.set(func(r *region) { r.proposed = append(r.proposed, c) })
	done(l.apply(c), nil)
}

// fuzzHandler is a handler without a server, and subscribers "good" (flat) and "rich" (metered).
func fuzzHandler(t testing.TB) (*Handler, *region) {
	t.Helper()
	r := newRegion(t)
	r.feed(r.nas(nasID, nasAddr, vendor.Mikrotik, ""), flat("flat", 2), prepaid("volume", tariff.Bytes, micros, 1<<20, 1<<30))
	r.feed(r.subscriber("good", "flat"), r.subscriber("rich", "volume"), cash("rich", 5*micros))
	h, err := New(testConfig(), inline{r}, r, quiet())
	if err != nil {
		t.Fatal(err)
	}
	return h, r
}

// answers hands attributes to the handler as a request with true authenticators and
// returns what came of it; it fails the test unless exactly one thing did.
func answers(t testing.TB, h *Handler, code radius.Code, attrs []byte) radius.Answer {
	t.Helper()
	packet, err := radius.AppendRequest(nil, code, 1, fuzzAuthenticator, attrs, []byte(secret), false)
	if err != nil {
		return radius.Answer{Dropped: true, Reason: radius.DropMalformed}
	}
	client := &radius.Client{ID: nasID, Vendor: vendor.Mikrotik, Secret: []byte(secret)}
	n := 0
	var got radius.Answer
	radius.Direct(h, client, code == radius.CodeAccountingRequest, netip.MustParseAddrPort(nasAddr+":5"), packet, time.Unix(epoch1, 0), func(a radius.Answer) { n++; got = a })
	if n != 1 {
		t.Fatalf("%d answers", n)
	}
	return got
}

var fuzzAuthenticator = [16]byte{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16}

func attributes(t testing.TB, fill func(b *attr.Builder)) []byte {
	t.Helper()
	var b attr.Builder
	fill(&b)
	l, err := b.List()
	if err != nil {
		t.Fatal(err)
	}
	return bytes.Clone(l)
}

// FuzzAccess: any attributes get one answer; an Accept only who names a subscriber,
// a Reject only what one may hold (RFC 2865 section 5.44).
func FuzzAccess(f *testing.F) {
	for _, fill := range []func(b *attr.Builder){
		func(b *attr.Builder) {
			b.String(attr.UserName, "good")
			b.UserPassword([]byte("pw-good"), []byte(secret), fuzzAuthenticator)
		},
		func(b *attr.Builder) {
			b.String(attr.UserName, "rich")
			b.CHAP(3, []byte("pw-rich"), []byte("challenge"), fuzzAuthenticator)
			b.String(attr.AcctSessionID, "s1")
			b.Uint32(attr.NASPort, 7)
		},
		func(b *attr.Builder) {
			b.String(attr.UserName, `DOM\good`)
			b.MSCHAP2Request(attr.MSCHAP2{Identifier: 3})
			b.Bytes(attr.ProxyState, []byte{1})
		},
		func(b *attr.Builder) {
			b.String(attr.UserName, "good")
			b.VSA(attr.VendorMicrosoft, attr.MSCHAP2Response, nil)
		},
		func(b *attr.Builder) { b.String(attr.UserName, ""); b.Bytes(attr.EAPMessage, []byte{2}) },
	} {
		f.Add(attributes(f, fill))
	}
	h, r := fuzzHandler(f)
	f.Fuzz(func(t *testing.T, octets []byte) {
		a := answers(t, h, radius.CodeAccessRequest, octets)
		if a.Dropped {
			return
		}
		p, err := radius.Parse(a.Packet)
		if err != nil || p.VerifyResponse([]byte(secret), fuzzAuthenticator) != nil {
			t.Fatalf("the reply does not verify: %x, %v", a.Packet, err)
		}
		switch p.Code() {
		case radius.CodeAccessAccept:
			var found fsm.Login
			r.View(func(s *fsm.State) { found = s.FindLogin(attr.List(octets).Text(attr.UserName)) })
			if found.Subscription == "" || p.Attributes().Has(attr.ReplyMessage) {
				t.Fatalf("accepted %x with %x", octets, a.Packet)
			}
		case radius.CodeAccessReject:
			for kind, v := range p.Attributes().All() {
				switch kind {
				case attr.MessageAuthenticator, attr.ReplyMessage, attr.ProxyState, attr.EAPMessage:
				case attr.VendorSpecific:
					if _, ok := p.Attributes().VSA(attr.VendorMicrosoft, attr.MSCHAPError); ok && len(v) == 4+2+49 {
						continue
					}
					fallthrough
				default:
					t.Fatalf("a rejection with %v %x", kind, v)
				}
			}
		default:
			t.Fatalf("%v", p.Code())
		}
	})
}

// FuzzAccounting: two reports of any attributes and the passing of time bring no
// replica down, whatever they say of times and counters.
func FuzzAccounting(f *testing.F) {
	for _, status := range []attr.AcctStatus{attr.AcctStart, attr.AcctInterim, attr.AcctStop, attr.AcctOn, 15} {
		f.Add(attributes(f, func(b *attr.Builder) {
			b.Uint32(attr.AcctStatusType, uint32(status))
			b.String(attr.AcctSessionID, "s1")
			b.String(attr.UserName, "rich")
			b.Uint32(attr.EventTimestamp, epoch1+5)
			b.Uint32(attr.AcctSessionTime, 5)
			b.Octets64(attr.AcctInputOctets, attr.AcctInputGigawords, 1<<40, true)
			b.Octets64(attr.AcctOutputOctets, attr.AcctOutputGigawords, 77, true)
			b.Bytes(attr.FramedIPAddress, []byte{10, 0, 0, 1})
			b.Uint32(attr.AcctTerminateCause, 1)
		}), attributes(f, func(b *attr.Builder) {
			b.Uint32(attr.AcctStatusType, uint32(attr.AcctStop))
			b.String(attr.AcctSessionID, "s1")
			b.String(attr.UserName, "rich")
			b.Uint32(attr.AcctSessionTime, 1<<32-1)
			b.Uint32(attr.AcctDelayTime, 1<<32-1)
			b.Uint32(attr.AcctInputGigawords, 1<<32-1)
		}))
	}
	f.Fuzz(func(t *testing.T, first, second []byte) {
		h, r := fuzzHandler(t)
		for i, octets := range [][]byte{first, second, first} {
			a := answers(t, h, radius.CodeAccountingRequest, octets)
			if _, err := attr.List(octets).Accounting(); err != nil && !a.Dropped {
				t.Fatalf("report %d of %x was acknowledged: %v", i, octets, err)
			}
			r.tick(epoch1 + int64(60*(i+1)))
		}
		dump := r.state.Dump()
		again, err := fsm.Load(dump)
		if err != nil || !bytes.Equal(again.Dump(), dump) {
			t.Fatalf("the state cannot be kept: %v", err)
		}
	})
}
