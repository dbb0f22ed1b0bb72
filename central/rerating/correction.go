package rerating

import (
	"fmt"
	"slices"

	"meridian/central/ledger"
	"meridian/internal/journal"
	"meridian/internal/money"
	"meridian/internal/replay"
)

// Policy says what becomes of usage that was charged too little.
type Policy string

// Undercharge is owed by the subscriber, a receivable, or waived.
const (
	Owe   Policy = "receivable"
	Waive Policy = "waive"
)

// Refund is money given back to a bucket.
type Refund struct {
	Bucket string       `json:"bucket"`
	Amount money.Amount `json:"amount_micro"`
}

// Correction is what became of one record by one version, for ever. Price is what
// the record comes to by that version; the rest is how it differs from what the
// subscriber had borne until then.
type Correction struct {
	Account      string
	Place        ledger.Place // of the usage record that it corrects
	Session      journal.SessionKey
	Subscription string
	Offering     string
	Version      uint32 // that it was priced by now
	Run          string
	At           int64 // Unix microseconds
	Unit         journal.Unit
	Price        money.Amount
	Refunds      []Refund     // given back to buckets
	Owed         money.Amount // change of the receivable
	Absorbed     money.Amount // change of what the operator bears
	Waived       money.Amount // undercharge that nobody pays
	UpTo         int64        // late usage: the session's cumulative quantity that is priced with it
}

// Source is the source of its journal: it names the record and the version.
func (c *Correction) Source() string {
	return fmt.Sprintf("correction/%s/%d/%d/%d", c.Place.Region, c.Place.Epoch, c.Place.Seq, c.Version)
}

// Refunded is what buckets got back.
func (c *Correction) Refunded() (sum money.Amount) {
	for _, r := range c.Refunds {
		sum += r.Amount
	}
	return sum
}

// Journal is what it posts; false when nobody owes anything else than before.
func (c *Correction) Journal() (journal.Journal, bool) {
	j := journal.Journal{Source: c.Source(), At: c.At, Kind: "correction"}
	post := func(account string, amount money.Amount) {
		if amount != 0 {
			j.Postings = append(j.Postings, journal.Posting{Account: account, Unit: c.Unit, Amount: int64(amount)})
		}
	}
	post(journal.CustomerPrepaid+c.Account, -c.Refunded())
	post(journal.Receivable+c.Account, c.Owed)
	post(journal.OverrunAbsorbed, c.Absorbed)
	post(journal.RevenueUsage, c.Refunded()-c.Owed-c.Absorbed)
	return j, len(j.Postings) > 0
}

// Record is a usage record and what its cut charged.
type Record struct {
	Place    ledger.Place
	Entry    *journal.Entry
	Charges  []Refund     // by bucket, in the order of payment
	Owed     money.Amount // overrun
	Absorbed money.Amount
	Unit     journal.Unit  // of the charges, "" when there are none
	Paid     []replay.Paid // by buckets, allowances' too
	Odd      string        // why it is not corrected, "" = it can be
}

// borne takes what earlier corrections have changed off a record's charges.
func (r *Record) borne(earlier []Correction) {
	for i := range earlier {
		c := &earlier[i]
		r.Owed, r.Absorbed = r.Owed+c.Owed, r.Absorbed+c.Absorbed
		for _, back := range c.Refunds {
			left := back.Amount
			for k := len(r.Charges) - 1; k >= 0 && left > 0; k-- { // as it was given back
				n := min(left, r.Charges[k].Amount)
				r.Charges[k].Amount, left = r.Charges[k].Amount-n, left-n
			}
		}
	}
}

// Correct is the rule of a correction: price against what the record's subscriber
// and the operator have borne. What was charged too much is given back in the
// opposite order of payment: what nothing could pay first, then the buckets, the
// last one first. What was charged too little is owed or waived.
func Correct(r Record, earlier []Correction, price money.Amount, policy Policy) Correction {
	r.Charges = slices.Clone(r.Charges)
	r.borne(earlier)
	c := Correction{Account: r.Entry.Account, Place: r.Place, Session: r.Entry.Session, Subscription: r.Entry.Subscription, Unit: r.Unit, Price: price}
	over := r.Owed + r.Absorbed - price
	for _, p := range r.Charges {
		over += p.Amount
	}
	if over < 0 {
		if policy == Owe {
			c.Owed = -over
		} else {
			c.Waived = -over
		}
		return c
	}
	take := func(from money.Amount) money.Amount {
		n := min(over, max(from, 0))
		over -= n
		return n
	}
	c.Owed = -take(r.Owed)
	c.Absorbed = -take(r.Absorbed)
	for k := len(r.Charges) - 1; k >= 0; k-- {
		if n := take(r.Charges[k].Amount); n > 0 {
			c.Refunds = append(c.Refunds, Refund{r.Charges[k].Bucket, n})
		}
	}
	return c
}

// Collect groups an account's entries, in their order, into records with what
// their cuts charged.
func Collect(entries []ledger.Record) []Record {
	type cut struct {
		session journal.SessionKey
		number  uint32
	}
	var out []Record
	at := map[cut]int{}
	for i := range entries {
		e := entries[i].Entry
		if e == nil {
			continue
		}
		place := ledger.Place{Region: entries[i].Region, Epoch: entries[i].Epoch, Seq: entries[i].Seq}
		switch k := (cut{e.Session, e.Cut}); e.Kind {
		case journal.KindUsage, journal.KindQuarantine:
			if e.Kind == journal.KindUsage {
				at[k] = len(out)
			}
			out = append(out, Record{Place: place, Entry: e})
		default:
			if n, known := at[k]; known && e.Cut != 0 {
				out[n].charged(e)
			}
		}
	}
	return out
}

func (r *Record) charged(e *journal.Entry) {
	if e.Kind == journal.KindCharge {
		r.Paid = append(r.Paid, replay.Paid{Bucket: e.Bucket, Unit: e.Unit, Amount: e.Amount})
	}
	if e.Kind == journal.KindCharge && !e.Unit.IsMoney() {
		if len(r.Entry.Usage.Parts) == 0 {
			r.Odd = "an allowance paid a part of it"
		}
		return // what allowances pay for stays paid by them
	}
	switch e.Kind {
	case journal.KindCharge:
		r.Charges = append(r.Charges, Refund{e.Bucket, money.Amount(e.Amount)})
	case journal.KindOverrun:
		if e.Detail == "absorbed" {
			r.Absorbed += money.Amount(e.Amount)
		} else {
			r.Owed += money.Amount(e.Amount)
		}
	case journal.KindRefund, journal.KindReversed:
		r.Odd = "its cut gave something back itself"
		return
	default:
		return
	}
	r.Unit = e.Unit
}
