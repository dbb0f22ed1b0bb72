package aaa

import (
	"bytes"
	"fmt"
	"log/slog"
	"runtime"
	"strings"
	"testing"

	"meridian/radius"
	"meridian/radius/attr"
)

func heap() int64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// Passwords tried against many logins, known and unknown: nothing reaches the log of the
// region or the node's, what is kept is bounded, each is counted by its reason, and
// the answer does not tell whether the login exists.
func TestPasswordSpraying(t *testing.T) {
	const logins, cacheMax = 1500, 64
	r := newRegion(t)
	entities := []any{flat("flat", 2)}
	for i := range logins {
		entities = append(entities, r.subscriber(fmt.Sprintf("user%04d", i), "flat"))
	}
	unopened := r.subscriber("unopened", "flat")
	unopened.Password, unopened.NTHash = r.seal("x", "elsewhere"), r.seal("x", "elsewhere")
	r.feed(append(entities, unopened)...)
	cfg := testConfig()
	cfg.PasswordCacheMax = cacheMax
	var out bytes.Buffer
	h, err := New(cfg, inline{r}, r, slog.New(slog.NewTextHandler(&out, nil)))
	if err != nil {
		t.Fatal(err)
	}
	guess := []byte("summer2026")
	methods := []func(b *attr.Builder){
		func(b *attr.Builder) { b.UserPassword(guess, []byte(secret), fuzzAuthenticator) },
		func(b *attr.Builder) { b.CHAP(1, guess, nil, fuzzAuthenticator) },
		func(b *attr.Builder) { b.MSCHAP2Request(attr.MSCHAP2{Identifier: 1}) },
	}
	try := func(login string, method int) radius.Answer {
		return answers(t, h, radius.CodeAccessRequest, attributes(t, func(b *attr.Builder) {
			b.String(attr.UserName, login)
			methods[method](b)
		}))
	}
	before := heap()
	for i := range logins {
		for method := range methods {
			known, unknown := try(fmt.Sprintf("user%04d", i), method), try(fmt.Sprintf("nobody%04d", i), method)
			if known.Dropped || unknown.Dropped || len(known.Packet) != len(unknown.Packet) || radius.Code(known.Packet[0]) != radius.CodeAccessReject {
				t.Fatalf("known %x, unknown %x", known.Packet, unknown.Packet)
			}
			if method < 2 && !bytes.Equal(known.Packet, unknown.Packet) { // MS-CHAP-Error has a random challenge
				t.Fatalf("a known login reads %x, an unknown one %x", known.Packet, unknown.Packet)
			}
		}
	}
	for range 500 {
		for method := range methods {
			if a := try("unopened", method); !a.Dropped {
				t.Fatalf("answered without a password to compare with: %x", a.Packet)
			}
		}
	}
	if grown := heap() - before; grown > 1<<20 {
		t.Errorf("the heap grew by %d octets", grown)
	}
	s := h.Stats()
	if want := uint64(logins * len(methods)); s.Rejects[RejectPassword] != want || s.Rejects[RejectUnknown] != want || s.AuthDropped[DropSealed] != 1500 {
		t.Errorf("counters: %s", show(s))
	}
	if s.PasswordsCached > 2*cacheMax || s.PasswordEvictions == 0 {
		t.Errorf("%d opened, at most %d of each kind", s.PasswordsCached, cacheMax)
	}
	if n := len(r.taken()); n != 0 {
		t.Errorf("%d commands", n)
	}
	if n := strings.Count(out.String(), "\n"); n != 1 || strings.Contains(out.String(), string(guess)) {
		t.Errorf("%d lines:\n%s", n, &out)
	}
	if a := answers(t, h, radius.CodeAccessRequest, attributes(t, func(b *attr.Builder) {
		b.String(attr.UserName, "user0007")
		b.UserPassword([]byte("pw-user0007"), []byte(secret), fuzzAuthenticator)
	})); a.Dropped || radius.Code(a.Packet[0]) != radius.CodeAccessAccept {
		t.Errorf("the subscriber itself: %+v", a)
	}
}

// Lists as long as a packet and Vendor-Specifics within each other are read once
// and hide nothing.
func TestCredentialsHiddenInVendorAttributes(t *testing.T) {
	h, r := fuzzHandler(t)
	nested := func(inner []byte) []byte { // a Vendor-Specific of Microsoft within the value of another one
		return append([]byte{26, byte(8 + len(inner)), 0, 0, 1, 0x37, 200, byte(2 + len(inner))}, inner...)
	}
	response := attributes(t, func(b *attr.Builder) { b.MSCHAP2Request(attr.MSCHAP2{Identifier: 1}) })
	name := attributes(t, func(b *attr.Builder) { b.String(attr.UserName, "good") })
	many := bytes.Repeat([]byte{26, 8, 0, 0, 1, 0x37, 9, 2}, 400)
	for _, c := range []struct {
		what string
		list []byte
		want Reject
	}{
		{"a response in an attribute of another number", append(bytes.Clone(name), nested(response[:24])...), RejectNoCredential},
		{"hundreds of Vendor-Specifics before it", append(append(bytes.Clone(many), response...), name...), RejectPassword},
		{"a response cut by its Vendor-Specific", append(bytes.Clone(name), append([]byte{26, 10, 0, 0, 1, 0x37, 25, 52}, 1, 2)...), RejectNoCredential},
		{"zero length within", append(bytes.Clone(name), 26, 8, 0, 0, 1, 0x37, 25, 0), RejectNoCredential},
		{"User-Name inside a Vendor-Specific only", append(bytes.Clone(response), nested(name)...), RejectNoUserName},
		{"two responses", append(append(bytes.Clone(name), response...), response...), RejectMethod},
	} {
		before := h.Stats().Rejects[c.want]
		if a := answers(t, h, radius.CodeAccessRequest, c.list); a.Dropped || h.Stats().Rejects[c.want] != before+1 {
			t.Errorf("%s: %+v, rejects %v", c.what, a, h.Stats().Rejects)
		}
	}
	if n := len(r.taken()); n != 0 {
		t.Errorf("%d commands", n)
	}
}

// Accounting that makes no sense is dropped by its reason and never becomes a command.
func TestHostileAccountingIsCounted(t *testing.T) {
	h, r := fuzzHandler(t)
	status := []byte{40, 6, 0, 0, 0, 3}
	for _, c := range []struct {
		what string
		list []byte
		want Drop
	}{
		{"a thousand empty attributes", bytes.Repeat([]byte{200, 2}, 1000), DropMalformed},
		{"Acct-Status-Type of 3 octets", []byte{40, 5, 0, 0, 3, 44, 3, 's'}, DropMalformed},
		{"no session", status, DropNoSessionID},
		{"empty session", append(bytes.Clone(status), 44, 2), DropNoSessionID},
		{"a status that no RFC names", []byte{40, 6, 255, 255, 255, 255, 44, 3, 's'}, DropStatus},
		{"status 0", []byte{40, 6, 0, 0, 0, 0, 44, 3, 's'}, DropStatus},
		{"a counter of 8 octets", append(append(bytes.Clone(status), 44, 3, 's'), 42, 10, 1, 2, 3, 4, 5, 6, 7, 8), DropMalformed},
		{"an address of 5 octets", append(append(bytes.Clone(status), 44, 3, 's'), 8, 7, 1, 2, 3, 4, 5), DropMalformed},
	} {
		before := h.Stats().AcctDropped[c.want]
		if a := answers(t, h, radius.CodeAccountingRequest, c.list); !a.Dropped || h.Stats().AcctDropped[c.want] != before+1 {
			t.Errorf("%s: %+v, drops %v", c.what, a, h.Stats().AcctDropped)
		}
	}
	if n := len(r.taken()); n != 0 {
		t.Errorf("%d commands", n)
	}
}
