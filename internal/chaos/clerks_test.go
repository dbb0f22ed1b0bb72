package chaos

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"meridian/internal/money"
	"meridian/internal/sim/history"
	"meridian/internal/verify"
)

// clerks take payments and place orders at the centre, each repeated under its own
// key until it is answered, and read what the account was credited. An auditor
// reads the region through its log.
type clerks struct {
	w       *world
	history *history.Recorder
	cancel  context.CancelFunc
	ctx     context.Context
	wg      sync.WaitGroup

	gate    sync.RWMutex
	mu      sync.Mutex
	orders  []string
	failed  error
	deposit atomic.Int64
	placed  atomic.Int64
	audits  atomic.Int64
	open    atomic.Int64 // ended without an answer
}

func newClerks(w *world, seed uint64, each time.Duration, rec *history.Recorder) *clerks {
	c := &clerks{w: w, history: rec}
	c.ctx, c.cancel = context.WithCancel(context.Background())
	for n := range 3 {
		rng := rand.New(rand.NewPCG(seed, uint64(n)+9000))
		c.wg.Go(func() { c.serve(n, rng) })
	}
	c.wg.Go(func() {
		rng := rand.New(rand.NewPCG(seed, 9100))
		for c.idle(each) {
			c.audit(1 + rng.IntN(nodes))
		}
	})
	return c
}

func (c *clerks) idle(d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-c.ctx.Done():
		return false
	}
}

func (c *clerks) fail(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.failed = errors.Join(c.failed, err)
}

func (c *clerks) clock() int64 { return int64(time.Since(c.w.began)) }

// serve is one clerk's day.
func (c *clerks) serve(n int, rng *rand.Rand) {
	for serial := 0; c.idle(time.Duration(20+rng.IntN(80)) * time.Millisecond); serial++ {
		key := fmt.Sprintf("chaos-%d-%d-%d", c.w.began.UnixNano(), n, serial)
		switch rng.IntN(6) {
		case 0:
			c.books(n, c.anybody(rng))
		case 1:
			c.order(key, person(subscribers-rng.IntN(ordered)), rng)
		default:
			c.pay(n, key, c.anybody(rng), 1+rng.Int64N(50))
		}
	}
}

// anybody is one of the accounts whose money is followed.
func (c *clerks) anybody(rng *rand.Rand) person {
	for {
		if p := person(1 + rng.IntN(subscribers-ordered)); p.modelled() {
			return p
		}
	}
}

// persist repeats a request under one key until it is answered, as a client does
// that must know; false when the day ended before.
func (c *clerks) persist(do func(context.Context) error) bool {
	c.gate.RLock()
	defer c.gate.RUnlock()
	for {
		err := do(c.ctx)
		var r *refusal
		switch {
		case err == nil:
			return true
		case errors.As(err, &r) && r.status < 500 && r.status != 409 && r.status != 429:
			c.fail(err)
			return false
		}
		if !c.idle(200 * time.Millisecond) {
			c.open.Add(1)
			return false
		}
	}
}

func (c *clerks) pay(n int, key string, who person, cents int64) {
	in := history.Input{Account: who.account(), Kind: history.Credit, Amount: cents * 10_000}
	body := map[string]string{"account": who.account(), "amount": fmt.Sprintf("%d.%02d", cents/100, cents%100), "currency": "EUR", "method": "bank"}
	call := c.clock()
	if !c.persist(func(ctx context.Context) error {
		return c.w.http.do(ctx, "POST", centreAddr+":8080", "/v1/deposits", key, body, nil)
	}) {
		c.history.Lost(1000+n, call, in)
		return
	}
	c.history.Done(1000+n, call, c.clock(), in, history.Output{})
	c.deposit.Add(1)
}

// books reads what the centre says that the account was credited.
func (c *clerks) books(n int, who person) {
	c.gate.RLock()
	defer c.gate.RUnlock()
	var out struct{ Buckets []struct{ Credited int64 } }
	call := c.clock()
	if err := c.w.http.get(c.ctx, centreAddr+":8080", "/v1/accounts/"+who.account(), &out); err != nil {
		return // a read without an answer says nothing
	}
	var sum int64
	for _, b := range out.Buckets {
		sum += b.Credited
	}
	c.history.Done(1000+n, call, c.clock(), history.Input{Account: who.account(), Kind: history.Books}, history.Output{Credited: sum})
}

// order bars, unbars or debits somebody.
func (c *clerks) order(key string, who person, rng *rand.Rand) {
	body := map[string]string{"id": key, "subscription": who.subscription(), "action": []string{"bar", "unbar", "debit"}[rng.IntN(3)], "reason": "chaos"}
	if body["action"] == "debit" {
		body["amount"] = "0.01"
	}
	if c.persist(func(ctx context.Context) error {
		return c.w.http.do(ctx, "POST", centreAddr+":8080", "/v1/orders", key, body, nil)
	}) {
		c.placed.Add(1)
		c.mu.Lock()
		c.orders = append(c.orders, key)
		c.mu.Unlock()
	}
}

// audit reads the region through its log: every session and every lease as they
// were at one point of it, which lies between question and answer.
func (c *clerks) audit(n int) {
	c.gate.RLock()
	defer c.gate.RUnlock()
	host, call := nodeAddr(n)+":8090", c.clock()
	var asked struct {
		AskedBy string
		AskedAt int64
	}
	if err := c.w.http.do(c.ctx, "POST", host, "/v1/audit", "", nil, &asked); err != nil {
		return
	}
	var r verify.EdgeReport
	for tries := 0; r.AskedBy != asked.AskedBy || r.AskedAt != asked.AskedAt; tries++ { // until then it shows the one before
		if err := c.w.http.get(c.ctx, host, "/v1/audit", &r); tries == 20 || err != nil && c.ctx.Err() != nil || !c.idle(50*time.Millisecond) {
			return
		}
	}
	c.region(call, c.clock(), &r)
}

// region writes down what an audit said of each account.
func (c *clerks) region(call, ret int64, r *verify.EdgeReport) {
	c.audits.Add(1)
	views := map[string]*history.Output{}
	owner := map[string]string{}
	for _, b := range r.Buckets {
		v := views[b.Account]
		if v == nil {
			v = &history.Output{}
			views[b.Account] = v
		}
		v.Granted, v.Returned, v.Charged = v.Granted+b.G, v.Returned+b.X, v.Charged+b.S+b.U
	}
	for p := person(1); p <= subscribers; p++ {
		owner[p.subscription()] = p.account()
	}
	for _, s := range r.Sessions {
		if v := views[owner[s.Subscription]]; v != nil && strings.HasPrefix(s.Key.ID, "c") {
			v.Sessions = append(v.Sessions, history.Session{ID: sessionName(s.Key.NAS, s.Key.ID), Open: s.Open, Counters: history.Counters{In: s.In, Out: s.Out, Seconds: s.Seconds}})
		}
	}
	for p := person(1); p <= subscribers-ordered; p++ {
		if v := views[p.account()]; v != nil && p.modelled() {
			c.history.Done(2000, call, ret, history.Input{Account: p.account(), Kind: history.Region}, *v)
		}
	}
}

// pause holds further requests back until resume; the system must answer.
func (c *clerks) pause()  { c.gate.Lock() }
func (c *clerks) resume() { c.gate.Unlock() }

// stop ends the day.
func (c *clerks) stop() error {
	c.cancel()
	c.wg.Wait()
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.failed
}

// settled wants every order that was placed to be answered, once.
func (c *clerks) settled(ctx context.Context) error {
	c.mu.Lock()
	orders := slices.Clone(c.orders)
	c.mu.Unlock()
	for _, id := range orders {
		var o struct{ Status, Detail string }
		if err := c.w.http.get(ctx, centreAddr+":8080", "/v1/orders/"+id, &o); err != nil {
			return err
		}
		if o.Status != "executed" && o.Status != "refused" {
			return fmt.Errorf("order %s is %q", id, o.Status)
		}
	}
	return nil
}

// rules are those of the demo's accounts: 20.00 paid in, 2.00 for 1 000 000 000
// octets, and no account ever short of money.
func rules() history.Rules {
	return history.Rules{
		Opening: func(string) int64 { return 20 * money.Micro },
		Price:   func(octets uint64) int64 { return int64(octets / 500) },
	}
}
