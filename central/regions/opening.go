package regions

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strconv"
	"strings"

	"meridian/central/accounts"
	"meridian/central/buckets"
	"meridian/central/fault"
	"meridian/central/feed"
	"meridian/central/store"
	feedrow "meridian/internal/feed"
	"meridian/internal/journal"
	"meridian/internal/money"
	"meridian/replication/link"
)

// OpenPage is the most subscriptions of which one call tells the region.
const OpenPage = 500

// NewHeir names a region that is founded anew, where a ledger would be named.
const NewHeir = "new"

// ParseHeir reads epoch/seq/hash, the hash in hex, or NewHeir.
func ParseHeir(text string) (Heir, error) {
	bad := func() (Heir, error) {
		return Heir{}, fault.Bad("heir", text, "this names no ledger", `write EPOCH/SEQ/HASH as the refusal of the region says it (its /status, "ledger ends at"), or "`+NewHeir+`" for one that is founded anew`)
	}
	if text == NewHeir {
		return Heir{}, nil
	}
	parts := strings.Split(text, "/")
	if len(parts) != 3 {
		return bad()
	}
	epoch, err1 := strconv.ParseUint(parts[0], 10, 63)
	seq, err2 := strconv.ParseUint(parts[1], 10, 63)
	hash, err3 := hex.DecodeString(parts[2])
	h := Heir{Epoch: epoch, Seq: seq}
	if errors.Join(err1, err2, err3) != nil || len(hash) != len(h.Hash) || epoch == 0 || seq == 0 {
		return bad()
	}
	copy(h.Hash[:], hash)
	return h, nil
}

// String is what ParseHeir reads.
func (h Heir) String() string {
	if h == (Heir{}) {
		return NewHeir
	}
	return fmt.Sprintf("%d/%d/%x", h.Epoch, h.Seq, h.Hash)
}

func heirOf(h link.Hello) Heir {
	out := Heir{Epoch: h.Epoch, Seq: h.LastSeq}
	copy(out.Hash[:], h.HeadHash)
	return out
}

// greet is the rule which ledger may begin the epoch.
func (o *Opening) greet(r Region, h link.Hello) *link.Refused {
	switch here := heirOf(h); {
	case o.Epoch == 0:
		return refuse(link.CodeStaleEpoch, "give the region a new epoch (meridian ctl region new-epoch)", "epoch %d was not given to the ledger that ends at %s", r.Epoch, here)
	case h.Epoch == 0 && o.Heir == Heir{}, here == o.Heir:
	case h.Epoch == 0:
		return refuse(link.CodeStaleEpoch, "start the region from the directories that have that ledger, or give it a new epoch",
			"the region was founded anew, and epoch %d was given to the ledger that ends at %s", r.Epoch, o.Heir)
	default:
		return refuse(link.CodeStaleEpoch, "stop these nodes and keep their directories: what the centre does not have of their ledger is not taken in",
			"epoch %d was given to %s, this ledger ends at %s", r.Epoch, o.Heir, here)
	}
	if o.ReadyAt == 0 {
		return refuse(link.CodeStaleEpoch, "go on with meridian ctl region new-epoch until it says that the epoch is ready", "epoch %d is being prepared", r.Epoch)
	}
	return nil
}

// OpenEpochTx ends a region's epoch, if that has not ended, and issues the next one to
// one ledger, under MayOpenTx's rule: ends is the epoch of which it was proposed. What
// the ended epoch's leases had is in suspense: what its lost entries spent of it nobody
// knows. Orders that it has not answered are refused.
func (s *Service) OpenEpochTx(ctx context.Context, tx store.Tx, region string, ends uint64, heir Heir, reason string) (Opening, error) {
	st := s.Stores(tx)
	r, err := s.mayOpen(ctx, tx, region, heir)
	if err != nil {
		return Opening{}, err
	}
	if ends != r.Epoch {
		return Opening{}, fault.New(fault.Conflict, "epoch", strconv.FormatUint(ends, 10), fmt.Sprintf("this was proposed to end epoch %d, and the region is in epoch %d", ends, r.Epoch),
			"reject it; propose it anew if epoch "+strconv.FormatUint(r.Epoch, 10)+" shall end too")
	}
	now := s.Now().UnixMicro()
	if _, err := st.Closing(ctx, region, r.Epoch); errors.Is(err, store.ErrNotFound) {
		err = st.PutClosing(ctx, Closing{Region: region, Epoch: r.Epoch, Seq: r.Seq, At: now, Reason: reason})
		if err != nil {
			return Opening{}, fmt.Errorf("end epoch %d of region %s: %w", r.Epoch, region, err)
		}
	} else if err != nil {
		return Opening{}, fmt.Errorf("read the end of epoch %d of region %s: %w", r.Epoch, region, err)
	}
	previous := r.Hash
	if r.Seq == 0 {
		previous = r.PrevHash
	}
	o := Opening{Region: region, Epoch: r.Epoch + 1, Heir: heir, At: now}
	if err := st.Begin(ctx, o, previous); err != nil {
		return Opening{}, fmt.Errorf("begin epoch %d of region %s: %w", o.Epoch, region, err)
	}
	if err := s.Orders.EndOpen(ctx, tx, region, fmt.Sprintf("epoch %d of region %s ended before it was answered", r.Epoch, region)); err != nil {
		return Opening{}, err
	}
	tx.AfterCommit(func() {
		s.Log.Warn("a region has a new epoch: what the one before had is in suspense", slog.String("region", region),
			slog.Uint64("epoch", o.Epoch), slog.String("heir", heir.String()), slog.Uint64("seq", r.Seq), slog.String("reason", reason))
	})
	return o, nil
}

// OpeningTx reads the beginning of a region's present epoch; ok is false when it is
// the first.
func (s *Service) OpeningTx(ctx context.Context, tx store.Tx, region string) (o Opening, ok bool, err error) {
	epoch, _, err := s.Stores(tx).Current(ctx, region)
	if errors.Is(err, store.ErrNotFound) {
		return o, false, fault.Missing("region", region, "the region", "name one that exists")
	}
	if err == nil {
		o, err = s.Stores(tx).Opening(ctx, region, epoch)
	}
	if errors.Is(err, store.ErrNotFound) {
		return o, false, nil
	}
	if err != nil {
		return o, false, fmt.Errorf("read the opening of region %s: %w", region, err)
	}
	return o, true, nil
}

// PrepareTx tells the region's feed of the next OpenPage subscriptions what the centre
// knows of their service, and leases what is unleased of their accounts. After the
// last ones the epoch is ready to be taken. Repeated then, it does nothing.
func (s *Service) PrepareTx(ctx context.Context, tx store.Tx, o Opening) (Opening, error) {
	if o.ReadyAt != 0 {
		return o, nil
	}
	subs, err := s.Accounts(tx).SubscriptionsAt(ctx, o.Region, o.After, OpenPage)
	if err != nil {
		return o, fmt.Errorf("list the subscriptions of region %s: %w", o.Region, err)
	}
	rows, err := s.services(ctx, tx, o, subs)
	if err != nil {
		return o, err
	}
	if err := s.leaseAnew(ctx, tx, o, subs); err != nil {
		return o, err
	}
	o.Services += uint64(len(rows))
	if len(subs) > 0 {
		o.After = subs[len(subs)-1].ID
	}
	if len(subs) < OpenPage {
		now := s.Now()
		o.ReadyAt = now.UnixMicro()
		row, err := feed.NewChange(o.Region, feedrow.KindEpoch, o.Region, o.Epoch, &feedrow.Epoch{Region: o.Region, Epoch: o.Epoch, Services: o.Services, At: now.Unix()})
		if err != nil {
			return o, err
		}
		rows = append(rows, row)
	}
	if err := s.Changes.Append(ctx, tx, rows...); err != nil {
		return o, err
	}
	if err := s.Stores(tx).SaveOpening(ctx, o); err != nil {
		return o, fmt.Errorf("save the opening of region %s: %w", o.Region, err)
	}
	return o, nil
}

// services are the rows of Service of subscriptions.
func (s *Service) services(ctx context.Context, tx store.Tx, o Opening, subs []accounts.Subscription) ([]feed.Change, error) {
	ids := make([]string, len(subs))
	for i := range subs {
		ids[i] = subs[i].ID
	}
	entries, err := s.Ledger(tx).ServiceOf(ctx, ids)
	if err != nil {
		return nil, fmt.Errorf("read what %d subscriptions were charged and given: %w", len(ids), err)
	}
	fees, given := map[string]feedrow.Fees{}, map[string][]string{}
	for i := range entries {
		e := &entries[i]
		if e.Kind != journal.KindGiven {
			list := fees[e.Subscription]
			charge(&list, e)
			fees[e.Subscription] = list
		} else if !slices.Contains(given[e.Subscription], e.Detail) {
			given[e.Subscription] = append(given[e.Subscription], e.Detail)
		}
	}
	out := make([]feed.Change, len(subs))
	for i := range subs {
		sub := &subs[i]
		row := &feedrow.Service{
			Subscription: feedrow.Subscription{ID: sub.ID, Account: sub.Account, Login: sub.Login, Password: sub.Password, NTHash: sub.NTHash, Offering: sub.Offering, Terminated: sub.Terminated},
			Version:      sub.Version, Epoch: o.Epoch, At: s.Now().Unix(), Offering: sub.Offering, Barred: sub.Barred, Terminated: sub.Terminated, Charged: fees[sub.ID], Given: given[sub.ID],
		}
		if out[i], err = feed.NewChange(o.Region, feedrow.KindService, sub.ID, o.Epoch, row); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// charge folds an entry whose Ref is "subscription/component/start". One that is not so
// is of no component.
func charge(fees *feedrow.Fees, e *journal.Entry) {
	cut := strings.LastIndexByte(e.Ref, '/')
	first := strings.IndexByte(e.Ref, '/')
	if first < 0 || first == cut {
		return
	}
	start, err := strconv.ParseInt(e.Ref[cut+1:], 10, 64)
	if err != nil || start < 0 {
		return
	}
	if component := e.Ref[first+1 : cut]; e.Kind == journal.KindCredit {
		fees.Credit(component, start, money.Amount(e.Amount))
	} else {
		fees.Charge(component, start, e.Quantity, money.Amount(e.Amount))
	}
}

// leaseAnew opens the new epoch's leases of the accounts' own money, and leases what
// is unleased of all that the region is home to.
func (s *Service) leaseAnew(ctx context.Context, tx store.Tx, o Opening, subs []accounts.Subscription) error {
	var ids []string
	seen := map[string]bool{}
	for i := range subs {
		if seen[subs[i].Account] {
			continue
		}
		seen[subs[i].Account] = true
		list, err := s.Buckets(tx).OfAccount(ctx, subs[i].Account)
		if err != nil {
			return fmt.Errorf("list the buckets of account %s: %w", subs[i].Account, err)
		}
		for k := range list {
			free, err := list[k].Unleased()
			if err != nil {
				return err
			}
			if list[k].Home == o.Region && (free > 0 || list[k].ID == buckets.CashID(list[k].Account)) {
				ids = append(ids, list[k].ID)
			}
		}
	}
	slices.Sort(ids)
	states, err := s.Buckets(tx).Load(ctx, ids)
	if err != nil {
		return fmt.Errorf("read %d buckets: %w", len(ids), err)
	}
	var opened []buckets.Lease
	var rows []feed.Change
	for i := range states {
		l, fresh := states[i].Open(o.Region, o.Epoch)
		if !fresh {
			continue
		}
		row, err := states[i].Announce(l)
		if err != nil {
			return err
		}
		opened, rows = append(opened, *l), append(rows, row)
	}
	if err := s.Buckets(tx).SaveLeases(ctx, opened); err != nil {
		return fmt.Errorf("open %d leases: %w", len(opened), err)
	}
	if err := s.Changes.Append(ctx, tx, rows...); err != nil {
		return err
	}
	journals, err := s.rebalance(ctx, tx, states, s.Now().UnixMicro(), nil)
	if err != nil || len(journals) == 0 {
		return err
	}
	return s.Books.Post(ctx, tx, o.Region, journals)
}
