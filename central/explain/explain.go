// Package explain finds what the centre keeps around an entry of the books and has
// internal/why say why it is what it is.
//
// It only reads, and prices nothing itself. What it looks for is bounded: entries of
// MaxEntries and a year before, versions of the offerings that the subscription is
// known to have had.
package explain

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"meridian/central/accounts"
	"meridian/central/buckets"
	"meridian/central/catalog"
	"meridian/central/fault"
	"meridian/central/ledger"
	"meridian/central/orders"
	"meridian/central/payments"
	"meridian/central/rerating"
	"meridian/central/store"
	"meridian/internal/feed"
	"meridian/internal/journal"
	"meridian/internal/money"
	"meridian/internal/replay"
	"meridian/internal/why"
)

// MaxEntries bounds the entries of an account that are looked through for one
// answer, MaxVersions the versions of an offering.
const (
	MaxEntries  = 5000
	MaxVersions = 50
)

// In microseconds.
const (
	minute = 60 * 1_000_000
	year   = 366 * 86400 * 1_000_000
)

// Deps are what the service reads.
type Deps struct {
	Runner      store.Runner
	Accounts    func(store.Tx) accounts.Store
	Buckets     func(store.Tx) buckets.Store
	Catalog     func(store.Tx) catalog.Store
	Corrections func(store.Tx) rerating.Store
	Ledger      func(store.Tx) ledger.Store
	Orders      func(store.Tx) orders.Store
	Payments    func(store.Tx) payments.Store
}

// Service explains entries. It is safe for concurrent use.
type Service struct{ Deps }

// New builds the service.
func New(d Deps) *Service { return &Service{Deps: d} }

// Of explains what an id names: the source of a statement's line ("entry/north/1/17",
// "payment/…", "claim/…/0", "correction/north/1/17/2"), or an entry's place
// ("north/1/17"). All of it is read at one instant.
func (s *Service) Of(ctx context.Context, id string, l why.Language) (why.Answer, error) {
	if !slices.Contains(why.Languages(), l) {
		return why.Answer{}, fault.Bad("lang", string(l), "there are no sentences in this language", "use en, ru or ar")
	}
	return store.Read(ctx, s.Runner, "explain", func(ctx context.Context, tx store.Tx) (why.Answer, error) {
		kind, rest, _ := strings.Cut(id, "/")
		switch kind {
		case "payment":
			return s.payment(ctx, tx, rest, l)
		case "claim":
			return s.claim(ctx, tx, rest, l)
		case "correction":
			return s.correction(ctx, tx, rest, l)
		case "entry":
		default:
			rest = id
		}
		place, ok := placeOf(rest)
		if !ok {
			return why.Answer{}, fault.Bad("id", id, "this names no entry", "give the source of a statement's line, such as entry/north/1/17")
		}
		return s.entry(ctx, tx, place, l)
	})
}

// placeOf reads region/epoch/seq.
func placeOf(s string) (p ledger.Place, ok bool) {
	parts := strings.Split(s, "/")
	if len(parts) != 3 || parts[0] == "" {
		return p, false
	}
	var err1, err2 error
	p.Region = parts[0]
	p.Epoch, err1 = strconv.ParseUint(parts[1], 10, 62)
	p.Seq, err2 = strconv.ParseUint(parts[2], 10, 62)
	return p, err1 == nil && err2 == nil
}

func (s *Service) read(ctx context.Context, tx store.Tx, p ledger.Place) (ledger.Record, error) {
	rec, err := s.Ledger(tx).Entry(ctx, p)
	if errors.Is(err, store.ErrNotFound) {
		return rec, fault.Missing("id", fmt.Sprintf("entry/%s/%d/%d", p.Region, p.Epoch, p.Seq), "the entry", "name one that the centre has; what a region has not sent is not here yet")
	}
	return rec, err
}

func (s *Service) entry(ctx context.Context, tx store.Tx, p ledger.Place, l why.Language) (why.Answer, error) {
	rec, err := s.read(ctx, tx, p)
	if err != nil {
		return why.Answer{}, err
	}
	if rec.Entry == nil {
		return why.Answer{}, fault.New(fault.Conflict, "id", fmt.Sprintf("entry/%s/%d/%d", p.Region, p.Epoch, p.Seq), "the entry's bytes cannot be read by this version: it is in suspense", "look at the review queue")
	}
	q, err := s.question(ctx, tx, rec.Entry)
	if err != nil {
		return why.Answer{}, fmt.Errorf("explain %s/%d/%d: %w", p.Region, p.Epoch, p.Seq, err)
	}
	a := why.Explain(l, q)
	if rec.Suspense {
		a.Explained, a.Reason = false, "the entry is in suspense and waits for a person: it has charged nobody"
	}
	return a, nil
}

// question gathers what is kept around an entry.
func (s *Service) question(ctx context.Context, tx store.Tx, e *journal.Entry) (*why.Question, error) {
	q := &why.Question{Entry: e, Names: map[string]string{}}
	switch e.Kind {
	case journal.KindUsage, journal.KindCharge, journal.KindOverrun, journal.KindRefund, journal.KindReversed:
		return q, s.ofUsage(ctx, tx, q)
	case journal.KindRecurring, journal.KindOneTime, journal.KindOwed, journal.KindCredit:
		return q, s.ofFee(ctx, tx, q)
	case journal.KindGiven, journal.KindExpired:
		q.Names[e.Bucket] = e.Detail
		return q, s.ofFee(ctx, tx, q)
	case journal.KindOrder, journal.KindOrderDebit:
		list, err := s.Orders(tx).Get(ctx, []string{e.Ref})
		if err == nil && len(list) == 1 {
			q.Order = &why.Order{Action: string(list[0].Action), Amount: list[0].Amount, Reason: list[0].Reason}
		}
		return q, err
	}
	return q, nil
}

// near lists an account's entries in [from, to), those of the entry's own ledger.
func (s *Service) near(ctx context.Context, tx store.Tx, e *journal.Entry, from, to int64) (out []*journal.Entry, whole bool, err error) {
	list, err := s.Ledger(tx).EntriesOf(ctx, e.Account, max(from, 0), to, MaxEntries+1)
	for i := range list {
		if o := list[i].Entry; o != nil && o.Region == e.Region {
			out = append(out, o)
		}
	}
	return out, len(list) <= MaxEntries, err
}

// ofUsage finds a cut's record and charges, and the version that the record names.
func (s *Service) ofUsage(ctx context.Context, tx store.Tx, q *why.Question) (err error) {
	e := q.Entry
	if q.Beside, _, err = s.near(ctx, tx, e, e.At-minute, e.At+minute); err != nil { // a cut's entries follow each other
		return err
	}
	u := e.Usage
	for _, o := range q.Beside {
		if o.Kind == journal.KindUsage && o.Session == e.Session && o.Cut == e.Cut {
			u = o.Usage
		}
	}
	if u == nil {
		return nil
	}
	list, err := s.Catalog(tx).Versions(ctx, u.Offering, max(u.OfferingVersion, 1)-1, 1)
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return err
	}
	q.Unknown = fmt.Sprintf("the catalog has no version %d of %s", u.OfferingVersion, u.Offering)
	if len(list) == 1 && list[0].Offering.ID == u.Offering && list[0].Offering.Version == u.OfferingVersion {
		s.ready(q, &list[0])
	}
	return nil
}

func (s *Service) ready(q *why.Question, c *catalog.Version) {
	v, err := replay.NewVersion(&c.Offering)
	if err != nil {
		q.Unknown = err.Error()
		return
	}
	q.Versions = append(q.Versions, v)
}

// ofFee finds the entries of a fee, and the versions of the offerings that the
// subscription has had: the one in force, those that orders brought, and those by
// which its usage was rated.
func (s *Service) ofFee(ctx context.Context, tx store.Tx, q *why.Question) error {
	e := q.Entry
	around, whole, err := s.near(ctx, tx, e, e.At-year, e.At+1)
	if err != nil {
		return err
	}
	if !whole { // the newest are missing
		if around, _, err = s.near(ctx, tx, e, e.At-year/12, e.At+1); err != nil {
			return err
		}
	}
	ids := []string{}
	var ordered []string
	for _, o := range around {
		if o.At == e.At {
			q.Beside = append(q.Beside, o)
		}
		if o.Epoch < e.Epoch || o.Epoch == e.Epoch && o.Seq < e.Seq {
			q.Before = append(q.Before, o)
		}
		switch {
		case o.Subscription != e.Subscription:
		case o.Kind == journal.KindUsage && o.Usage.Offering != "":
			ids = append(ids, o.Usage.Offering)
		case o.Kind == journal.KindOrder:
			ordered = append(ordered, o.Ref)
		}
	}
	subs, err := s.Accounts(tx).Subscriptions(ctx, []string{e.Subscription})
	if err != nil {
		return err
	}
	for i := range subs {
		ids = append(ids, subs[i].Offering)
	}
	if len(ordered) > 0 {
		list, err := s.Orders(tx).Get(ctx, ordered)
		if err != nil {
			return err
		}
		for i := range list {
			if list[i].Action == feed.ActionChange {
				ids = append(ids, list[i].Offering)
			}
		}
	}
	return s.versions(ctx, tx, q, ids)
}

// versions reads the versions of offerings that were valid by the entry's time,
// newest first; the last of the ids is the likeliest.
func (s *Service) versions(ctx context.Context, tx store.Tx, q *why.Question, ids []string) error {
	q.Unknown = "the subscription's offering is not known"
	slices.Reverse(ids)
	for i, id := range ids {
		if id == "" || slices.Contains(ids[:i], id) {
			continue
		}
		list, err := s.Catalog(tx).Versions(ctx, id, 0, MaxVersions)
		if err != nil {
			return err
		}
		for k := len(list) - 1; k >= 0; k-- {
			if o := &list[k].Offering; o.ID == id && o.ValidFrom <= q.Entry.At/1_000_000 {
				s.ready(q, &list[k])
			}
		}
	}
	return nil
}

func (s *Service) payment(ctx context.Context, tx store.Tx, id string, l why.Language) (why.Answer, error) {
	list, err := s.Payments(tx).Get(ctx, id)
	if err != nil {
		return why.Answer{}, err
	}
	if len(list) == 0 {
		return why.Answer{}, fault.Missing("id", "payment/"+id, "the payment", "name one that exists")
	}
	p := list[0]
	return why.ExplainBooked(l, &why.Booked{Kind: "payment", Source: "payment/" + p.ID, At: p.At, Account: p.Account, Bucket: p.Bucket, Unit: journal.Unit(p.Currency),
		Amount: p.Amount, Reference: p.Reference, Detail: p.Method}), nil
}

// claim explains a payment that was taken back: claim/id/part.
func (s *Service) claim(ctx context.Context, tx store.Tx, rest string, l why.Language) (why.Answer, error) {
	id, _, _ := strings.Cut(rest, "/")
	c, err := s.Buckets(tx).Claim(ctx, id)
	if errors.Is(err, store.ErrNotFound) {
		return why.Answer{}, fault.Missing("id", "claim/"+id, "the claim", "name one that exists")
	}
	if err != nil {
		return why.Answer{}, err
	}
	return why.ExplainBooked(l, &why.Booked{Kind: "chargeback", Source: "claim/" + c.ID + "/0", At: c.At, Account: c.Account, Bucket: c.Bucket, Unit: c.Unit,
		Amount: money.Amount(c.Amount), Reference: c.Payment, Reason: c.Reason}), nil
}

// correction explains usage that was priced again: correction/region/epoch/seq/version.
func (s *Service) correction(ctx context.Context, tx store.Tx, rest string, l why.Language) (why.Answer, error) {
	i := strings.LastIndexByte(rest, '/')
	place, ok := placeOf(rest[:max(i, 0)])
	version, err := strconv.ParseUint(rest[i+1:], 10, 32)
	if !ok || err != nil {
		return why.Answer{}, fault.Bad("id", "correction/"+rest, "this names no correction", "give the source of a statement's line, such as correction/north/1/17/2")
	}
	rec, err := s.read(ctx, tx, place)
	if err != nil {
		return why.Answer{}, err
	}
	list, err := s.Corrections(tx).Of(ctx, rec.Entry.Account, 0, 1<<62, MaxEntries)
	if err != nil {
		return why.Answer{}, err
	}
	at := slices.IndexFunc(list, func(c rerating.Correction) bool { return c.Place == place && uint64(c.Version) == version })
	if at < 0 {
		return why.Answer{}, fault.Missing("id", "correction/"+rest, "the correction", "name one that exists")
	}
	c := &list[at]
	b := &why.Booked{Kind: "correction", Source: c.Source(), At: c.At, Account: c.Account, Subscription: c.Subscription, Unit: c.Unit, Amount: c.Refunded(),
		Session: c.Session.ID, Offering: c.Offering, OfferingID: c.Offering, Version: c.Version, Price: c.Price, Owed: c.Owed, Absorbed: c.Absorbed, Waive: c.Waived}
	for _, r := range c.Refunds {
		b.Back = append(b.Back, why.Payer{Entry: c.Source(), By: "correction", Bucket: r.Bucket, Unit: string(c.Unit), Amount: r.Amount.String()})
	}
	if err := s.again(ctx, tx, b, rec.Entry, c); err != nil {
		return why.Answer{}, err
	}
	return why.ExplainBooked(l, b), nil
}

// again has a correction's price computed again.
func (s *Service) again(ctx context.Context, tx store.Tx, b *why.Booked, e *journal.Entry, c *rerating.Correction) error {
	if e.Kind != journal.KindUsage || len(e.Usage.Parts) > 0 {
		b.Unexplained = "its price hangs on other records of its session"
		return nil
	}
	var made [2]*rerating.Version
	for i, want := range []uint32{e.Usage.OfferingVersion, c.Version} {
		list, err := s.Catalog(tx).Versions(ctx, c.Offering, max(want, 1)-1, 1)
		if err != nil && !errors.Is(err, store.ErrNotFound) {
			return err
		}
		if len(list) != 1 || list[0].Offering.ID != c.Offering || list[0].Offering.Version != want {
			b.Unexplained = fmt.Sprintf("the catalog has no version %d of %s", want, c.Offering)
			return nil
		}
		if made[i], err = rerating.NewVersion(&list[0].Offering); err != nil {
			b.Unexplained = err.Error()
			return nil
		}
		b.Offering = list[0].Offering.Name
	}
	p, err := made[1].PriceAfter(made[0], e.Session.Start, e.Usage)
	if err != nil {
		b.Unexplained = err.Error()
		return nil
	}
	b.Recomputed = p.Amount
	return nil
}
