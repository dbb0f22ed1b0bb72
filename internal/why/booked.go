package why

import (
	"cmp"
	"fmt"
	"strings"
	"time"

	"meridian/internal/journal"
	"meridian/internal/money"
)

// Booked is what the centre books itself: a payment, a chargeback, a correction.
type Booked struct {
	Kind         string // payment, chargeback or correction
	Source       string
	At           int64 // Unix microseconds
	Account      string
	Subscription string
	Bucket       string
	Unit         journal.Unit
	Amount       money.Amount // of a correction: what comes back to balances of money
	Reference    string       // the payer's, or of a chargeback the payment
	Detail       string       // how it was paid
	Reason       string

	// Of a correction.
	Session               string
	Offering              string // its name, or id
	OfferingID            string
	Version               uint32
	Price                 money.Amount
	Back                  []Payer // what came back to balances
	Owed, Absorbed, Waive money.Amount
	Unexplained           string // why the price was not computed again, "" = it was
	Recomputed            money.Amount
}

// ExplainBooked says why the centre booked something.
func ExplainBooked(l Language, b *Booked) Answer {
	w := wordsOf(l)
	a := Answer{Entry: b.Source, Kind: b.Kind, At: time.UnixMicro(b.At).UTC().Format(time.RFC3339), Account: b.Account, Subscription: b.Subscription, Bucket: b.Bucket,
		Unit: string(b.Unit), Amount: b.Amount.String(), Lang: w.language, Explained: true, Offering: b.OfferingID, Version: b.Version, Paid: b.Back}
	x := explain{l: w.language, w: w, q: &Question{}, a: &a}
	sum := func(n money.Amount) string { return x.sum(int64(n), b.Unit) }
	detail := b.Detail
	if b.Kind == "correction" {
		a.Recomputed = b.Recomputed.String()
		switch {
		case b.Unexplained != "":
			a.Recomputed = ""
			x.unexplained("%s", b.Unexplained)
		case b.Recomputed != b.Price:
			x.unexplained("the correction says that the usage comes to %s, by the version's prices it comes to %s", b.Price, b.Recomputed)
		}
		detail = x.corrected(b, sum)
	}
	a.Sentence = strings.NewReplacer("{amount}", sum(b.Amount), "{detail}", detail, "{ref}", cmp.Or(b.Reference, "–"), "{reason}", cmp.Or(b.Reason, "–"),
		"{bucket}", x.balance(b.Bucket), "{session}", b.Session, "{offering}", fmt.Sprintf(w.version, b.Offering, b.Version), "{quantity}", sum(b.Price)).Replace(w.entries[b.Kind])
	return a
}

// corrected says who has more or less by a correction.
func (x *explain) corrected(b *Booked, sum func(money.Amount) string) string {
	var out []string
	for _, p := range b.Back {
		out = append(out, fmt.Sprintf(x.w.details["back"], p.Amount+" "+p.Unit, x.balance(p.Bucket)))
	}
	for _, c := range []struct {
		word string
		n    money.Amount
	}{{"debt", b.Owed}, {"bears", b.Absorbed}, {"waived", b.Waive}} {
		if c.n != 0 {
			out = append(out, fmt.Sprintf(x.w.details[c.word], sum(c.n)))
		}
	}
	if len(out) == 0 {
		return x.w.details["same"]
	}
	return strings.Join(out, "; ")
}
