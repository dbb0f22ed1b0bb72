package bench

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"meridian/edge/command"
	"meridian/edge/store"
	"meridian/internal/feed"
	"meridian/internal/money"
	"meridian/internal/tariff"
)

// loadDimensions are the sizes of the region that is measured.
type loadDimensions struct {
	Subscribers int `json:"subscribers"` // each with two buckets
	Sessions    int `json:"sessions"`    // open ones, of the first subscribers
}

const (
	feedRows    = 1500 // in one command
	fillFlight  = 4096 // Starts on the way
	benchStart  = 1_700_000_000
	lateOpenMax = 65_536 // commands of an open loop on the way; more means that it fell behind for good
)

// commands makes the load: a region's rows, and interims of its sessions with
// rising counters.
type commands struct {
	dim  loadDimensions
	node string
	next atomic.Uint64
}

func newCommands(d loadDimensions, node string) *commands { return &commands{dim: d, node: node} }

func (c *commands) meta() command.Meta {
	return command.Meta{At: time.Now().UnixMicro(), Node: c.node}
}

func subscriptionID(i int) string { return fmt.Sprintf("sub%09d", i) }
func accountID(i int) string      { return fmt.Sprintf("acc%09d", i) }

// fill founds the region and brings its subscribers and sessions in.
func (c *commands) fill(ctx context.Context, s *store.Store) error {
	for _, cmd := range []command.Command{
		&command.Configure{Meta: c.meta(), Region: benchRegion, Policy: command.DefaultPolicy()},
		&command.OpenEpoch{Meta: c.meta(), Epoch: 1},
		&command.Tick{Meta: c.meta(), Clocks: []int64{benchStart * 1_000_000}},
	} {
		if r, err := s.Do(ctx, cmd); err != nil || r.Code != command.OK {
			return fmt.Errorf("%T: %+v: %w", cmd, r, err)
		}
	}
	if err := c.fillFeed(ctx, s); err != nil {
		return err
	}
	var failed atomic.Pointer[error]
	var wg sync.WaitGroup
	slots := make(chan struct{}, fillFlight)
	for i := range c.dim.Sessions {
		slots <- struct{}{}
		wg.Add(1)
		a := c.report(i, 0)
		a.Status = command.Start
		s.Propose(a, func(r command.Result, err error) {
			if err == nil && r.Code != command.OK {
				err = fmt.Errorf("start of session %d: %+v", i, r)
			}
			if err != nil {
				failed.Store(&err)
			}
			<-slots
			wg.Done()
		})
	}
	wg.Wait()
	if err := failed.Load(); err != nil {
		return *err
	}
	return nil
}

// entities of the i-th step of the feed: an offering, then each subscriber's rows.
func (c *commands) entities(i int) (rows []feed.Row, err error) {
	add := func(kind feed.Kind, id string, entity any) {
		body, failed := feed.Encode(entity)
		if failed != nil {
			err = failed
		}
		rows = append(rows, feed.Row{Kind: kind, ID: id, Version: 1, Body: body})
	}
	if i == 0 {
		add(feed.KindOffering, "prepaid@1", &tariff.Offering{ID: "prepaid", Version: 1, Name: "prepaid", Currency: "EUR", Service: "internet",
			Usage: tariff.PerUnit(tariff.Bytes, money.Micro, 1_000), Reservation: tariff.Reservation{Quota: 100_000_000, TTLSeconds: 3600},
			Profile: tariff.Profile{SessionLimit: 2, InterimSeconds: 300}, Overrun: tariff.Owed})
		return rows, err
	}
	sealed := bytes.Repeat([]byte{byte(i)}, 48) // of a sealed password's size
	add(feed.KindSubscription, subscriptionID(i), &feed.Subscription{ID: subscriptionID(i), Account: accountID(i), Login: fmt.Sprintf("user%09d", i),
		Offering: "prepaid", Password: sealed, NTHash: sealed})
	for p, bucket := range []string{"/bonus", "/cash"} {
		id := accountID(i) + bucket
		add(feed.KindLease, id, &feed.Lease{Bucket: id, Account: accountID(i), Unit: "EUR", Priority: p, Epoch: 1, Granted: 1 << 40})
	}
	return rows, err
}

func (c *commands) fillFeed(ctx context.Context, s *store.Store) error {
	var number uint64
	rows := make([]feed.Row, 0, feedRows+3)
	for i := 0; i <= c.dim.Subscribers; i++ {
		more, err := c.entities(i)
		if err != nil {
			return err
		}
		for _, r := range more {
			number++
			r.Number = number
			rows = append(rows, r)
		}
		if len(rows) >= feedRows || i == c.dim.Subscribers {
			if r, err := s.Do(ctx, &command.Feed{Meta: c.meta(), Rows: rows}); err != nil || r.Code != command.OK {
				return fmt.Errorf("feed up to row %d: %+v: %w", number, r, err)
			}
			rows = rows[:0]
		}
	}
	return nil
}

// report is an interim of a session at a step of its life, a second each.
func (c *commands) report(session int, step int64) *command.Accounting {
	return &command.Accounting{
		Meta: c.meta(), NAS: fmt.Sprint("nas-", session%16), SessionID: fmt.Sprintf("%08x", session), Login: fmt.Sprintf("user%09d", session+1),
		Status: command.Interim, Event: benchStart + step, Seconds: step, In: uint64(step) * 1000, Out: uint64(step) * 9000, Giga: true,
		CallingStation: "02-00-00-00-00-01", NASPort: "1/1/1", FramedIP: "10.0.0.1",
	}
}

// upcoming is the next interim: each session in turn.
func (c *commands) upcoming() *command.Accounting {
	n := c.next.Add(1)
	return c.report(int(n%uint64(c.dim.Sessions)), int64(n/uint64(c.dim.Sessions))+1)
}

// latencies are what the answers of one run took.
type latencies struct {
	mu    sync.Mutex
	all   []time.Duration
	last  time.Time
	gap   time.Duration
	fault error
}

func (l *latencies) add(began time.Time, r command.Result, err error) {
	now := time.Now()
	l.mu.Lock()
	defer l.mu.Unlock()
	if err == nil && r.Code != command.OK && r.Code != command.Repeated {
		err = fmt.Errorf("a report was answered with %+v", r)
	}
	if err != nil {
		l.fault = err
		return
	}
	l.all = append(l.all, now.Sub(began))
	l.gap = max(l.gap, now.Sub(l.last))
	l.last = now
}

func (l *latencies) reply(took time.Duration) (reply, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.fault != nil {
		return reply{}, l.fault
	}
	if len(l.all) == 0 {
		return reply{}, errors.New("no report was answered")
	}
	slices.Sort(l.all)
	at := func(q float64) float64 { return ms(l.all[int(q*float64(len(l.all)-1))]) }
	return reply{PerS: float64(len(l.all)) / took.Seconds(), P50MS: at(0.5), P99MS: at(0.99), GapMS: ms(l.gap)}, nil
}

func ms(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

// closed keeps so many interims on the way.
func (c *commands) closed(s *store.Store, inFlight int, d time.Duration) (reply, error) {
	began := time.Now()
	l := &latencies{last: began}
	slots := make(chan struct{}, inFlight)
	var wg sync.WaitGroup
	for time.Since(began) < d {
		slots <- struct{}{}
		wg.Add(1)
		sent := time.Now()
		s.Propose(c.upcoming(), func(r command.Result, err error) {
			l.add(sent, r, err)
			<-slots
			wg.Done()
		})
	}
	wg.Wait()
	return l.reply(time.Since(began))
}

// open sends at a fixed rate, whatever the answers take, until d or until is
// over. Latency counts from when a report was due.
func (c *commands) open(s *store.Store, perS float64, d time.Duration, until <-chan struct{}) (reply, error) {
	began := time.Now()
	l := &latencies{last: began}
	var wg sync.WaitGroup
	slots := make(chan struct{}, lateOpenMax)
	over := false
	for n := 0; !over; {
		for due := int(time.Since(began).Seconds()*perS) + 1; n < due; n++ {
			slots <- struct{}{}
			wg.Add(1)
			at := began.Add(time.Duration(float64(n) / perS * float64(time.Second)))
			s.Propose(c.upcoming(), func(r command.Result, err error) {
				l.add(at, r, err)
				<-slots
				wg.Done()
			})
		}
		select {
		case <-until:
			over = true
		case <-time.After(200 * time.Microsecond):
			over = time.Since(began) >= d
		}
	}
	wg.Wait()
	return l.reply(time.Since(began))
}
