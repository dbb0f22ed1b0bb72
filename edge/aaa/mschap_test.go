package aaa

import (
	"context"
	"errors"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"meridian/internal/feed"
	"meridian/internal/tariff"
	"meridian/radius"
	"meridian/radius/attr"
	"meridian/radius/radtest"
	"meridian/radius/vendor"
)

// The simulated NAS verifies MS-CHAP2-Success and both MPPE keys by another
// implementation (layeh.com/radius) before it calls a login accepted.
func TestMSCHAP2Outcomes(t *testing.T) {
	t.Parallel() // it waits for an answer that does not come
	n := newNode(t, vendor.Generic, flat("flat", 2), prepaid("volume", tariff.Bytes, micros, 1<<20, 1<<30))
	n.feed(n.subscriber("good", "flat"), n.subscriber("barred", "flat"), n.subscriber("ended", "flat"), n.subscriberWith(`DOM\user`, "pässwörd𝄞", "flat"))
	n.feed(n.subscriber("rich", "volume"), cash("rich", 5*micros), n.subscriber("poor", "volume"), cash("poor", 0))
	older, moved, short := n.subscriber("older", "flat"), n.subscriber("moved", "flat"), n.subscriber("short", "flat")
	older.NTHash = nil
	moved.NTHash = n.seal(strings.Repeat("x", 16), feed.NTHashAAD("sub-another"))
	short.NTHash = n.seal("15 octets of it", feed.NTHashAAD(short.ID))
	n.feed(older, moved, short)
	n.feed(&feed.Order{ID: "o1", Subscription: "sub-barred", Action: feed.ActionBar}, &feed.Order{ID: "o2", Subscription: "sub-ended", Action: feed.ActionTerminate})
	n.tick(epoch1 + 1)
	const accepted, unanswered = "accepted", "unanswered"
	for _, c := range []struct {
		name, user, password string
		commands             int
		want                 string // else the code of MS-CHAP-Error
	}{
		{"answered from the replica", "good", "", 0, accepted},
		{"metered: the log answers", "rich", "", 1, accepted},
		{"domain and letters of other scripts", `DOM\user`, "pässwörd𝄞", 0, accepted},
		{"other password", "good", "pw-goof", 0, "691"},
		{"unknown", "nobody", "", 0, "691"},
		{"row from before NT hashes", "older", "", 0, "691"},
		{"barred", "barred", "", 0, "647"},
		{"barred, other password", "barred", "x", 0, "691"},
		{"terminated", "ended", "", 0, "647"},
		{"no balance", "poor", "", 1, "649"},
		{"hash sealed for another", "moved", "", 0, unanswered},
		{"hash of a wrong length", "short", "", 0, unanswered},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := accepted
			_, err := n.login(radtest.Login{User: c.user, Password: c.password, Method: radtest.MSCHAP2})
			var rejected *radtest.RejectError
			switch {
			case errors.As(err, &rejected):
				m := regexp.MustCompile(`^E=(\d{3}) R=0 C=[0-9A-F]{32} V=3$`).FindStringSubmatch(rejected.MSCHAP)
				if m == nil {
					t.Fatalf("MS-CHAP-Error is %q", rejected.MSCHAP)
				}
				got = m[1]
			case errors.Is(err, radtest.ErrTimeout):
				got = unanswered
			case err != nil:
				t.Fatal(err)
			}
			if commands := len(n.taken()); got != c.want || commands != c.commands {
				t.Errorf("got %q with %d commands, want %q with %d", got, commands, c.want, c.commands)
			}
		})
	}
	s := n.handler.Stats()
	want := [NumRejects]uint64{RejectUnknown: 1, RejectPassword: 2, RejectNoHash: 1, RejectBarred: 1, RejectTerminated: 1, RejectNoBalance: 1}
	if s.Rejects != want || s.Accepts != 3 || s.AuthDropped[DropSealed] != 2 {
		t.Errorf("counters: %s", show(s))
	}
}

// RFC 2865 section 5.44 and RFC 2548 section 2.1.5: what a rejection may hold.
func TestMSCHAP2RejectHoldsOnlyWhatItMay(t *testing.T) {
	n := newNode(t, vendor.Mikrotik, flat("flat", 2))
	n.feed(n.subscriber("good", "flat"))
	wrong := func(b *attr.Builder, _ [16]byte) {
		b.String(attr.UserName, "good")
		b.MSCHAP2Request(attr.MSCHAP2{Identifier: 9})
		b.String(attr.ProxyState, "via")
	}
	short := func(b *attr.Builder, _ [16]byte) {
		b.String(attr.UserName, "good")
		b.VSA(attr.VendorMicrosoft, attr.MSCHAP2Response, []byte{9})
		b.String(attr.ProxyState, "via")
	}
	challenges := map[string]bool{}
	for _, fill := range []func(*attr.Builder, [16]byte){wrong, wrong, short} {
		r, err := n.exchange(radius.CodeAccessRequest, n.server.AuthAddr(), fill)
		if err != nil || r.Code != radius.CodeAccessReject {
			t.Fatalf("%v, %v", r.Code, err)
		}
		var kinds []attr.Type
		for k := range r.Attributes.All() {
			kinds = append(kinds, k)
		}
		if want := []attr.Type{attr.MessageAuthenticator, attr.VendorSpecific, attr.ReplyMessage, attr.ProxyState}; !slices.Equal(kinds, want) {
			t.Errorf("attributes %v, want %v", kinds, want)
		}
		v, _ := r.Attributes.VSA(attr.VendorMicrosoft, attr.MSCHAPError)
		if len(v) != 49 || v[0] != 9 || !strings.HasPrefix(string(v[1:]), "E=691 R=0 C=") {
			t.Fatalf("MS-CHAP-Error is %q", v)
		}
		challenges[string(v[13:45])] = true
	}
	if len(challenges) != 3 {
		t.Errorf("the challenge of a failure repeats: %v", challenges)
	}
}

// A hash is opened once, not at each login, and an answer is made once: a
// retransmission gets the same octets, salts included.
func TestMSCHAP2OpensAHashOnce(t *testing.T) {
	n := newNode(t, vendor.Generic, flat("flat", 2))
	n.feed(n.subscriber("good", "flat"))
	for range 5 {
		if _, err := n.login(radtest.Login{User: "good", Method: radtest.MSCHAP2}); err != nil {
			t.Fatal(err)
		}
	}
	if s := n.handler.Stats(); s.PasswordOpens != 1 || s.PasswordHits != 4 || s.PasswordsCached != 1 {
		t.Errorf("counters: %s", show(s))
	}
	changed := n.subscriberWith("good", "another", "flat")
	n.feed(changed)
	var rejected *radtest.RejectError
	if _, err := n.login(radtest.Login{User: "good", Method: radtest.MSCHAP2}); !errors.As(err, &rejected) {
		t.Errorf("the password before the change: %v", err)
	}
	if _, err := n.login(radtest.Login{User: "good", Password: "another", Method: radtest.MSCHAP2}); err != nil {
		t.Errorf("the password after the change: %v", err)
	}
	if len(n.taken()) != 0 {
		t.Error("a flat-rate login went through the log")
	}
}

// FreeRADIUS's client sends the example of RFC 2759 section 9.2 and opens the MPPE
// keys with its own code: proof and keys must be those of RFC 2759 and RFC 3079.
func TestMSCHAP2RFCExampleByRadclient(t *testing.T) {
	path, err := exec.LookPath("radclient")
	if err != nil {
		t.Fatal("radclient is missing: apt-get install -y freeradius-utils")
	}
	n := newNode(t, vendor.Generic, flat("flat", 2))
	local := n.region.nas("local", "127.0.0.1", vendor.Generic, "")
	n.feed(local, n.subscriberWith("User", "clientPass", "flat"))
	n.handler.Refresh()
	ask := func(response string) string {
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		defer cancel()
		cmd := exec.CommandContext(ctx, path, "-x", "-r", "1", "-t", "3", n.server.AuthAddr().String(), "auth", secret)
		cmd.Stdin = strings.NewReader("User-Name=User,MS-CHAP-Challenge=0x5B5D7C7D7B3F2F3E3C2C602132262628,MS-CHAP2-Response=0x" + response + ",Message-Authenticator=0x00\n")
		out, _ := cmd.CombinedOutput() // a rejection is exit status 1
		return string(out)
	}
	const head = "0100" + "21402324255E262A28295F2B3A337C7E" + "0000000000000000"
	out := ask(head + "82309ECD8D708B5EA08FAA3981CD83544233114A3D85D6DF")
	for _, want := range []string{
		"Received Access-Accept",
		"MS-CHAP2-Success = 0x01533d34303741353538393131354644304436323039463531304645394330343536363933324344413536",
		"MS-MPPE-Encryption-Policy = Encryption-Allowed",
		"MS-MPPE-Encryption-Types = ",
		"MS-MPPE-Send-Key = 0x8b7cdc149b993a1ba118cb153f56dccb",
		"MS-MPPE-Recv-Key = 0xd5f0e9521e3ea9589645e86051c82226",
	} {
		if !strings.Contains(out, want) {
			t.Errorf("no %q in\n%s", want, out)
		}
	}
	out = ask(head + "82309ECD8D708B5EA08FAA3981CD83544233114A3D85D6DE")
	if !strings.Contains(out, "Received Access-Reject") || !strings.Contains(out, `MS-CHAP-Error = "\001E=691 R=0 C=`) || strings.Contains(out, "MPPE") {
		t.Errorf("a wrong response:\n%s", out)
	}
}
