package trial

import (
	"fmt"
	"strings"
	"testing"

	"meridian/internal/why"
)

const pooled = `id: p
name: P
currency: EUR
zone: Europe/Berlin
service: voice
usage: [{name: calls, unit: seconds, rates: [{price: 0.60 per minute}]}]
allowances: [{name: minutes, unit: seconds, amount: 300s, every: month, ANCHOR, shared: {pool: fam, per_child: 200s}}]
profile: {session_limit: 1, interim: 60s}
reservation: {quota: 5m, ttl: 180s}
overrun: owed
`

// A pool of 300 s is given anew once a month, whoever comes first, and each child's
// part of 200 s with it. By hand: in May a takes 200 s, and b the 100 s that are
// left; in June 300 s are there again: a takes 200 s of 250 s, b 100 s of 150 s, c none.
// What nothing covers costs 0.01 a second.
func TestPoolRenewedOnce(t *testing.T) {
	const usage = `a,calls,,2026-05-02T10:00:00Z,200s
b,calls,,2026-05-03T10:00:00Z,150s
a,calls,,2026-06-12T10:00:00Z,250s
b,calls,,2026-06-12T11:00:00Z,150s
c,calls,,2026-06-12T12:00:00Z,100s
`
	const want = "a 0.00, b 0.50, a 0.50, b 0.50, c 1.00"
	for _, anchor := range []string{"anchor: calendar", "anchor: anniversary"} {
		for name, before := range map[string]string{
			"activated": "a,,activate,2026-05-01T10:00:00Z,\nb,,activate,2026-05-01T11:00:00Z,\nc,,activate,2026-05-01T12:00:00Z,\n",
			"not":       "",
		} {
			rated := try(t, strings.Replace(pooled, "ANCHOR", anchor, 1), "subscription,usage,event,start,quantity\n"+before+usage, "", why.Language(""))
			var got []string
			for i := range rated {
				if r := &rated[i]; r.Event == "" {
					got = append(got, fmt.Sprintf("%s %s", r.Subscription, r.CostText))
				}
			}
			if s := strings.Join(got, ", "); s != want {
				t.Errorf("%s, %s: got %s, want %s", anchor, name, s, want)
			}
		}
	}
}
