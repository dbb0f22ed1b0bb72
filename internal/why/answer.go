package why

import (
	"cmp"
	"fmt"
	"strconv"
	"strings"
	"time"

	"meridian/internal/journal"
	"meridian/internal/money"
	"meridian/internal/replay"
	"meridian/internal/tariff"
)

// Question is a ledger entry and what is kept around it. The answer follows from
// these alone.
type Question struct {
	Entry *journal.Entry
	// Beside are the entries of the same cut, or of the same fee, in their order, the
	// entry itself among them.
	Beside []*journal.Entry
	// Before are the account's entries about fees before this one: of a credit.
	Before []*journal.Entry
	// Versions are those that may have priced it, the likeliest first: of usage the one
	// that its record names. Unknown says why there is none.
	Versions []*replay.Version
	Unknown  string
	Names    map[string]string // of balances, by bucket
	Order    *Order            // that it answers or that debited
}

// Order is what an operator ordered.
type Order struct {
	Action string       `json:"action"`
	Amount money.Amount `json:"-"`
	Reason string       `json:"reason,omitempty"`
}

// Answer says why an entry is what it is, as data and in a sentence. Amounts are
// decimals of a currency, or counts of a unit.
type Answer struct {
	Entry        string   `json:"entry"` // source of its journal
	Kind         string   `json:"kind"`
	At           string   `json:"at"`
	Account      string   `json:"account,omitempty"`
	Subscription string   `json:"subscription,omitempty"`
	Bucket       string   `json:"bucket,omitempty"`
	Balance      string   `json:"balance,omitempty"` // the bucket's allowance, "" = money or not known
	Unit         string   `json:"unit,omitempty"`
	Amount       string   `json:"amount,omitempty"`
	Lang         Language `json:"lang"`
	Sentence     string   `json:"sentence"`

	// Explained tells that the amount was computed again from what is kept and is the
	// entry's. An entry that moves no price (a loan, a notice) is explained by itself.
	Explained  bool   `json:"explained"`
	Reason     string `json:"reason,omitempty"`     // why it is not
	Recomputed string `json:"recomputed,omitempty"` // what it came to

	Offering   string    `json:"offering,omitempty"`
	Version    uint32    `json:"version,omitempty"`
	TariffHash string    `json:"tariff_hash,omitempty"`
	Pieces     []Piece   `json:"pieces,omitempty"`
	Paid       []Payer   `json:"paid,omitempty"`
	Fee        *Part     `json:"fee,omitempty"`
	Rounding   *Rounding `json:"rounding,omitempty"`
	Order      *Order    `json:"order,omitempty"`
}

// Piece is a priced piece of usage.
type Piece struct {
	Component string `json:"component"`
	Rule      string `json:"rule"`
	Kind      string `json:"kind"`
	Unit      string `json:"unit"`
	Quantity  int64  `json:"quantity"` // counts
	Charged   int64  `json:"charged"`  // in whole steps
	Step      int64  `json:"step,omitempty"`
	Price     string `json:"price,omitempty"` // for Per counts
	Per       int64  `json:"per,omitempty"`
	Amount    string `json:"amount"`
	Zone      string `json:"zone,omitempty"`
	Window    string `json:"window,omitempty"`
	Bucket    string `json:"bucket,omitempty"` // allowance's that paid
	Capped    bool   `json:"capped,omitempty"`
	Sentence  string `json:"sentence"`
}

// Payer is who bore a part: a balance, the subscriber's debt or the operator.
type Payer struct {
	Entry   string `json:"entry"`
	By      string `json:"by"` // balance, owed, absorbed, refund or reversed (of what was owed or absorbed)
	Bucket  string `json:"bucket,omitempty"`
	Balance string `json:"balance,omitempty"`
	Unit    string `json:"unit"`
	Amount  string `json:"amount"`
}

// Off is what a promotion took off.
type Off struct {
	Promotion string `json:"promotion"`
	Name      string `json:"name"`
	Amount    string `json:"amount"`
}

// Part is the part of a period that a fee or credit is for.
type Part struct {
	Component string `json:"component"`
	From      string `json:"from"`
	To        string `json:"to,omitempty"`
	Days      int64  `json:"days,omitempty"` // of Of that the whole price is for; 0 = the whole
	Of        int64  `json:"of,omitempty"`
	Whole     string `json:"whole_price,omitempty"`
	Price     string `json:"price,omitempty"` // before promotions; of a credit, what had been paid
	Off       []Off  `json:"discounts,omitempty"`
}

// Rounding says how the amount was rounded, and how what is to be paid will be.
type Rounding struct {
	Charge  string `json:"charge"`
	Mode    string `json:"invoice_mode"`
	Places  int    `json:"invoice_places"`
	Payable string `json:"session_payable,omitempty"` // the session's total so far, rounded so
}

// Explain answers a question in a language; an unknown one is English.
func Explain(l Language, q *Question) Answer {
	e := q.Entry
	a := Answer{Entry: source(e), Kind: e.Kind.String(), At: time.UnixMicro(e.At).UTC().Format(time.RFC3339), Account: e.Account, Subscription: e.Subscription,
		Bucket: e.Bucket, Balance: q.Names[e.Bucket], Unit: string(e.Unit), Lang: wordsOf(l).language, Order: q.Order, Explained: true}
	if e.Unit != "" {
		a.Amount = amountText(e.Amount, e.Unit)
	}
	x := explain{l: a.Lang, w: wordsOf(l), q: q, a: &a}
	switch e.Kind {
	case journal.KindUsage, journal.KindCharge, journal.KindOverrun, journal.KindRefund, journal.KindReversed:
		x.usage()
	case journal.KindRecurring, journal.KindOneTime, journal.KindOwed:
		x.fee()
	case journal.KindCredit:
		x.credit()
	case journal.KindGiven:
		x.given()
	case journal.KindOrderDebit:
		x.order()
	}
	a.Sentence = x.sentence(x.w.entries[e.Kind.String()])
	return a
}

// explain is one answer in the making.
type explain struct {
	l Language
	w *words
	q *Question
	a *Answer

	pieces string // in words
	charge string // a fee's sentence
}

func source(e *journal.Entry) string { return fmt.Sprintf("entry/%s/%d/%d", e.Region, e.Epoch, e.Seq) }

func amountText(n int64, u journal.Unit) string {
	if u.IsMoney() {
		return money.Amount(n).String()
	}
	return strconv.FormatInt(n, 10)
}

// sum writes an amount with its unit.
func (x *explain) sum(n int64, u journal.Unit) string {
	if u.IsMoney() || u == "" {
		return strings.TrimSpace(money.Amount(n).String() + " " + string(u))
	}
	return x.w.quantity(x.l, n, tariff.Unit(u))
}

func (x *explain) unexplained(format string, args ...any) {
	x.a.Explained, x.a.Reason = false, fmt.Sprintf(format, args...)
}

// balance names a bucket for people.
func (x *explain) balance(bucket string) string {
	if name := x.q.Names[bucket]; name != "" {
		return fmt.Sprintf(x.w.allowance, name)
	}
	if strings.HasSuffix(bucket, "/cash") {
		return x.w.cash
	}
	return fmt.Sprintf(x.w.balance, bucket)
}

func (x *explain) priced(v *replay.Version) {
	hash := v.Hash()
	x.a.Offering, x.a.Version, x.a.TariffHash = v.ID, v.Version, fmt.Sprintf("%x", hash)
	r := tariff.DefaultRounding()
	if v.Rounding != nil {
		r = *v.Rounding
	}
	x.a.Rounding = &Rounding{Charge: "micro-units", Mode: string(r.Mode), Places: r.Places}
}

// sentence fills a template of entries.
func (x *explain) sentence(template string) string {
	e := x.q.Entry
	at := func(t int64) string { return time.Unix(t, 0).UTC().Format("2006-01-02 15:04:05") }
	from, to, service, octets := "", "", "", ""
	if u := x.record(); u != nil {
		from, to, service = at(u.From), at(u.To), u.Service
		octets = x.w.quantity(x.l, int64(u.InOctets+u.OutOctets), tariff.Bytes)
	} else if _, start, ok := strings.Cut(e.Ref, "/"); ok {
		if n, err := strconv.ParseInt(start[strings.LastIndexByte(start, '/')+1:], 10, 64); err == nil {
			from = at(n)
		}
	}
	reason := ""
	if x.q.Order != nil {
		reason = x.q.Order.Reason
	}
	offering := x.a.Offering
	if len(x.q.Versions) > 0 && offering == x.q.Versions[0].ID {
		offering = x.q.Versions[0].Name
	}
	quantity := strconv.FormatInt(e.Quantity, 10)
	if e.Kind == journal.KindOverrun && x.unit(e.Ref) != "" {
		quantity = x.w.quantity(x.l, e.Quantity, x.unit(e.Ref))
	}
	return strings.NewReplacer(
		"{amount}", x.sum(e.Amount, e.Unit), "{bucket}", x.balance(e.Bucket), "{region}", e.Region, "{epoch}", strconv.FormatUint(e.Epoch, 10),
		"{offering}", fmt.Sprintf(x.w.version, cmp.Or(offering, "?"), x.a.Version), "{pieces}", x.pieces, "{service}", cmp.Or(service, "?"),
		"{from}", from, "{to}", to, "{charge}", x.charge, "{ref}", e.Ref, "{detail}", x.detail(), "{reason}", cmp.Or(reason, "–"),
		"{session}", e.Session.ID, "{nas}", e.Session.NAS, "{quantity}", quantity, "{octets}", octets,
	).Replace(template)
}

// detail is an entry's own text, where it is one of a few in the reader's language.
func (x *explain) detail() string {
	d := x.q.Entry.Detail
	for _, known := range []string{"executed", "refused", "owed", "absorbed"} {
		if rest, ok := strings.CutPrefix(d, known); ok {
			return x.w.details[known] + rest
		}
	}
	return cmp.Or(d, "–")
}

// unit is what the component counts that a rule begins with.
func (x *explain) unit(rule string) tariff.Unit {
	for _, v := range x.q.Versions {
		for i := range v.Usage {
			if name := fmt.Sprintf("%s@%d/%s", v.ID, v.Version, v.Usage[i].Name); rule == name || strings.HasPrefix(rule, name+"/") {
				return v.Usage[i].Unit
			}
		}
	}
	return ""
}
