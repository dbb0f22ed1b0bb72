package aaa

import (
	"crypto/md5"
	"errors"
	"math/big"
	"slices"
	"testing"
	"time"

	"meridian/edge/command"
	"meridian/edge/fsm"
	"meridian/internal/feed"
	"meridian/internal/tariff"
	"meridian/radius"
	"meridian/radius/attr"
	"meridian/radius/radtest"
	"meridian/radius/vendor"
)

func TestLoginOutcomes(t *testing.T) {
	t.Parallel() // it waits for answers that do not come
	fee := flat("monthly", 2)
	fee.Recurring = tariff.EachDays(5*micros, 30)
	future := flat("future", 2)
	future.ValidFrom = epoch1 + 86400
	n := newNode(t, vendor.Generic, flat("flat", 2), flat("single", 1), fee, future, prepaid("volume", tariff.Bytes, micros, 1<<20, 1<<30))
	for _, login := range []string{"good", "barred", "ended", "nosecret"} {
		n.feed(n.subscriber(login, "flat"))
	}
	n.feed(n.subscriber("poor", "volume"), cash("poor", 0), n.subscriber("rich", "volume"), cash("rich", 5*micros))
	n.feed(n.subscriber("unpaid", "monthly"), n.subscriber("early", "future"), n.subscriber("busy", "single"))
	empty := n.subscriber("empty", "flat")
	empty.Password = n.seal("", feed.PasswordAAD(empty.ID))
	moved := n.subscriber("moved", "flat")
	moved.Password = n.seal("pw-moved", "subscription/another")
	n.feed(empty, moved)
	n.feed(&feed.Order{ID: "o1", Subscription: "sub-barred", Action: feed.ActionBar}, &feed.Order{ID: "o2", Subscription: "sub-ended", Action: feed.ActionTerminate})
	n.tick(epoch1 + 1)
	if _, err := n.login(radtest.Login{User: "busy", SessionID: "busy-1", Port: 1}); err != nil {
		t.Fatalf("first session: %v", err)
	}
	n.taken()

	const accepted, unanswered = "accepted", "unanswered"
	for _, c := range []struct {
		name     string
		login    radtest.Login
		commands int
		want     string
	}{
		{"PAP", radtest.Login{User: "good"}, 0, accepted},
		{"CHAP", radtest.Login{User: "good", Method: radtest.CHAP}, 0, accepted},
		{"metered", radtest.Login{User: "rich"}, 1, accepted},
		{"PAP, other password", radtest.Login{User: "good", Password: "pw-goof"}, 0, RejectPassword.Message()},
		{"CHAP, other password", radtest.Login{User: "good", Password: "pw-goof", Method: radtest.CHAP}, 0, RejectPassword.Message()},
		{"password is a prefix", radtest.Login{User: "good", Password: "pw-goo"}, 0, RejectPassword.Message()},
		{"unknown", radtest.Login{User: "nobody"}, 0, RejectUnknown.Message()},
		{"no password at the centre", radtest.Login{User: "empty", Method: radtest.CHAP}, 0, RejectPassword.Message()},
		{"barred", radtest.Login{User: "barred"}, 0, RejectBarred.Message()},
		{"barred, other password", radtest.Login{User: "barred", Password: "x"}, 0, RejectPassword.Message()},
		{"terminated", radtest.Login{User: "ended"}, 0, RejectTerminated.Message()},
		{"no balance", radtest.Login{User: "poor"}, 1, RejectNoBalance.Message()},
		{"period not paid", radtest.Login{User: "unpaid"}, 0, RejectUnpaid.Message()},
		{"offering not valid yet", radtest.Login{User: "early"}, 0, RejectNoOffering.Message()},
		{"session limit", radtest.Login{User: "busy", SessionID: "busy-2", Port: 2}, 1, RejectSessionLimit.Message()},
		{"password sealed for another", radtest.Login{User: "moved"}, 0, unanswered},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := accepted
			_, err := n.login(c.login)
			var rejected *radtest.RejectError
			switch {
			case errors.As(err, &rejected):
				got = rejected.Message
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
	want := [NumRejects]uint64{
		RejectUnknown: 1, RejectPassword: 5, RejectBarred: 1, RejectTerminated: 1, RejectNoBalance: 1, RejectUnpaid: 1,
		RejectNoOffering: 1, RejectSessionLimit: 1,
	}
	if s.Rejects != want || s.Accepts != 4 || s.AuthDropped[DropSealed] != 1 || s.PasswordFaults != 1 || s.ReservesWaiting != 0 || s.Reserves != 4 {
		t.Errorf("counters: %s", show(s))
	}
	var observed uint64
	for _, n := range s.Auth.Buckets {
		observed += n
	}
	if observed != 16 {
		t.Errorf("%d latencies for 16 replies", observed)
	}
}

func TestBacklogFullRefusesNewSessions(t *testing.T) {
	n := newNode(t, vendor.Generic, flat("flat", 2))
	n.feed(n.subscriber("good", "flat"))
	n.mu.Lock()
	n.state.Policy.MaxBacklogEntries = 1
	n.mu.Unlock()
	var rejected *radtest.RejectError
	if _, err := n.login(radtest.Login{User: "good"}); !errors.As(err, &rejected) || rejected.Message != RejectBacklog.Message() {
		t.Errorf("got %v", err)
	}
}

// Requests that no well-behaved NAS sends.
func TestOddRequests(t *testing.T) {
	n := newNode(t, vendor.Generic, flat("flat", 2))
	empty := n.subscriber("empty", "flat")
	empty.Password = n.seal("", feed.PasswordAAD(empty.ID))
	n.feed(n.subscriber("good", "flat"), empty)
	for _, c := range []struct {
		name string
		fill func(b *attr.Builder, authenticator [16]byte)
		want Reject
	}{
		{"no credential", func(b *attr.Builder, _ [16]byte) { b.String(attr.UserName, "good") }, RejectNoCredential},
		{"no user name", func(b *attr.Builder, a [16]byte) { b.UserPassword([]byte("pw-good"), []byte(secret), a) }, RejectNoUserName},
		{"empty user name", func(b *attr.Builder, a [16]byte) {
			b.String(attr.UserName, "")
			b.UserPassword([]byte("pw-good"), []byte(secret), a)
		}, RejectNoUserName},
		{"empty password of a login without one", func(b *attr.Builder, a [16]byte) {
			b.String(attr.UserName, "empty")
			b.UserPassword(nil, []byte(secret), a)
		}, RejectPassword},
		{"two methods", func(b *attr.Builder, a [16]byte) {
			b.String(attr.UserName, "good")
			b.UserPassword([]byte("pw-good"), []byte(secret), a)
			b.CHAP(1, []byte("pw-good"), nil, a)
		}, RejectMethod},
		{"MS-CHAPv1", func(b *attr.Builder, _ [16]byte) {
			b.String(attr.UserName, "good")
			b.VSA(attr.VendorMicrosoft, attr.MSCHAPResponse, make([]byte, 50))
		}, RejectMethod},
		{"MS-CHAPv2 without a challenge", func(b *attr.Builder, _ [16]byte) {
			b.String(attr.UserName, "good")
			b.VSA(attr.VendorMicrosoft, attr.MSCHAP2Response, make([]byte, 50))
		}, RejectMalformed},
		{"MS-CHAPv2 and PAP", func(b *attr.Builder, a [16]byte) {
			b.String(attr.UserName, "good")
			b.MSCHAP2Request(attr.MSCHAP2{})
			b.UserPassword([]byte("pw-good"), []byte(secret), a)
		}, RejectMethod},
		{"User-Password of 17 octets", func(b *attr.Builder, _ [16]byte) {
			b.String(attr.UserName, "good")
			b.Bytes(attr.UserPassword, make([]byte, 17))
		}, RejectMalformed},
		{"CHAP-Password of 16 octets", func(b *attr.Builder, _ [16]byte) {
			b.String(attr.UserName, "good")
			b.Bytes(attr.CHAPPassword, make([]byte, 16))
		}, RejectMalformed},
		{"user name with a NUL", func(b *attr.Builder, a [16]byte) {
			b.String(attr.UserName, "good\x00")
			b.UserPassword([]byte("pw-good"), []byte(secret), a)
		}, RejectUnknown},
	} {
		t.Run(c.name, func(t *testing.T) {
			before := n.handler.Stats().Rejects[c.want]
			r, err := n.exchange(radius.CodeAccessRequest, n.server.AuthAddr(), c.fill)
			if err != nil {
				t.Fatal(err)
			}
			if r.Code != radius.CodeAccessReject || r.Attributes.Text(attr.ReplyMessage) != c.want.Message() {
				t.Errorf("got %v %q", r.Code, r.Attributes.Text(attr.ReplyMessage))
			}
			if after := n.handler.Stats().Rejects[c.want]; after != before+1 {
				t.Errorf("%v counted %d times", c.want, after-before)
			}
		})
	}
}

func TestCHAPChallengeAttribute(t *testing.T) {
	n := newNode(t, vendor.Generic, flat("flat", 2))
	n.feed(n.subscriber("good", "flat"))
	challenge := []byte("a challenge longer than sixteen octets")
	response := md5.Sum(slices.Concat([]byte{7}, []byte("pw-good"), challenge))
	r, err := n.exchange(radius.CodeAccessRequest, n.server.AuthAddr(), func(b *attr.Builder, _ [16]byte) {
		b.String(attr.UserName, "good")
		b.Bytes(attr.CHAPPassword, append([]byte{7}, response[:]...))
		b.Bytes(attr.CHAPChallenge, challenge)
	})
	if err != nil || r.Code != radius.CodeAccessAccept {
		t.Fatalf("%v, %v", r.Code, err)
	}
}

func TestEAPEndsWithFailure(t *testing.T) {
	n := newNode(t, vendor.Generic)
	r, err := n.exchange(radius.CodeAccessRequest, n.server.AuthAddr(), func(b *attr.Builder, _ [16]byte) {
		b.String(attr.UserName, "good")
		b.Bytes(attr.EAPMessage, []byte{2, 77, 0, 9, 1, 'g', 'o', 'o', 'd'})
	})
	if err != nil || r.Code != radius.CodeAccessReject {
		t.Fatalf("%v, %v", r.Code, err)
	}
	if got := r.Attributes.Bytes(attr.EAPMessage); !slices.Equal(got, []byte{4, 77, 0, 4}) || r.Attributes.Has(attr.ReplyMessage) {
		t.Errorf("EAP-Message %v, Reply-Message %t", got, r.Attributes.Has(attr.ReplyMessage))
	}
}

// affordable is the largest quantity whose price, rounded down, the money pays:
// found by bisection over the exact price, without the rating code.
func affordable(money, price, per int64) int64 {
	pays := func(q int64) bool {
		cost := new(big.Int).Mul(big.NewInt(q), big.NewInt(price))
		return cost.Div(cost, big.NewInt(per)).Cmp(big.NewInt(money)) <= 0
	}
	low, high := int64(0), int64(1)<<50
	for low < high {
		mid := low + (high-low+1)/2
		if pays(mid) {
			low = mid
		} else {
			high = mid - 1
		}
	}
	return low
}

func TestLimitIsWhatTheMoneyBuys(t *testing.T) {
	for _, c := range []struct {
		name, vendor string
		unit         tariff.Unit
		price, per   int64
		money        int64
	}{
		{"volume", vendor.Generic, tariff.Bytes, 123_457, 1 << 20, 5*micros + 7},
		{"volume beyond 4 GiB", vendor.Mikrotik, tariff.Bytes, 1_000_003, 1 << 30, 37 * micros},
		{"volume beyond 4 GiB, generic", vendor.Generic, tariff.Bytes, 1_000_003, 1 << 30, 37 * micros},
		{"time", vendor.Generic, tariff.Seconds, 700_001, 3600, 2 * micros},
	} {
		t.Run(c.name, func(t *testing.T) {
			n := newNode(t, c.vendor, prepaid("p", c.unit, c.price, c.per, 1<<45))
			n.feed(n.subscriber("user", "p"), cash("user", c.money))
			s, err := n.login(radtest.Login{User: "user"})
			if err != nil {
				t.Fatal(err)
			}
			got, other := s.Profile.VolumeLimitBytes, s.Profile.SessionTimeoutS
			if c.unit == tariff.Seconds {
				got, other = other, got
			}
			if want := affordable(c.money, c.price, c.per); got != want || other != 0 {
				t.Errorf("limit %d (and %d), the money buys %d", got, other, want)
			}
		})
	}
}

func TestAcceptCarriesTheProfile(t *testing.T) {
	for _, name := range []string{vendor.Generic, vendor.Mikrotik, vendor.AccelPPP} {
		t.Run(name, func(t *testing.T) {
			o := flat("flat", 3)
			o.Profile.Pool = "pool-7"
			n := newNode(t, name, o)
			n.feed(n.subscriber("user", "flat"))
			s, err := n.login(radtest.Login{User: "user"})
			if err != nil {
				t.Fatal(err)
			}
			p := s.Profile
			if p.UpBps != 20_000_000 || p.DownBps != 100_000_000 || p.Pool != "pool-7" || p.VolumeLimitBytes != 0 || p.SessionTimeoutS != 0 {
				t.Errorf("profile %+v", p)
			}
			if len(s.Classes) != 1 || string(s.Classes[0]) != "sub-user/flat@1" {
				t.Errorf("classes %q", s.Classes)
			}
			if p.InterimS != interimOf(o, "user") {
				t.Errorf("interim %d, want %d", p.InterimS, interimOf(o, "user"))
			}
		})
	}
}

func TestInterimJitterIsBoundedAndSpread(t *testing.T) {
	o := flat("flat", 1)
	seen := map[int64]int{}
	for i := range 10_000 {
		v := interimOf(o, "user"+string(rune('a'+i%26))+time.Unix(int64(i), 0).UTC().Format("150405"))
		if v < 600 || v > 720 {
			t.Fatalf("interim %d outside 600 to 720", v)
		}
		seen[v]++
	}
	for v, n := range seen {
		if n > 10_000/121*3 {
			t.Errorf("%d of 10000 logins report every %d s", n, v)
		}
	}
	if len(seen) != 121 {
		t.Errorf("%d of 121 intervals used", len(seen))
	}
}

// A request that the NAS repeats under another identifier, the first answer being
// lost, gets the same answer and holds nothing a second time.
func TestRepeatedLoginGetsTheSameLimit(t *testing.T) {
	n := newNode(t, vendor.Generic, prepaid("p", tariff.Bytes, micros, 1<<20, 2<<20))
	n.feed(n.subscriber("user", "p"), cash("user", 5*micros))
	ask := func() int64 {
		r, err := n.exchange(radius.CodeAccessRequest, n.server.AuthAddr(), func(b *attr.Builder, a [16]byte) {
			b.String(attr.UserName, "user")
			b.UserPassword([]byte("pw-user"), []byte(secret), a)
			b.String(attr.AcctSessionID, "s-1")
		})
		if err != nil || r.Code != radius.CodeAccessAccept {
			t.Fatalf("%v, %v", r.Code, err)
		}
		p, err := vendor.Decode(vendor.Generic, r.Attributes)
		if err != nil {
			t.Fatal(err)
		}
		return p.VolumeLimitBytes
	}
	first := ask()
	n.View(func(s *fsm.State) {
		if held := s.Account("acc-user")[0].Held; held != 2*micros {
			t.Errorf("held %d", held)
		}
	})
	second := ask()
	n.View(func(s *fsm.State) {
		if held := s.Account("acc-user")[0].Held; held != 2*micros {
			t.Errorf("held %d after the repetition", held)
		}
	})
	if first != second || first != 2<<20 {
		t.Errorf("limits %d and %d", first, second)
	}
}

// The line takes the place of a missing Acct-Session-Id, and the Start adopts it.
func TestReservationByLine(t *testing.T) {
	n := newNode(t, vendor.Generic, prepaid("p", tariff.Bytes, micros, 1<<20, 1<<20))
	n.feed(n.subscriber("user", "p"), cash("user", 5*micros))
	s, err := n.login(radtest.Login{User: "user", HideSessionID: true, CallingStation: "00:11:22:33:44:55", Port: 17})
	if err != nil {
		t.Fatal(err)
	}
	commands := n.taken()
	want := &command.Reserve{
		NAS: nasID, Key: fsm.ReserveKey(nasID, "", "00:11:22:33:44:55", "17", "user"), Login: "user", CallingStation: "00:11:22:33:44:55", NASPort: "17",
	}
	got, ok := commands[0].(*command.Reserve)
	if !ok || len(commands) != 1 || got.At == 0 || got.Node != "north-1" {
		t.Fatalf("commands %s", show(commands))
	}
	if want.Meta = got.Meta; *got != *want {
		t.Errorf("got %+v, want %+v", got, want)
	}
	if err := s.Start(t.Context(), time.Unix(epoch1, 0)); err != nil {
		t.Fatal(err)
	}
	n.View(func(s *fsm.State) {
		if c := s.Count(); c.Reservations != 0 || c.Open != 1 {
			t.Errorf("after Start: %+v", c)
		}
	})
}

func TestLastSlotWaitsForTheLog(t *testing.T) {
	n := newNode(t, vendor.Generic, flat("flat", 2))
	n.feed(n.subscriber("user", "flat"))
	for i, want := range []struct {
		commands int
		accepted bool
	}{{0, true}, {1, true}, {1, false}} {
		s, err := n.login(radtest.Login{User: "user", Port: uint32(i)})
		if commands := len(n.taken()); commands != want.commands || (err == nil) != want.accepted {
			t.Fatalf("login %d: %d commands, error %v", i, commands, err)
		}
		if err == nil {
			if err := s.Start(t.Context(), time.Unix(epoch1, 0)); err != nil {
				t.Fatal(err)
			}
			n.taken()
		}
	}
}

func TestReserveWithoutAnAnswer(t *testing.T) {
	t.Parallel() // it waits for answers that do not come
	n := newNode(t, vendor.Generic, prepaid("p", tariff.Bytes, micros, 1<<20, 1<<20))
	n.feed(n.subscriber("user", "p"), cash("user", 5*micros))
	for _, c := range []struct {
		name string
		set  func(*region)
		want Drop
	}{
		{"no leader", func(r *region) { r.refuse = errNoLeader }, DropLog},
		{"overloaded", func(r *region) { r.refuse, r.answer = nil, &command.Result{Code: command.Overloaded} }, DropOverload},
		{"no epoch", func(r *region) { r.answer = &command.Result{Code: command.NotConfigured} }, DropNotConfigured},
	} {
		n.set(c.set)
		_, err := n.login(radtest.Login{User: "user"})
		if !errors.Is(err, radtest.ErrTimeout) || n.handler.Stats().AuthDropped[c.want] != 1 {
			t.Errorf("%s: %v, counters %s", c.name, err, show(n.handler.Stats()))
		}
	}
}

func TestStaleNode(t *testing.T) {
	t.Parallel() // it waits for answers that do not come
	n := newNode(t, vendor.Generic, flat("flat", 2), prepaid("p", tariff.Bytes, micros, 1<<20, 1<<20))
	n.feed(n.subscriber("flat", "flat"), n.subscriber("metered", "p"), cash("metered", 5*micros), n.subscriber("barred", "flat"))
	n.feed(&feed.Order{ID: "o1", Subscription: "sub-barred", Action: feed.ActionBar})
	if !n.handler.Ready() {
		t.Error("not ready with a leader")
	}
	n.set(func(r *region) { r.heard = time.Now().Add(-11 * time.Second) })
	if n.handler.Ready() {
		t.Error("ready without a leader")
	}
	if _, err := n.login(radtest.Login{User: "flat"}); err != nil {
		t.Errorf("flat rate: %v", err)
	}
	for _, l := range []radtest.Login{{User: "metered"}, {User: "barred"}, {User: "nobody"}, {User: "flat", Password: "x"}} {
		if _, err := n.login(l); !errors.Is(err, radtest.ErrTimeout) {
			t.Errorf("%s: %v, want no answer", l.User, err)
		}
	}
	s := n.handler.Stats()
	if commands := len(n.taken()); s.AcceptsStale != 1 || s.AuthDropped[DropStale] != 4 || commands != 0 {
		t.Errorf("%d commands, counters %s", commands, show(s))
	}
	n.set(func(r *region) { r.heard = time.Time{} })
	if _, err := n.login(radtest.Login{User: "metered"}); err != nil {
		t.Errorf("with a leader again: %v", err)
	}
}

func TestStaleNodeByPolicyAcceptsNothing(t *testing.T) {
	t.Parallel() // it waits for answers that do not come
	cfg := testConfig()
	cfg.AcceptWhenStale = false
	n := newNodeWith(t, cfg, vendor.Generic, flat("flat", 2))
	n.feed(n.subscriber("flat", "flat"))
	n.set(func(r *region) { r.heard = time.Now().Add(-11 * time.Second) })
	if _, err := n.login(radtest.Login{User: "flat"}); !errors.Is(err, radtest.ErrTimeout) {
		t.Errorf("got %v, want no answer", err)
	}
}
