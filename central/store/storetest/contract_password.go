package storetest

import (
	"context"
	"testing"

	"meridian/central/accounts"
	"meridian/central/fault"
	"meridian/central/store"
	"meridian/internal/feed"
	"meridian/internal/mschap"
)

// testPassword: a new password reaches the home's feed sealed, with its NT hash, as
// the next version of the whole row.
func testPassword(t *testing.T, open Opener) {
	w := NewWorld(t, open)
	w.Subscriber("u1", "north")
	w.Subscriber("u2", "north")
	for i, password := range []string{"second pässwörd", "third"} {
		after, err := w.Accounts.SetPassword(w.Ctx, accounts.NewPassword{Subscription: "s-u1", Password: password})
		w.must(err)
		if after.Version != uint64(i+2) {
			t.Errorf("version %d after change %d", after.Version, i+1)
		}
	}
	for name, c := range map[string]struct {
		in    accounts.NewPassword
		code  fault.Code
		field string
	}{
		"unknown":       {accounts.NewPassword{Subscription: "s-nobody", Password: "x"}, fault.NotFound, "subscription"},
		"empty":         {accounts.NewPassword{Subscription: "s-u1"}, fault.Invalid, "password"},
		"NUL at an end": {accounts.NewPassword{Subscription: "s-u1", Password: "x\x00"}, fault.Invalid, "password"},
		"no UTF-8":      {accounts.NewPassword{Subscription: "s-u1", Password: "\xff"}, fault.Invalid, "password"},
	} {
		_, err := w.Accounts.SetPassword(w.Ctx, c.in)
		if list := fault.List(err); len(list) != 1 || list[0].Code != c.code || list[0].Field != c.field || list[0].Value == c.in.Password && c.in.Password != "" {
			t.Errorf("%s: %v", name, err)
		}
	}
	w.must(w.Backend.Do(w.Ctx, "end it", func(ctx context.Context, tx store.Tx) error {
		return w.Accounts.Stores(tx).SaveState(ctx, []accounts.Subscription{{ID: "s-u2", Offering: "prepaid", Terminated: true}})
	}))
	if _, err := w.Accounts.SetPassword(w.Ctx, accounts.NewPassword{Subscription: "s-u2", Password: "x"}); !fault.Is(err, fault.Conflict) {
		t.Errorf("a subscription that has ended: %v", err)
	}
	w.Drain()
	rows, err := w.Sequencer.Rows(w.Ctx, "north", 0, 100)
	w.must(err)
	var last *feed.Subscription
	versions := 0
	for _, r := range rows {
		entity, err := r.Decode()
		w.must(err)
		if s, ok := entity.(*feed.Subscription); ok && s.ID == "s-u1" {
			last, versions = s, versions+1
		}
	}
	if versions == 0 || last.Login != "u1" || last.Account != "a-u1" || last.Offering != "prepaid" || last.Terminated {
		t.Fatalf("%d rows, the newest is %+v", versions, last)
	}
	plain, err := w.Rings["north"].Open(nil, last.Password, []byte(feed.PasswordAAD("s-u1")))
	if err != nil || string(plain) != "third" {
		t.Errorf("the newest password opens to %q, %v", plain, err)
	}
	want, _ := mschap.NTHash("third")
	if hash, err := w.Rings["north"].Open(nil, last.NTHash, []byte(feed.NTHashAAD("s-u1"))); err != nil || string(hash) != string(want[:]) {
		t.Errorf("the newest NT hash opens to %x, %v", hash, err)
	}
}
