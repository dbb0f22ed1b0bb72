package trial

import (
	"fmt"
	"strings"
	"testing"

	"meridian/internal/why"
)

// paidBy writes who paid each row of a trial.
func paidBy(rows []Rated) string {
	var out []string
	for i := range rows {
		r := &rows[i]
		var list []string
		for _, p := range r.Payments {
			list = append(list, p.Balance+" "+p.Amount)
		}
		if r.Overrun != "" {
			list = append(list, "overrun "+r.Overrun)
		}
		out = append(out, strings.TrimSpace(r.Event+" "+strings.Join(list, ", ")))
	}
	return strings.Join(out, "; ")
}

// By hand, at 1.00 a second: 2.00 of money and 7 s leave 5.00 unpaid. A top-up of
// 10.00 is money, whoever bears them: no deposit settles what is owed. 10 s cost 10.00,
// which it pays.
func TestATopUpPaysForNoOverrun(t *testing.T) {
	for _, policy := range []string{"owed", "absorbed"} {
		sheet := fmt.Sprintf("id: m\nname: M\ncurrency: EUR\nservice: voice\nusage: [{name: calls, unit: seconds, rates: [{price: 1.00 per second}]}]\n"+
			"profile: {session_limit: 1, interim: 60s}\nreservation: {quota: 5m, ttl: 180s}\noverrun: %s\n", policy)
		rows := try(t, sheet, "subscription,offering,usage,event,start,quantity\ns,m,,activate,2026-05-01T00:00:00Z,\ns,,calls,,2026-05-01T00:00:01Z,7s\n"+
			"s,,,top-up,2026-05-01T00:00:20Z,10\ns,,calls,,2026-05-01T00:00:30Z,10s\n", "subscription,balance,value\ns,money,2.00\n", why.Language(""))
		if got, want := paidBy(rows), "money 2.00, overrun 5.00; top-up; money 10.00"; got != want {
			t.Errorf("%s: got %s, want %s", policy, got, want)
		}
	}
}

// Of allowances of one priority the one whose time ends first pays first, as at the
// edge; one that is given each day ends with the day. By hand: 100 s once and 100 s each
// day; 100 s on the first day and twice 100 s on the second are paid by the first day's,
// the second day's and the one for ever: no money.
func TestWhatEndsFirstPaysFirst(t *testing.T) {
	sheet := "id: m\nname: M\ncurrency: EUR\nservice: voice\nusage: [{name: calls, unit: seconds, rates: [{price: 0.001 per second}]}]\n" +
		"allowances: [{name: aforever, unit: seconds, amount: 100s}, {name: zdaily, unit: seconds, amount: 100s, every: day, anchor: calendar SHARED}]\n" +
		"profile: {session_limit: 1, interim: 60s}\nreservation: {quota: 5m, ttl: 180s}\noverrun: owed\n"
	for _, shared := range []string{"", ", shared: {pool: fam}"} {
		rows := try(t, strings.Replace(sheet, " SHARED", shared, 1), "subscription,usage,start,quantity\ns,calls,2026-05-01T10:00:00Z,100s\ns,calls,2026-05-02T10:00:00Z,100s\ns,calls,2026-05-02T11:00:00Z,100s\n",
			"subscription,balance,value\ns,money,10.00\n", why.Language(""))
		if got, want := paidBy(rows), "zdaily 100s; zdaily 100s; aforever 100s"; got != want {
			t.Errorf("%q: got %s, want %s", shared, got, want)
		}
	}
}

// A session goes on with a new version as at the edge. By hand: 100 s and 60 s more, at
// 1.00 a minute, a fee of 0.20 and 30 s free, are 0.20 and 70 s, then 60 s. A plain price
// that becomes volume tiers begins them anew, gives nothing back that it did not charge,
// and takes no remainder of another price along.
func TestASessionGoesOnWithANewVersion(t *testing.T) {
	sheet := func(rates, from string) string {
		return "id: m\nname: M\ncurrency: EUR\nservice: voice\n" + from + "usage: [{name: calls, unit: seconds, " + rates + "}]\nprofile: {session_limit: 1, interim: 60s}\nreservation: {quota: 5m, ttl: 180s}\noverrun: owed\n"
	}
	const later = "valid_from: 2026-05-01T00:01:40Z\n"
	call := "free: {units: 30s}, rates: [{fee: \"0.20\", price: 1.00 per minute}]"
	tiers := "rates: [{mode: volume, tiers: [{up_to: 100s, price: 0.0005 per second}, {price: 0.0001 per second}]}]"
	for _, c := range []struct{ old, new, second, want string }{
		{call, call, "60s", "1.366666, 1.00"},
		{"rates: [{price: 0.001 per second}]", tiers, "2000s", "0.10, 0.20"}, // 2000 · 0.0001
		{"rates: [{price: 0.06 per 60000000s}]", "rates: [{price: 6.000001 per 7s}]", "70s", "0.00, 60.00001"},
	} {
		rows := try(t, sheet(c.old, "")+"---\n"+sheet(c.new, later), "subscription,session,usage,start,quantity\ns,1,calls,2026-05-01T00:00:00Z,100s\ns,1,calls,2026-05-01T00:01:40Z,"+c.second+"\n", "", why.Language(""))
		var got []string
		for i := range rows {
			got = append(got, rows[i].CostText)
		}
		if s := strings.Join(got, ", "); s != c.want {
			t.Errorf("%s, then %s: got %s, want %s", c.old, c.new, s, c.want)
		}
	}
}
