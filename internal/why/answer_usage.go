package why

import (
	"fmt"
	"strings"

	"meridian/internal/journal"
	"meridian/internal/money"
	"meridian/internal/rating"
	"meridian/internal/replay"
)

// mostTold bounds the pieces that one sentence tells; the data have all.
const mostTold = 6

// record is the usage record that the entry is, or is of.
func (x *explain) record() *journal.UsageRecord {
	if x.q.Entry.Usage != nil {
		return x.q.Entry.Usage
	}
	if e := x.recordEntry(); e != nil {
		return e.Usage
	}
	return nil
}

func (x *explain) recordEntry() *journal.Entry {
	for _, e := range x.q.Beside {
		if e.Kind == journal.KindUsage && e.Session == x.q.Entry.Session && e.Cut == x.q.Entry.Cut {
			return e
		}
	}
	return nil
}

// usage explains a cut's record and what bore its price.
func (x *explain) usage() {
	e := x.recordEntry()
	if e == nil && x.q.Entry.Kind == journal.KindUsage {
		e = x.q.Entry
	}
	if e == nil {
		x.unexplained("the usage record of cut %d of session %s is not in the ledger", x.q.Entry.Cut, x.q.Entry.Session)
		x.pieces = x.w.unknown
		return
	}
	u := e.Usage
	x.a.Offering, x.a.Version, x.a.TariffHash = u.Offering, u.OfferingVersion, fmt.Sprintf("%x", u.TariffHash)
	paid, bore := x.payers(u)
	if len(x.q.Versions) == 0 {
		x.unexplained("%s", x.q.Unknown)
		x.pieces = x.plainly(u)
		return
	}
	v := x.q.Versions[0]
	if v.Hash() != u.TariffHash {
		x.unexplained("the catalog's %s version %d has other content than the one that priced this: %x", v.ID, v.Version, v.Hash())
		x.pieces = x.plainly(u)
		return
	}
	x.priced(v)
	r, exact, err := v.Record(e.Session.Start, u, paid)
	if err != nil {
		x.unexplained("%s", err)
		x.pieces = x.plainly(u)
		return
	}
	if !exact && len(u.Parts) > 0 { // the sum of a try that has other pieces is not the version's price
		x.unexplained("its pieces are not reproduced by the version's prices from what stands in the record and in its cut's charges")
		x.pieces = x.plainly(u)
		return
	}
	x.tell(v, &r)
	x.judge(u, &r, exact, bore)
}

// payers lists who bore a cut's price: what buckets paid, and the sum of it all in
// money.
func (x *explain) payers(u *journal.UsageRecord) (paid []replay.Paid, bore int64) {
	names := replay.Allowances(u)
	for _, e := range x.q.Beside {
		if e.Session != x.q.Entry.Session || e.Cut != x.q.Entry.Cut || e.Cut == 0 {
			continue
		}
		p := Payer{Entry: source(e), By: "balance", Bucket: e.Bucket, Balance: names[e.Bucket], Unit: string(e.Unit), Amount: amountText(e.Amount, e.Unit)}
		if p.Balance == "" {
			p.Balance = x.q.Names[e.Bucket]
		}
		switch e.Kind {
		case journal.KindCharge:
			paid = append(paid, replay.Paid{Bucket: e.Bucket, Unit: e.Unit, Amount: e.Amount})
		case journal.KindOverrun:
			if p.By = "owed"; e.Detail == "absorbed" {
				p.By = e.Detail
			}
		case journal.KindRefund:
			p.By = "refund"
		case journal.KindReversed:
			p.By = "reversed"
		default:
			continue
		}
		if sign := int64(1); e.Unit.IsMoney() {
			if e.Kind == journal.KindRefund || e.Kind == journal.KindReversed {
				sign = -1
			}
			bore += sign * e.Amount
		}
		x.a.Paid = append(x.a.Paid, p)
	}
	if name := names[x.q.Entry.Bucket]; name != "" && x.a.Balance == "" {
		x.a.Balance = name
		x.name(x.q.Entry.Bucket, name)
	}
	return paid, bore
}

func (x *explain) name(bucket, name string) {
	more := map[string]string{bucket: name}
	for k, v := range x.q.Names {
		more[k] = v
	}
	x.q.Names = more
}

// tell writes a record's pieces.
func (x *explain) tell(v *replay.Version, r *replay.Result) {
	var told []string
	n := 0
	for i := range r.Parts {
		p := &r.Parts[i]
		for k := range p.Pieces {
			f := FactsOf(v.Offering, p.Component, p.Zone, p.Pieces[k])
			piece := Piece{Component: f.Component, Rule: p.Pieces[k].Rule, Kind: f.Kind.String(), Unit: string(f.Unit), Quantity: f.Quantity, Charged: f.Charged, Step: f.Step,
				Amount: f.Amount.String(), Zone: f.Zone, Window: f.Window, Capped: f.Capped, Sentence: Sentence(x.l, &f)}
			if f.Price.Per != 0 {
				piece.Price, piece.Per = f.Price.Amount.String(), f.Price.Per
			}
			if k < len(p.Slices) {
				piece.Bucket = p.Slices[k].Bucket
			}
			x.a.Pieces = append(x.a.Pieces, piece)
			if n++; n <= mostTold {
				told = append(told, strings.TrimSuffix(piece.Sentence, "."))
			}
		}
		if x.a.Rounding != nil && len(r.Parts) == 1 {
			x.a.Rounding.Payable = v.Plan.Payable(p.Component, p.After.Tally).String()
		}
	}
	if n > mostTold {
		told = append(told, fmt.Sprintf(x.w.more, n-mostTold))
	}
	if x.pieces = strings.Join(told, "; "); n == 0 {
		x.pieces = x.w.nothing
	}
}

// judge holds what the record comes to now against what it says, and what was paid
// against that.
func (x *explain) judge(u *journal.UsageRecord, r *replay.Result, exact bool, bore int64) {
	sum := money.Amount(0)
	for _, p := range u.Components() {
		for _, s := range p.Slices {
			sum += s.Amount
		}
	}
	x.a.Recomputed = r.Amount().String()
	switch {
	case r.Amount() != sum:
		x.unexplained("the record says %s, by the version's prices it comes to %s", sum, r.Amount())
	case int64(sum) != bore && len(x.a.Paid) > 0:
		x.unexplained("the record comes to %s, its charges sum to %s", sum, money.Amount(bore))
	case !exact:
		x.unexplained("the record's sum is right, but not its pieces")
	}
}

// plainly tells a record that no version prices by what stands in it.
func (x *explain) plainly(u *journal.UsageRecord) string {
	var told []string
	for _, p := range u.Components() {
		for _, s := range p.Slices {
			x.a.Pieces = append(x.a.Pieces, Piece{Component: p.Component, Rule: s.Rule, Kind: s.Kind.String(), Quantity: s.Quantity, Charged: s.Charged, Amount: s.Amount.String(), Bucket: s.Bucket, Zone: p.Zone})
			if s.Kind == rating.KindUsage && len(told) < mostTold {
				told = append(told, fmt.Sprintf("%s: %d, %s", s.Rule, s.Quantity, s.Amount))
			}
		}
	}
	if len(told) == 0 {
		return x.w.nothing
	}
	return strings.Join(told, "; ")
}
