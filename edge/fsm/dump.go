package fsm

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"meridian/edge/balance"
	"meridian/edge/command"
	"meridian/edge/session"
	"meridian/internal/canon"
	"meridian/internal/contract"
	"meridian/internal/feed"
	"meridian/internal/invariant"
	"meridian/internal/journal"
	"meridian/internal/money"
	"meridian/internal/tariff"
	"meridian/internal/verify"
)

// dumpFormat is the first octet of a dump. Format 1 has no NT hashes; up to
// format 2 offerings are of their canonical form 1; up to format 3 there is no
// feature level, and of the policy only what Configure carries; sessions are rated
// by one component, and no bucket is made here.
const dumpFormat = 4

// Hash is the SHA-256 of the dump: equal on replicas that applied the same log.
func (s *State) Hash() journal.Hash {
	return s.hashOf(part{of: everything, in: 1})
}

// Dump returns the whole state in canonical form. Indexes and timers are left
// out: Load makes them from the rest. Frozen gives the same while commands go on.
func (s *State) Dump() []byte {
	b := make([]byte, 0, 256+200*len(s.sessions)+300*s.subscriptions.len())
	s.dump(func(piece []byte) { b = append(b, piece...) })
	return b
}

func (s *State) dump(out func([]byte)) {
	err := s.freeze(part{of: everything, in: 1}).Dump(alone{}, func(b []byte) error { out(b); return nil })
	invariant.Check(err == nil, "dump: %v", err)
}

// alone guards a State that nobody changes meanwhile.
type alone struct{}

// Lock implements Locker.
func (alone) Lock() {}

// Unlock implements Locker.
func (alone) Unlock() {}

// Load reads what Dump wrote.
func Load(b []byte) (*State, error) {
	r := canon.NewReader(b)
	format := r.Byte()
	if format < 1 || format > dumpFormat {
		r.Fail("state format %d is not known: upgrade this node", format)
	}
	s := New()
	s.loadHead(r, format)
	texts := &s.words
	s.loadVersions(r, texts)
	s.loadCatalog(r, format)
	s.loadBuckets(r, texts, format)
	s.loadSubscriptions(r, texts, format)
	s.loadSessions(r, texts, format)
	s.loadQueues(r, format)
	texts.leases, texts.subscriptions = nil, nil
	if err := r.Close(); err != nil {
		return nil, fmt.Errorf("load state: %w", err)
	}
	return s, nil
}

func (s *State) dumpHead(w *canon.Writer) {
	w.String(s.Region)
	w.Bool(s.Configured)
	s.Policy.AppendFounding(w)
	for _, v := range []uint64{s.Epoch, s.FeedVersion, s.FeedApplied, s.Seq, s.Acked, s.nextEffect, s.Anomalies} {
		w.Uvarint(v)
	}
	for _, v := range []int64{s.Now, int64(s.Mode), s.ModeSince, int64(s.OverrunSum), int64(s.OverrunWorst)} {
		w.Varint(v)
	}
	w.Hash(s.Head)
	w.Hash(s.AckedHash)
	s.Policy.AppendLimits(w)
	w.Uvarint(s.Level)
	w.Bool(s.Fenced)
	s.gathering.append(w)
	s.dumpStretches(w)
	w.Varint(s.RenewalHour)
	w.Varint(s.Renewals)
	w.Bool(s.RenewalsHeld)
}

func (s *State) loadHead(r *canon.Reader, format byte) {
	s.Region, s.Configured, s.Policy = r.String(), r.Bool(), command.ReadFounding(r)
	for _, p := range []*uint64{&s.Epoch, &s.FeedVersion, &s.FeedApplied, &s.Seq, &s.Acked, &s.nextEffect, &s.Anomalies} {
		*p = r.Uvarint()
	}
	s.Now, s.Mode, s.ModeSince = r.Varint(), command.Mode(r.Varint()), r.Varint()
	s.OverrunSum, s.OverrunWorst = money.Amount(r.Varint()), money.Amount(r.Varint())
	s.Head, s.AckedHash = r.Hash(), r.Hash()
	if format >= 4 {
		s.Policy.ReadLimits(r)
		s.Level = r.Uvarint()
		s.Fenced = r.Bool()
		s.gathering.read(r)
		s.loadStretches(r)
		s.RenewalHour, s.Renewals, s.RenewalsHeld = r.Varint(), r.Varint(), r.Bool()
		return
	}
	if s.Configured {
		s.Level = command.FirstLevel
	}
	if s.Seq > s.Acked { // how old and how large they are is not known: they count from now on
		s.stretches = []stretch{{seq: s.Acked + 1, at: s.Now}}
	}
}

func compareEntity(a, b entityKey) int {
	return cmp.Or(strings.Compare(string(a.kind), string(b.kind)), strings.Compare(a.id, b.id))
}

func (s *State) dumpVersions(w *canon.Writer) {
	w.Uvarint(uint64(len(s.versions)))
	keys := make([]entityKey, 0, len(s.versions))
	for k := range s.versions {
		keys = append(keys, k)
	}
	slices.SortFunc(keys, compareEntity)
	for _, k := range keys {
		w.String(string(k.kind))
		w.String(k.id)
		w.Uvarint(s.versions[k])
	}
}

func (s *State) dumpCatalog(w *canon.Writer) {
	s.dumpTables(w)
	w.Uvarint(uint64(len(s.offerings)))
	for _, id := range sortedKeys(s.offerings) {
		w.Uvarint(uint64(len(s.offerings[id])))
		for _, o := range s.offerings[id] {
			o.AppendCanonical(w)
		}
	}
	w.Uvarint(uint64(len(s.nas)))
	for _, id := range sortedKeys(s.nas) {
		n := s.nas[id]
		for _, v := range []string{n.ID, n.Address, n.Vendor, string(n.Secret), n.CoA} {
			w.String(v)
		}
		for _, v := range []int64{n.BootAt, n.Hour, n.Sessions, int64(n.In), int64(n.Out), n.wake} {
			w.Varint(v)
		}
	}
	w.Uvarint(uint64(len(s.operators)))
	for _, id := range sortedKeys(s.operators) {
		o := s.operators[id]
		for _, v := range []string{o.ID, o.Login, o.Role, string(o.TokenHash)} {
			w.String(v)
		}
		w.Bool(o.Revoked)
	}
}

// dumpNoCatalog writes an empty one, without versions.
func (s *State) dumpNoCatalog(w *canon.Writer) {
	for range 5 { // versions, tables, offerings, NAS, operators
		w.Uvarint(0)
	}
}

// texts are what comes again and again in rows and dumps, so that a state holds each
// once.
type texts struct {
	few map[string]string // kinds, units, offerings

	// Versions of feed rows as dumps up to format 3 have them, in the order of ids.
	leases, subscriptions []rowVersion
}

type rowVersion struct {
	id      string
	version uint64
}

// mostFew bounds the texts that are looked for.
const mostFew = 10_000

// one returns a text of which there are few different ones.
func (t *texts) one(text string) string {
	if known, ok := t.few[text]; ok {
		return known
	}
	if t.few == nil {
		t.few = map[string]string{}
	}
	if len(t.few) < mostFew {
		t.few[text] = text
	}
	return text
}

// versionOf takes the version of an id off a list in the order in which it is asked.
func versionOf(list *[]rowVersion, id string) (version uint64) {
	for len(*list) > 0 && (*list)[0].id < id {
		*list = (*list)[1:]
	}
	if len(*list) > 0 && (*list)[0].id == id {
		version = (*list)[0].version
	}
	return version
}

func (s *State) loadVersions(r *canon.Reader, t *texts) {
	for n := r.Count(3); n > 0; n-- {
		k, version := entityKey{feed.Kind(t.one(r.String())), r.String()}, r.Uvarint()
		switch k.kind {
		case feed.KindLease:
			t.leases = append(t.leases, rowVersion{k.id, version})
		case feed.KindSubscription:
			t.subscriptions = append(t.subscriptions, rowVersion{k.id, version})
		default:
			s.versions[k] = version
		}
	}
}

func (s *State) loadCatalog(r *canon.Reader, format byte) {
	if format >= 4 {
		s.loadTables(r)
	}
	env := s.env()
	for n := r.Count(2); n > 0; n-- {
		var list []*version
		for m := r.Count(2); m > 0; m-- {
			o := tariff.ReadOffering(r)
			if err := feed.CheckOffering(o); err != nil {
				r.Fail("%v", err)
				return
			}
			if lacks := s.Lacks(o); len(lacks) > 0 {
				r.Fail("offering %s: tables %v are not there", o.ID, lacks)
				return
			}
			list = append(list, newVersion(o, env))
		}
		if len(list) > 0 {
			s.offerings[list[0].ID] = list
		}
	}
	for n := r.Count(11); n > 0; n-- {
		nas := &NAS{NAS: feed.NAS{ID: r.String(), Address: r.String(), Vendor: r.String(), Secret: r.Bytes(), CoA: r.String()}, open: map[journal.SessionKey]*Session{}}
		nas.BootAt, nas.Hour, nas.Sessions = r.Varint(), r.Varint(), r.Varint()
		nas.In, nas.Out = uint64(r.Varint()), uint64(r.Varint())
		if wake := r.Varint(); wake != 0 {
			s.wakeNASBoot(nas, wake)
		}
		s.nas[nas.ID] = nas
	}
	for n := r.Count(5); n > 0; n-- {
		o := &feed.Operator{ID: r.String(), Login: r.String(), Role: r.String(), TokenHash: r.Bytes(), Revoked: r.Bool()}
		s.operators[o.ID] = o
	}
}

func (s *State) appendBucket(w *canon.Writer, id string) {
	b := s.buckets.get(id)
	w.String(b.ID)
	w.String(b.Account)
	w.String(string(b.Unit))
	for _, v := range [...]int64{int64(b.Priority), b.Expires, b.G, b.T, b.S, b.X, b.B, b.P, b.U, b.H, b.Allowance, b.ReclaimTo, b.Wanted} {
		w.Varint(v)
	}
	appendMade(w, b.Made)
	w.Uvarint(b.Row)
}

func (s *State) appendSubscription(w *canon.Writer, id string) {
	sub := s.subscriptions.get(id)
	row := &sub.Subscription
	for _, v := range [...]string{row.ID, row.Account, row.Login} {
		w.String(v)
	}
	w.Bytes(row.Password)
	w.Bytes(row.NTHash)
	for _, v := range [...]string{row.Offering, sub.Offering, sub.Previous} {
		w.String(v)
	}
	for _, v := range [...]bool{row.Terminated, sub.Barred, sub.Terminated, sub.Lapsed, s.logins.get(row.Login) == sub} {
		w.Bool(v)
	}
	w.Uvarint(sub.Version)
	w.Varint(sub.Since)
	w.Varint(sub.PaidUntil)
	w.Varint(sub.wake)
	sub.Contract.Append(w)
	w.Uvarint(uint64(len(sub.fired)))
	for _, name := range sub.fired {
		w.String(name)
	}
	w.Uvarint(sub.Row)
	appendCounted(w, sub.counted)
	w.Uvarint(uint64(sub.Held))
	w.Uvarint(uint64(len(sub.had)))
	for _, name := range sub.had {
		w.String(name)
	}
}

func (s *State) loadBuckets(r *canon.Reader, t *texts, format byte) {
	for n := r.Count(16); n > 0; n-- {
		b := &balance.Bucket{ID: r.String(), Account: r.String(), Unit: journal.Unit(t.one(r.String())), Priority: int(r.Varint())}
		for _, p := range [...]*int64{&b.Expires, &b.G, &b.T, &b.S, &b.X, &b.B, &b.P, &b.U, &b.H, &b.Allowance, &b.ReclaimTo, &b.Wanted} {
			*p = r.Varint()
		}
		if format >= 4 {
			b.Made = readMade(r, t)
			b.Row = r.Uvarint()
		} else {
			b.Row = versionOf(&t.leases, b.ID)
		}
		s.buckets.put(b)
		s.fileBucket(b)
		s.count(b)
		if b.Wanted > b.G {
			s.wanting[b.ID] = true
		}
	}
}

func (s *State) loadSubscriptions(r *canon.Reader, t *texts, format byte) {
	for n := r.Count(15); n > 0; n-- {
		row := feed.Subscription{ID: r.String(), Account: r.String(), Login: r.String(), Password: r.Bytes()}
		if format >= 2 {
			row.NTHash = r.Bytes()
		}
		row.Offering = t.one(r.String())
		sub := &Subscription{Subscription: row, Offering: t.one(r.String()), Previous: t.one(r.String())}
		var ownsLogin bool
		for _, p := range []*bool{&sub.Subscription.Terminated, &sub.Barred, &sub.Terminated, &sub.Lapsed, &ownsLogin} {
			*p = r.Bool()
		}
		sub.Version, sub.Since, sub.PaidUntil = r.Uvarint(), r.Varint(), r.Varint()
		if wake := r.Varint(); wake != 0 {
			s.wakeRenewal(sub, wake)
		}
		if format >= 4 {
			sub.Contract = contract.Read(r, t.one)
			for m := r.Count(1); m > 0; m-- {
				sub.fired = append(sub.fired, t.one(r.String()))
			}
			sub.Row = r.Uvarint()
			sub.counted = readCounted(r, t)
			sub.Held = uint32(r.Uvarint())
			for m := r.Count(1); m > 0; m-- {
				sub.had = append(sub.had, t.one(r.String()))
			}
		} else {
			sub.Row = versionOf(&t.subscriptions, sub.ID)
		}
		s.subscriptions.put(sub)
		if ownsLogin {
			s.logins.put(sub)
		}
		s.indexAccount(sub)
	}
}

func appendMeter(w *canon.Writer, m session.Meter) {
	w.Uvarint(m.In)
	w.Uvarint(m.Out)
	w.Varint(m.Seconds)
	w.Varint(m.Event)
}

func readMeter(r *canon.Reader) session.Meter {
	return session.Meter{In: r.Uvarint(), Out: r.Uvarint(), Seconds: r.Varint(), Event: r.Varint()}
}

func appendParts(w *canon.Writer, parts []verify.Part) {
	w.Uvarint(uint64(len(parts)))
	for _, p := range parts {
		w.String(p.Bucket)
		w.Varint(p.Amount)
	}
}

func readParts(r *canon.Reader) (parts []verify.Part) {
	for n := r.Count(2); n > 0; n-- {
		parts = append(parts, verify.Part{Bucket: r.String(), Amount: r.Varint()})
	}
	return parts
}
