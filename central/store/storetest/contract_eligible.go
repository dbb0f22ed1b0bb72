package storetest

import (
	"strings"
	"testing"

	"meridian/central/accounts"
	"meridian/internal/feed"
	"meridian/internal/tariff"
)

// Who may have an offering is asked when it is sold, one or many at once, and when a
// subscription changes to it.
func testEligible(t *testing.T, open Opener) {
	w := NewWorld(t, open)
	var list []tariff.Offering
	for _, o := range []tariff.Offering{
		{ID: "gold", Eligibility: tariff.Eligibility{Segments: []string{"gold"}, CustomerTypes: []string{"person"}}},
		{ID: "web", Eligibility: tariff.Eligibility{Channels: []string{"web"}}},
		{ID: "extra", Requires: []string{"prepaid"}},
		{ID: "lonely", Excludes: []string{"prepaid"}},
	} {
		full := Offering(o.ID)
		full.Eligibility, full.Requires, full.Excludes = o.Eligibility, o.Requires, o.Excludes
		list = append(list, full)
	}
	_, err := w.Catalog.Publish(w.Ctx, list)
	w.must(err)
	_, err = w.Accounts.CreateCustomer(w.Ctx, accounts.NewCustomer{ID: "rich", Kind: accounts.Individual, Name: "Rich", Segment: "gold"})
	w.must(err)
	_, err = w.Accounts.CreateCustomer(w.Ctx, accounts.NewCustomer{ID: "poor", Kind: accounts.Individual, Name: "Poor"})
	w.must(err)
	for _, id := range []string{"rich", "poor"} {
		_, err = w.Accounts.OpenAccount(w.Ctx, accounts.NewAccount{ID: id, Customer: id, Currency: "EUR"})
		w.must(err)
	}
	sale := func(account, id, offering, channel string) accounts.NewSubscription {
		return accounts.NewSubscription{ID: id, Account: account, Home: "north", Login: id, Password: "pw", Offering: offering, Channel: channel}
	}
	says := func(what string, err error, want string) {
		t.Helper()
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", what, err, want)
		}
	}
	subscribe := func(account, id, offering, channel string) error {
		_, err := w.Accounts.Subscribe(w.Ctx, sale(account, id, offering, channel))
		return err
	}
	says("gold to poor", subscribe("poor", "p1", "gold", ""), "segment (none)")
	says("gold to rich", subscribe("rich", "r1", "gold", ""), "")
	says("web in no channel", subscribe("poor", "p2", "web", ""), "channel (not said)")
	says("web in the web", subscribe("poor", "p2", "web", "web"), "")
	says("extra alone", subscribe("poor", "p3", "extra", ""), "needs offering prepaid")
	says("prepaid", subscribe("poor", "p4", "prepaid", ""), "")
	says("extra with prepaid", subscribe("poor", "p3", "extra", ""), "")
	says("lonely with prepaid", subscribe("poor", "p5", "lonely", ""), "cannot be held with offering prepaid")

	change := func(sub, offering string) error {
		_, err := w.Orders.Place(w.Ctx, feed.Order{Subscription: sub, Action: feed.ActionChange, Offering: offering})
		return err
	}
	says("change to gold", change("p4", "gold"), "segment (none)")
	says("change to web, no channel said", change("p4", "web"), "channel (not said)")
	says("change of prepaid to lonely", change("p4", "lonely"), "")
	says("change of another to lonely", change("p2", "lonely"), "cannot be held with offering prepaid")
	says("change of rich to extra", change("r1", "extra"), "needs offering prepaid")
}
