package trial

import (
	"fmt"
	"strings"
	"testing"

	"meridian/internal/why"
)

// A MB costs 10.00, and 4.00 for all beyond 1000; a bonus of money lasts a day.
const fallSheet = `id: volume
name: By volume
currency: EUR
service: internet
usage:
  - {name: data, unit: bytes, rates: [{mode: volume, tiers: [{up_to: 1000MB, price: 10 per MB, step: 1MB}, {price: 4 per MB, step: 1MB}]}]}
allowances: [{name: bonus, unit: money, amount: "9000", priority: -1, every: day}]
profile: {session_limit: 2, interim: 60s}
reservation: {quota: 1MB, ttl: 180s}
overrun: owed
`

// The cases of internal/charging (TestAFallGoesBackToWhoPaid) and edge/fsm
// (TestAFallAtTheEdgeGoesBackToWhoPaid), as meridian rate tells them.
func TestAFallInATrial(t *testing.T) {
	for _, c := range []struct {
		name, balances, usage, want string
	}{
		{"one bucket", "money 20000, bonus 0", "a 900, a 200, a 100", "money 9000.00; money -4600.00; money 400.00"},
		{"bonus, then money", "money 20000, bonus 3000", "a 900, a 200", "bonus 3000.00, money 6000.00; money -4600.00"},
		{"the bonus gets its own back", "money 20000, bonus 9000", "a 1100", "bonus 4400.00"},
		{"dry", "money 4000, bonus 0", "a 400, a 600, a 200", "money 4000.00; owed 6000.00; owed -5200.00"},
		{"dry midway, then cheaper", "money 9000, bonus 0", "a 950, a 150", "money 9000.00, owed 500.00; money -4600.00, owed -500.00"},
		{"dry midway, then a top-up", "money 4000, bonus 0", "a 400, a 100, +5000, a 400, a 200", "money 4000.00; owed 1000.00; ; money 4000.00; money -3600.00, owed -1000.00"},
		{"two sessions", "money 12000, bonus 0", "a 900, b 900, a 200, b 100", "money 9000.00; money 3000.00, owed 6000.00; money -4600.00; money 1000.00"},
		{"a bonus that was given anew", "money 1000", "a 900, next day, a 200", "bonus 9000.00; bonus 396.00, bonus lapsed 4996.00"},
	} {
		sheet := fallSheet
		usage, balances := "event,subscription,usage,session,start,quantity\nactivate,ann,,,2026-03-02T09:00:00Z,\n", "subscription,balance,value\n"
		for _, b := range strings.Split(c.balances, ", ") {
			balances += "ann," + strings.Replace(b, " ", ",", 1) + "\n"
		}
		day := 2
		for i, u := range strings.Split(c.usage, ", ") {
			at := fmt.Sprintf("2026-03-%02dT10:%02d:00Z", day, i)
			switch session, n, _ := strings.Cut(u, " "); {
			case u == "next day":
				day++
			case u[0] == '+':
				usage += fmt.Sprintf("top-up,ann,,,%s,%s\n", at, u[1:])
			default:
				usage += fmt.Sprintf("usage,ann,data,%s,%s,%sMB\n", session, at, n)
			}
		}
		var out []string
		for _, r := range try(t, sheet, usage, balances, why.English) {
			var list []string
			for _, p := range r.Payments {
				list = append(list, p.Balance+" "+p.Amount)
			}
			for _, p := range r.Lapsed {
				list = append(list, p.Balance+" lapsed "+p.Amount)
			}
			if r.Overrun != "" {
				list = append(list, "owed "+r.Overrun)
			}
			out = append(out, strings.Join(list, ", "))
		}
		if got := strings.Join(out, "; "); got != c.want {
			t.Errorf("%s: %s\n got %s\nwant %s", c.name, c.usage, got, c.want)
		}
	}
}
