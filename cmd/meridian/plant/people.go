package plant

import (
	"fmt"
	"strconv"
	"time"

	"meridian/cmd/meridian/traffic"
)

// Secret is shared by all NAS of the plant, as documented.
const Secret = "demo-secret"

// Currency of all accounts.
const Currency = "EUR"

// Offerings of the plant, as deploy/catalog has them.
const (
	OfferingPrepaid = "prepaid-volume"
	OfferingFlat    = "flat-home"
	OfferingFamily  = "family"
)

// Deposits: most prepaid subscribers paid in enough, some hardly anything, so
// that they are spent within seconds.
const (
	depositPrepaid = "20.00"
	depositSmall   = "0.01"
	depositFlat    = "25.00"
)

// Person is the n-th subscriber of the plant, from 1.
type Person int

// Account is the person's account.
func (n Person) Account() string { return fmt.Sprintf("acc%06d", int(n)) }

// Customer is the person as a customer.
func (n Person) Customer() string { return fmt.Sprintf("cus%06d", int(n)) }

// Subscription is the person's subscription.
func (n Person) Subscription() string { return fmt.Sprintf("sub%06d", int(n)) }

// Login is what the person logs in as.
func (n Person) Login() string { return fmt.Sprintf("user%06d", int(n)) }

// Password is the person's, as documented.
func (n Person) Password() string { return "pw-" + n.Login() }

// Prepaid tells whether the person pays by volume; one in three has a flat rate.
func (n Person) Prepaid() bool { return n%3 != 0 }

// Poor tells whether the person's money is soon spent.
func (n Person) Poor() bool { return n.Prepaid() && n%10 == 7 }

// Offering is what the person has subscribed to.
func (n Person) Offering() string {
	if n.Prepaid() {
		return OfferingPrepaid
	}
	return OfferingFlat
}

// Deposit is what the person paid in at first.
func (n Person) Deposit() string {
	switch {
	case n.Poor():
		return depositSmall
	case n.Prepaid():
		return depositPrepaid
	}
	return depositFlat
}

// Traffic describes the plant's NAS and subscribers to package traffic; witness,
// logger and load are the caller's to add. The speeds are those of the
// offerings' profiles.
func (s State) Traffic() traffic.Config {
	c := traffic.DefaultConfig()
	c.Secret = []byte(Secret)
	c.Run = strconv.FormatInt(time.Now().UnixMilli(), 36)
	c.NAS = make([]traffic.NAS, s.Nodes)
	for i := range c.NAS {
		nas := traffic.NAS{ID: s.NASID(i + 1), CoA: s.NASCoA(i + 1)}
		for k := range s.Nodes { // each NAS prefers another node
			n := (i+k)%s.Nodes + 1
			nas.Auth, nas.Acct = append(nas.Auth, s.Auth(n)), append(nas.Acct, s.Acct(n))
		}
		c.NAS[i] = nas
	}
	c.Subscribers = make([]traffic.Subscriber, s.Subscribers)
	for i := range c.Subscribers {
		p := Person(i + 1)
		c.Subscribers[i] = traffic.Subscriber{Login: p.Login(), Password: p.Password(), UpBps: 20_000_000, DownBps: 100_000_000, Eager: p.Poor()}
		if p.Prepaid() {
			c.Subscribers[i].UpBps, c.Subscribers[i].DownBps = 10_000_000, 40_000_000
		}
	}
	return c
}
