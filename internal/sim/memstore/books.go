package memstore

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"

	"meridian/central/buckets"
	"meridian/central/feed"
	"meridian/central/ledger"
	"meridian/central/regions"
	"meridian/central/settlement"
	"meridian/central/store"
	feedrow "meridian/internal/feed"
	"meridian/internal/journal"
	"meridian/internal/money"
	"meridian/internal/verify"
)

type bucketStore struct{ *tx }

func (t bucketStore) InsertBuckets(_ context.Context, rows []buckets.Bucket) error {
	for _, b := range rows {
		push(t.tx, t.s.bucketsOf, b.Account, b.ID)
	}
	return insertAll(t.tx, t.s.buckets, rows, func(b buckets.Bucket) string { return b.ID })
}

func (t bucketStore) state(b buckets.Bucket) buckets.State {
	out := buckets.State{Bucket: b, Claims: t.openClaims(b.ID)}
	for _, k := range t.s.leasesOf[b.ID] {
		l := t.s.leases[k]
		r := t.s.regions[l.Region]
		l.Ended = r.Revoked || l.Epoch < r.Epoch
		out.Leases = append(out.Leases, l)
	}
	slices.SortFunc(out.Leases, func(a, b buckets.Lease) int {
		return cmp.Or(cmp.Compare(a.Region, b.Region), cmp.Compare(a.Epoch, b.Epoch))
	})
	return out
}

func (t bucketStore) Load(_ context.Context, ids []string) ([]buckets.State, error) {
	found := pick(t.s.buckets, ids)
	out := make([]buckets.State, len(found))
	for i, b := range found {
		out[i] = t.state(b)
	}
	return out, nil
}

func (t bucketStore) OfAccount(ctx context.Context, account string) ([]buckets.State, error) {
	return t.Load(ctx, t.s.bucketsOf[account])
}

func (t bucketStore) SaveBuckets(_ context.Context, rows []buckets.Bucket) error {
	for _, r := range rows {
		b, ok := t.s.buckets[r.ID]
		if !ok {
			return fmt.Errorf("bucket %s: %w", r.ID, store.ErrNotFound)
		}
		b.Home, b.Allowance, b.Credited, b.Debited = r.Home, r.Allowance, r.Credited, r.Debited
		put(t.tx, t.s.buckets, r.ID, b)
	}
	return nil
}

func (t bucketStore) SaveLeases(_ context.Context, rows []buckets.Lease) error {
	for _, r := range rows {
		k := leaseKey{r.Bucket, r.Region, r.Epoch}
		l, ok := t.s.leases[k]
		if !ok {
			push(t.tx, t.s.leasesOf, r.Bucket, k)
			l = buckets.Lease{Bucket: r.Bucket, Region: r.Region, Epoch: r.Epoch, Account: r.Account, Unit: r.Unit}
		}
		l.Totals.G, l.Wanted, l.ReclaimTo, l.FeedVersion, l.Released = r.Totals.G, r.Wanted, r.ReclaimTo, r.FeedVersion, r.Released
		put(t.tx, t.s.leases, k, l)
	}
	return nil
}

func (t bucketStore) Leases(_ context.Context, region string, epoch uint64, ids []string) ([]buckets.Lease, error) {
	var out []buckets.Lease
	for _, id := range ids {
		if l, ok := t.s.leases[leaseKey{id, region, epoch}]; ok {
			out = append(out, l)
		}
	}
	return out, nil
}

func (t bucketStore) Raise(_ context.Context, region string, epoch uint64, deltas []buckets.Delta) error {
	for _, d := range deltas {
		k := leaseKey{d.Bucket, region, epoch}
		l, ok := t.s.leases[k]
		if !ok {
			return fmt.Errorf("lease of %s: %w", d.Bucket, store.ErrNotFound)
		}
		sum, err := l.Totals.Add(d.Totals)
		if err != nil {
			return fmt.Errorf("lease of %s: %w", d.Bucket, err)
		}
		l.Totals = sum
		put(t.tx, t.s.leases, k, l)
	}
	return nil
}

type feedStore struct{ *tx }

func (t feedStore) CreateHead(_ context.Context, region string) error {
	if _, there := t.s.heads[region]; there {
		return fmt.Errorf("feed of %s: %w", region, store.ErrExists)
	}
	put(t.tx, t.s.heads, region, 0)
	return nil
}

func (t feedStore) Heads(context.Context) ([]feed.Head, error) {
	var out []feed.Head
	for _, r := range slices.Sorted(maps.Keys(t.s.heads)) {
		out = append(out, feed.Head{Region: r, Last: t.s.heads[r]})
	}
	return out, nil
}

func (t feedStore) Last(_ context.Context, region string) (uint64, error) {
	last, ok := t.s.heads[region]
	if !ok {
		return 0, fmt.Errorf("feed of %s: %w", region, store.ErrNotFound)
	}
	return last, nil
}

func keyOf(c feed.Change) changeKey { return changeKey{c.Region, c.Kind, c.ID, c.Version} }

func (t feedStore) Append(_ context.Context, changes []feed.Change) error {
	for _, c := range changes {
		k := keyOf(c)
		if t.s.appended[k] {
			return fmt.Errorf("feed row %s %s version %d: %w", c.Kind, c.ID, c.Version, store.ErrExists)
		}
		put(t.tx, t.s.appended, k, true)
		put(t.tx, t.s.pending, k, c)
	}
	return nil
}

func (t feedStore) Waiting(context.Context) ([]string, error) {
	var out []string
	for k := range t.s.pending {
		out = append(out, k.region)
	}
	slices.Sort(out)
	return slices.Compact(out), nil
}

func (t feedStore) Pending(_ context.Context, region string, limit int) ([]feed.Change, error) {
	var out []feed.Change
	for k, c := range t.s.pending {
		if k.region == region {
			out = append(out, c)
		}
	}
	slices.SortFunc(out, func(a, b feed.Change) int {
		return cmp.Or(cmp.Compare(feed.Rank(a.Kind), feed.Rank(b.Kind)), cmp.Compare(a.Kind, b.Kind),
			cmp.Compare(a.Version, b.Version), cmp.Compare(a.ID, b.ID))
	})
	return first(out, limit), nil
}

func (t feedStore) Number(_ context.Context, region string, last uint64, changes []feed.Change) error {
	if t.s.heads[region] != last {
		return fmt.Errorf("feed of %s is at %d, not %d: %w", region, t.s.heads[region], last, store.ErrConflict)
	}
	for _, c := range changes {
		last++
		push(t.tx, t.s.rows, region, feedrow.Row{Number: last, Kind: c.Kind, ID: c.ID, Version: c.Version, Body: c.Body})
		drop(t.tx, t.s.pending, keyOf(c))
	}
	put(t.tx, t.s.heads, region, last)
	return nil
}

func (t feedStore) Numbers(ctx context.Context, kind feedrow.Kind, ids []string) ([]feed.Number, error) {
	heads, err := t.Heads(ctx)
	var out []feed.Number
	for _, h := range heads {
		newest := map[string]uint64{}
		for _, r := range t.s.rows[h.Region] {
			if r.Kind == kind && slices.Contains(ids, r.ID) {
				newest[r.ID] = r.Number
			}
		}
		for _, id := range slices.Sorted(maps.Keys(newest)) {
			out = append(out, feed.Number{Region: h.Region, ID: id, Number: newest[id]})
		}
	}
	return out, err
}

func (t feedStore) NextOrder(_ context.Context, region string, after uint64) (uint64, error) {
	for _, r := range t.s.rows[region][min(after, uint64(len(t.s.rows[region]))):] {
		if r.Kind == feedrow.KindOrder {
			return r.Number, nil
		}
	}
	return 0, nil
}

func (t feedStore) Newest(_ context.Context, region string, upto uint64, rows []feedrow.Row) ([]uint64, error) {
	out := make([]uint64, len(rows))
	for i, r := range rows {
		for _, o := range t.s.rows[region] {
			if o.Kind == r.Kind && o.ID == r.ID && o.Number <= upto {
				out[i] = max(out[i], o.Version)
			}
		}
	}
	return out, nil
}

func (t feedStore) Rows(_ context.Context, region string, after uint64, limit int) ([]feedrow.Row, error) {
	rows := t.s.rows[region] // rows[i] has number i+1
	return slices.Clone(first(rows[min(after, uint64(len(rows))):], limit)), nil
}

type ledgerStore struct{ *tx }

func (t ledgerStore) AppendEntries(_ context.Context, records []ledger.Record) error {
	for _, r := range records {
		place := ledger.Place{Region: r.Region, Epoch: r.Epoch, Seq: r.Seq}
		if _, there := t.s.entryAt[place]; there {
			return fmt.Errorf("entry %v: %w", place, store.ErrExists)
		}
		put(t.tx, t.s.entryAt, place, len(t.s.entries[r.Region]))
		push(t.tx, t.s.entries, r.Region, r)
		if r.Entry != nil && r.Entry.Account != "" && !r.Suspense {
			push(t.tx, t.s.entriesOf, r.Entry.Account, r)
		}
	}
	return nil
}

func (t ledgerStore) Entry(_ context.Context, p ledger.Place) (ledger.Record, error) {
	i, ok := t.s.entryAt[p]
	if !ok {
		return ledger.Record{}, fmt.Errorf("entry %v: %w", p, store.ErrNotFound)
	}
	return t.s.entries[p.Region][i], nil
}

func (t ledgerStore) UsageOf(_ context.Context, after ledger.Place, from, to int64, limit int) ([]ledger.Record, error) {
	var out []ledger.Record
	for _, r := range t.s.entries[after.Region] { // in order
		behind := r.Epoch > after.Epoch || r.Epoch == after.Epoch && r.Seq > after.Seq
		if behind && r.Entry != nil && !r.Suspense && r.Entry.Kind == journal.KindUsage && r.Entry.At >= from && r.Entry.At < to {
			out = append(out, r)
		}
	}
	return first(out, limit), nil
}

func (t ledgerStore) EntryHash(_ context.Context, p ledger.Place) (journal.Hash, error) {
	i, ok := t.s.entryAt[p]
	if !ok {
		return journal.Hash{}, fmt.Errorf("entry %v: %w", p, store.ErrNotFound)
	}
	return t.s.entries[p.Region][i].Hash, nil
}

func (t ledgerStore) InsertJournals(_ context.Context, journals []journal.Journal) error {
	return insertAll(t.tx, t.s.journals, journals, func(j journal.Journal) string { return j.Source })
}

func (t ledgerStore) AddBalances(_ context.Context, changes []ledger.Balance) error {
	for _, c := range changes {
		k := balanceKey{c.Account, c.Unit, c.Slot}
		sum, err := money.Add(money.Amount(t.s.balances[k]), money.Amount(c.Amount))
		if err != nil {
			return fmt.Errorf("balance of %s: %w", c.Account, err)
		}
		put(t.tx, t.s.balances, k, int64(sum))
	}
	return nil
}

func (t ledgerStore) BalancesOf(_ context.Context, codes []string, unit journal.Unit) (map[string]int64, error) {
	out := make(map[string]int64)
	for k, v := range t.s.balances {
		if k.unit == unit && slices.Contains(codes, k.account) {
			out[k.account] += v
		}
	}
	return out, nil
}

func (t ledgerStore) InsertReviews(_ context.Context, reviews []ledger.Review) error {
	return insertAll(t.tx, t.s.reviews, reviews, func(r ledger.Review) ledger.Place { return ledger.Place{Region: r.Region, Epoch: r.Epoch, Seq: r.Seq} })
}

func (t ledgerStore) Reviews(_ context.Context, limit int) ([]ledger.Review, error) {
	return first(sorted(t.s.reviews, func(a, b ledger.Review) int {
		return cmp.Or(cmp.Compare(a.Region, b.Region), cmp.Compare(a.Epoch, b.Epoch), cmp.Compare(a.Seq, b.Seq))
	}), limit), nil
}

func (t ledgerStore) TotalsBefore(_ context.Context, account string, unit journal.Unit, before int64) (map[journal.Kind]int64, error) {
	out := make(map[journal.Kind]int64)
	for _, r := range t.s.entriesOf[account] {
		if r.Entry.Unit == unit && r.Entry.At < before {
			out[r.Entry.Kind] += r.Entry.Amount
		}
	}
	return out, nil
}

func (t ledgerStore) OwedBefore(_ context.Context, account string, unit journal.Unit, before int64) (int64, error) {
	var sum money.Amount
	var err error
	for _, r := range t.s.entriesOf[account] {
		e := r.Entry
		if e.Kind != journal.KindOverrun && e.Kind != journal.KindReversed && e.Kind != journal.KindOwed || e.Unit != unit || e.At >= before {
			continue
		}
		for _, p := range t.s.journals[settlement.Source(r.Region, r.Epoch, r.Seq)].Postings {
			if err == nil && p.Account == journal.Receivable+account {
				sum, err = money.Add(sum, money.Amount(p.Amount))
			}
		}
	}
	return int64(sum), err
}

func (t ledgerStore) EntriesOf(_ context.Context, account string, from, to int64, limit int) ([]ledger.Record, error) {
	rows := slices.DeleteFunc(slices.Clone(t.s.entriesOf[account]), func(r ledger.Record) bool { return r.Entry.At < from || r.Entry.At >= to })
	slices.SortFunc(rows, func(a, b ledger.Record) int {
		return cmp.Or(cmp.Compare(a.Entry.At, b.Entry.At), cmp.Compare(a.Region, b.Region), byPlace(a, b))
	})
	return first(rows, limit), nil
}

type regionStore struct{ *tx }

func (t regionStore) Insert(_ context.Context, r regions.Region) error {
	return insertAll(t.tx, t.s.regions, []regions.Region{r}, func(r regions.Region) string { return r.Name })
}

func (t regionStore) Get(_ context.Context, name string, _ bool) (regions.Region, error) {
	r, ok := t.s.regions[name]
	if !ok {
		return r, fmt.Errorf("region %s: %w", name, store.ErrNotFound)
	}
	return r, nil
}

func (t regionStore) Current(ctx context.Context, name string) (uint64, bool, error) {
	r, err := t.Get(ctx, name, false)
	return r.Epoch, r.Revoked, err
}

func (t regionStore) List(context.Context) ([]regions.Region, error) {
	return sorted(t.s.regions, func(a, b regions.Region) int { return cmp.Compare(a.Name, b.Name) }), nil
}

func (t regionStore) SetTerm(ctx context.Context, name string, term uint64) error {
	r, err := t.Get(ctx, name, true)
	if err != nil {
		return err
	}
	r.RaftTerm = term
	put(t.tx, t.s.regions, name, r)
	return nil
}

func (t regionStore) MoveCursor(ctx context.Context, name string, epoch, from, to uint64, hash journal.Hash) error {
	r, err := t.Get(ctx, name, true)
	if err != nil {
		return err
	}
	if r.Epoch != epoch || r.Seq != from {
		return fmt.Errorf("cursor of %s is at %d/%d, not %d/%d: %w", name, r.Epoch, r.Seq, epoch, from, store.ErrConflict)
	}
	r.Seq, r.Hash = to, hash
	put(t.tx, t.s.regions, name, r)
	return nil
}

func (r reader) Regions(context.Context) ([]verify.Region, error) {
	waiting := map[string]bool{}
	for k := range r.s.pending {
		waiting[k.region] = true
	}
	var out []verify.Region
	for _, name := range slices.Sorted(maps.Keys(r.s.regions)) {
		g := r.s.regions[name]
		out = append(out, verify.Region{Name: name, Epoch: g.Epoch, Seq: g.Seq, Hash: g.Hash, FeedLast: r.s.heads[name], Waiting: waiting[name], Held: g.Held, Closed: g.Revoked})
	}
	return out, nil
}

func (r reader) Entries(_ context.Context, region string, fn func(epoch, seq uint64, raw []byte, hash journal.Hash) error) error {
	rows := slices.Clone(r.s.entries[region])
	slices.SortFunc(rows, byPlace)
	for _, e := range rows {
		if err := fn(e.Epoch, e.Seq, e.Raw, e.Hash); err != nil {
			return err
		}
	}
	return nil
}

func (r reader) Buckets(_ context.Context, fn func(verify.CentreBucket) error) error {
	for _, id := range slices.Sorted(maps.Keys(r.s.buckets)) {
		state := bucketStore{&tx{s: r.s}}.state(r.s.buckets[id])
		b := verify.CentreBucket{ID: id, Account: state.Account, Unit: state.Unit, Credited: state.Credited, Debited: state.Debited}
		for _, l := range state.Leases {
			t := l.Totals
			b.Leases = append(b.Leases, verify.LeaseTotals{Region: l.Region, Epoch: l.Epoch, G: t.G, T: t.T, S: t.S, X: t.X, B: t.B, P: t.P, Released: l.Released})
		}
		for _, k := range r.s.claimsOf[id] {
			c := r.s.claims[k]
			b.Claims = append(b.Claims, verify.ClaimTotals{ID: c.ID, Amount: c.Amount, Served: c.Served})
		}
		if err := fn(b); err != nil {
			return err
		}
	}
	return nil
}

func (r reader) GrantedAt(_ context.Context, region string, feedVersion uint64) (map[string]int64, error) {
	out := make(map[string]int64)
	for _, row := range first(r.s.rows[region], int(min(feedVersion, uint64(len(r.s.rows[region]))))) {
		if row.Kind != feedrow.KindLease {
			continue
		}
		var l feedrow.Lease
		if err := json.Unmarshal(row.Body, &l); err != nil {
			return nil, fmt.Errorf("feed row %d of %s: %w", row.Number, region, err)
		}
		out[l.Bucket] = l.Granted
	}
	return out, nil
}

func (r reader) FeedRows(_ context.Context, region string, fn func(number uint64, kind, id string, version uint64) error) error {
	for _, row := range r.s.rows[region] {
		if err := fn(row.Number, string(row.Kind), row.ID, row.Version); err != nil {
			return err
		}
	}
	return nil
}

func (r reader) Journals(_ context.Context, fn func(journal.Journal) error) error {
	for _, source := range slices.Sorted(maps.Keys(r.s.journals)) {
		if err := fn(r.s.journals[source]); err != nil {
			return err
		}
	}
	return nil
}

func (r reader) LedgerBalances(context.Context) (map[verify.BalanceKey]int64, error) {
	out := make(map[verify.BalanceKey]int64)
	for k, v := range r.s.balances {
		out[verify.BalanceKey{Account: k.account, Unit: k.unit}] += v
	}
	return out, nil
}
