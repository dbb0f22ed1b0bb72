package coa

import (
	"io"
	"log/slog"
	"net/netip"
	"testing"
	"time"

	"meridian/radius"
	"meridian/radius/attr"
)

var (
	fuzzSecret = []byte("coa-secret")
	fuzzPeer   = netip.MustParseAddrPort("192.0.2.1:3799")
)

// FuzzServe: no datagram may panic the NAS's side. With signed the octets are the attributes of a request with a true authenticator: it gets
// one answer, which verifies, and the same one again.
func FuzzServe(f *testing.F) {
	f.Add([]byte{}, false, byte(43))
	f.Add([]byte{44, 3, 's'}, true, byte(40))
	f.Add([]byte{55, 6, 0, 0, 0, 1}, true, byte(43))
	f.Add([]byte{26, 6, 0, 0, 1, 55, 33, 4, 1, 2}, true, byte(43))
	f.Add([]byte{43, 1, 0, 20, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}, false, byte(43))
	f.Fuzz(func(t *testing.T, octets []byte, signed bool, code byte) {
		calls := 0
		s, err := NewServer(ServerConfig{Addr: fuzzPeer, Secret: fuzzSecret, EventWindow: 5 * time.Minute, Remember: 4, Now: func() time.Time { return time.Unix(1_800_000_000, 0) }},
			func(r Request) Answer {
				calls++
				return Answer{ACK: r.Attributes.Has(attr.AcctSessionID), Cause: CauseMissingAttribute}
			}, slog.New(slog.NewTextHandler(io.Discard, nil)))
		if err != nil {
			t.Fatal(err)
		}
		datagram := octets
		if signed {
			if datagram, err = radius.AppendRequest(nil, radius.Code(code), 1, [16]byte{}, octets, fuzzSecret, false); err != nil {
				return
			}
		}
		answer, err := s.serve(fuzzPeer, datagram)
		if err != nil {
			return
		}
		request, err := radius.Parse(datagram)
		if err != nil {
			t.Fatalf("answered what cannot be read: %v", err)
		}
		reply, err := radius.Parse(answer)
		if err != nil || reply.VerifyResponse(fuzzSecret, request.Authenticator()) != nil {
			t.Fatalf("the answer does not verify: %x, %v", answer, err)
		}
		again, err := s.serve(fuzzPeer, datagram)
		if err != nil || string(again) != string(answer) || calls != 1 {
			t.Fatalf("%d calls, again %x, %v", calls, again, err)
		}
	})
}

// FuzzAnswer: whatever comes to the client's socket, a call gets an answer only if the NAS's secret made it.
func FuzzAnswer(f *testing.F) {
	f.Add([]byte{41, 7, 0, 20, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}, false)
	f.Add([]byte{101, 6, 0, 0, 1, 247}, true)
	f.Add([]byte{80, 18, 17: 0}, true)
	f.Fuzz(func(t *testing.T, octets []byte, signed bool) {
		c, err := New(DefaultConfig(), slog.New(slog.NewTextHandler(io.Discard, nil)))
		if err != nil {
			t.Fatal(err)
		}
		raw, err := radius.AppendRequest(nil, radius.CodeDisconnectRequest, 7, [16]byte{}, nil, fuzzSecret, false)
		if err != nil {
			t.Fatal(err)
		}
		request, _ := radius.Parse(raw)
		cl := &call{secret: fuzzSecret, code: radius.CodeDisconnectRequest, request: request.Authenticator(), answer: make(chan radius.Packet, 1)}
		to := &target{used: 1}
		to.waiting[7] = cl
		c.targets[fuzzPeer] = to
		datagram := octets
		if signed {
			if datagram, err = radius.AppendResponse(nil, request, radius.CodeDisconnectNAK, octets, fuzzSecret, false); err != nil {
				return
			}
		}
		c.receive(fuzzPeer, datagram)
		select {
		case p := <-cl.answer:
			if err := p.VerifyResponse(fuzzSecret, request.Authenticator()); err != nil {
				t.Fatalf("taken for an answer: %x, %v", datagram, err)
			}
			_ = c.result(cl, p, 1, 0)
		default:
			if signed {
				t.Fatalf("a true answer was not taken: %x", datagram)
			}
		}
	})
}
