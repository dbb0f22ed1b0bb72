package api

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"strconv"
	"time"

	"meridian/central/accounts"
	"meridian/central/buckets"
	"meridian/central/catalog"
	"meridian/central/fault"
	"meridian/central/orders"
	"meridian/central/payments"
	"meridian/central/regions"
	"meridian/central/statement"
	"meridian/internal/money"
)

// decode reads a JSON body strictly: unknown fields and anything after the value
// are faults.
func decode(body []byte, into any) error {
	d := json.NewDecoder(bytes.NewReader(body))
	d.DisallowUnknownFields()
	if err := d.Decode(into); err != nil {
		var typed *json.UnmarshalTypeError
		if errors.As(err, &typed) {
			return fault.Bad(typed.Field, typed.Value, "the value has the wrong type", "send "+typed.Type.String())
		}
		return fault.Bad("body", "", "the body is not what this path takes: "+err.Error(), "send one JSON object with the fields described")
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return fault.Bad("body", "", "something follows the JSON object", "send one JSON object")
	}
	return nil
}

// amount reads a decimal such as "25.00".
func amount(field, s string) (money.Amount, error) {
	a, err := money.Parse(s)
	if err != nil {
		return 0, fault.Bad(field, s, "this is no amount", `write a decimal in quotes with at most six places, e.g. "25.00"`)
	}
	return a, nil
}

// instant writes Unix microseconds as RFC 3339; 0 is empty.
func instant(us int64) string {
	if us == 0 {
		return ""
	}
	return time.UnixMicro(us).UTC().Format(time.RFC3339Nano)
}

// parseInstant reads RFC 3339 as Unix microseconds; empty is 0.
func parseInstant(field, s string) (int64, error) {
	if s == "" {
		return 0, nil
	}
	t, err := time.Parse(time.RFC3339, s)
	if err != nil {
		return 0, fault.Bad(field, s, "this is no instant", "write RFC 3339, e.g. 2026-11-01T00:00:00Z")
	}
	return t.UnixMicro(), nil
}

// limitOf reads a page size from 1 to 500; empty is 100.
func limitOf(s string) (int, error) {
	if s == "" {
		return 100, nil
	}
	n, err := strconv.Atoi(s)
	if err != nil || n < 1 || n > 500 {
		return 0, fault.Bad("limit", s, "this is no page size", "use 1 to 500")
	}
	return n, nil
}

type customerBody struct {
	ID   string                `json:"id"`
	Kind accounts.CustomerKind `json:"kind"`
	Name string                `json:"name"`

	Segment string `json:"segment,omitempty"`
}

type accountBody struct {
	ID       string         `json:"id"`
	Customer string         `json:"customer"`
	Currency money.Currency `json:"currency"`
}

type subscriptionBody struct {
	ID         string `json:"id"`
	Account    string `json:"account"`
	Home       string `json:"home"`
	Login      string `json:"login"`
	Offering   string `json:"offering"`
	Barred     bool   `json:"barred"`
	Terminated bool   `json:"terminated"`
}

func subscriptionOf(s accounts.Subscription) subscriptionBody {
	return subscriptionBody{ID: s.ID, Account: s.Account, Home: s.Home, Login: s.Login, Offering: s.Offering, Barred: s.Barred, Terminated: s.Terminated}
}

// passwordBody tells which password is in force without telling it.
type passwordBody struct {
	Subscription string `json:"subscription"`
	Login        string `json:"login"`
	Version      uint64 `json:"version"`
}

func passwordOf(s accounts.Subscription) passwordBody {
	return passwordBody{Subscription: s.ID, Login: s.Login, Version: s.Version}
}

type nasBody struct {
	ID      string `json:"id"`
	Region  string `json:"region"`
	Address string `json:"address"`
	Vendor  string `json:"vendor"`
	CoA     string `json:"coa,omitempty"`
}

type paymentBody struct {
	ID        string         `json:"id"`
	Account   string         `json:"account"`
	Amount    string         `json:"amount"`
	Currency  money.Currency `json:"currency"`
	Method    string         `json:"method"`
	Reference string         `json:"reference,omitempty"`
	At        string         `json:"at"`
}

func paymentOf(p payments.Payment) paymentBody {
	return paymentBody{ID: p.ID, Account: p.Account, Amount: p.Amount.String(), Currency: p.Currency, Method: p.Method, Reference: p.Reference, At: instant(p.At)}
}

type orderBody struct {
	ID           string `json:"id"`
	Subscription string `json:"subscription"`
	Account      string `json:"account"`
	Region       string `json:"region"`
	Action       string `json:"action"`
	Offering     string `json:"offering,omitempty"`
	Amount       string `json:"amount,omitempty"`
	Reason       string `json:"reason,omitempty"`
	PlacedAt     string `json:"placed_at"`
	Status       string `json:"status"`
	Detail       string `json:"detail,omitempty"`
	DoneAt       string `json:"done_at,omitempty"`
}

func orderOf(o orders.Order) orderBody {
	out := orderBody{ID: o.ID, Subscription: o.Subscription, Account: o.Account, Region: o.Region, Action: string(o.Action), Offering: o.Offering,
		Reason: o.Reason, PlacedAt: instant(o.PlacedAt), Status: o.Status, Detail: o.Detail, DoneAt: instant(o.DoneAt)}
	if o.Amount != 0 {
		out.Amount = o.Amount.String()
	}
	return out
}

type regionBody struct {
	Name      string  `json:"name"`
	Revoked   bool    `json:"revoked"`
	Epoch     uint64  `json:"epoch"`
	Seq       uint64  `json:"seq"`
	Hash      string  `json:"hash"`
	FeedLast  uint64  `json:"feed_last"` // newest number of the region's feed
	CreatedAt string  `json:"created_at"`
	Mode      string  `json:"mode,omitempty"`
	Node      string  `json:"node,omitempty"`
	Backlog   *uint64 `json:"backlog_entries,omitempty"` // absent until heard
	HeardAt   string  `json:"heard_at,omitempty"`
	Held      string  `json:"held,omitempty"` // why nothing is taken until a person has looked

	Signed []signedBody `json:"signed,omitempty"` // newest head of each node, as this server had it
	Link   *Link        `json:"link,omitempty"`   // as this server has it; absent when the region has not come here
}

// Link is a region's stream, as one server of the centre sees it.
type Link struct {
	Connected bool   `json:"connected"`
	Node      string `json:"node"`             // of the stream, or of the one that ended last
	Cause     string `json:"cause,omitempty"`  // why the newest stream that is over ended: a name of package link
	Reason    string `json:"reason,omitempty"` // a refusal's code, or what was lacking here
	EndedAt   string `json:"ended_at,omitempty"`
}

type signedBody struct {
	Node string `json:"node"`
	Seq  uint64 `json:"seq"`
	At   string `json:"at"` // region time
}

type releaseBody struct {
	Region    string   `json:"region"`
	Node      string   `json:"node"` // whose head had held it
	Held      string   `json:"held"`
	HeldAt    string   `json:"held_at"`
	Reason    string   `json:"reason,omitempty"` // of the release
	Discarded []string `json:"discarded,omitempty"`
}

func regionOf(r regions.Region) regionBody {
	return regionBody{Name: r.Name, Revoked: r.Revoked, Epoch: r.Epoch, Seq: r.Seq, Hash: hex.EncodeToString(r.Hash[:]), CreatedAt: instant(r.CreatedAt), Held: r.Held}
}

type offeringBody struct {
	ID          string `json:"id"`
	Version     uint32 `json:"version"`
	Name        string `json:"name"`
	Currency    string `json:"currency"`
	ValidFrom   string `json:"valid_from"`
	Hash        string `json:"hash,omitempty"`
	PublishedAt string `json:"published_at,omitempty"`
}

func offeringOf(v catalog.Version) offeringBody {
	o := v.Offering
	return offeringBody{ID: o.ID, Version: o.Version, Name: o.Name, Currency: string(o.Currency), ValidFrom: instant(o.ValidFrom * 1e6),
		Hash: hex.EncodeToString(v.Hash[:]), PublishedAt: instant(v.PublishedAt)}
}

type bucketBody struct {
	ID       string      `json:"id"`
	Unit     string      `json:"unit"`
	Home     string      `json:"home,omitempty"`
	Credited int64       `json:"credited"`
	Debited  int64       `json:"debited"`
	Leases   []leaseBody `json:"leases"`
	Claims   []claimBody `json:"claims"` // open ones
}

type claimBody struct {
	ID      string `json:"id"`
	Account string `json:"account"`
	Kind    string `json:"kind"`
	Payment string `json:"payment,omitempty"`
	Amount  int64  `json:"amount"`
	Served  int64  `json:"served"`
	At      string `json:"at"`
	Reason  string `json:"reason,omitempty"`
}

func claimOf(c buckets.Claim) claimBody {
	return claimBody{ID: c.ID, Account: c.Account, Kind: string(c.Kind), Payment: c.Payment, Amount: c.Amount, Served: c.Served, At: instant(c.At), Reason: c.Reason}
}

type leaseBody struct {
	Region   string `json:"region"`
	Epoch    uint64 `json:"epoch"`
	Granted  int64  `json:"granted"`
	Taken    int64  `json:"taken"`
	Spent    int64  `json:"spent"`
	Returned int64  `json:"returned"`
	Borrowed int64  `json:"borrowed"`
	Repaid   int64  `json:"repaid"`
	Reclaim  int64  `json:"reclaim_to,omitempty"`
}

func bucketOf(s buckets.State) bucketBody {
	out := bucketBody{ID: s.ID, Unit: string(s.Unit), Home: s.Home, Credited: s.Credited, Debited: s.Debited, Leases: []leaseBody{}, Claims: []claimBody{}}
	for _, c := range s.Claims {
		out.Claims = append(out.Claims, claimOf(c))
	}
	for _, l := range s.Leases {
		t := l.Totals
		out.Leases = append(out.Leases, leaseBody{Region: l.Region, Epoch: l.Epoch, Granted: t.G, Taken: t.T, Spent: t.S, Returned: t.X, Borrowed: t.B, Repaid: t.P, Reclaim: l.ReclaimTo})
	}
	return out
}

type statementBody struct {
	Account     string         `json:"account"`
	Customer    string         `json:"customer"`
	Currency    money.Currency `json:"currency"`
	From        string         `json:"from"`
	To          string         `json:"to"`
	Opening     string         `json:"opening"`
	Credits     string         `json:"credits"`
	Charges     string         `json:"charges"`
	Closing     string         `json:"closing"`
	DebtOpening string         `json:"debt_opening"`
	Overrun     string         `json:"overrun"`
	DebtClosing string         `json:"debt_closing"`
	Absorbed    string         `json:"absorbed"`
	Unleased    string         `json:"unleased"`
	Leased      []leasedBody   `json:"leased"`
	Lines       []lineBody     `json:"lines"`
}

type leasedBody struct {
	Region  string `json:"region"`
	Amount  string `json:"amount"`
	Backlog uint64 `json:"backlog_entries"`
	Mode    string `json:"mode,omitempty"`
	HeardAt string `json:"heard_at,omitempty"`
}

type lineBody struct {
	At           string             `json:"at"`
	Kind         statement.LineKind `json:"kind"`
	Text         string             `json:"text,omitempty"`
	Subscription string             `json:"subscription,omitempty"`
	Session      string             `json:"session,omitempty"`
	Cut          uint32             `json:"cut,omitempty"`
	InOctets     uint64             `json:"in_octets,omitempty"`
	OutOctets    uint64             `json:"out_octets,omitempty"`
	Seconds      int64              `json:"seconds,omitempty"`
	Amount       string             `json:"amount,omitempty"`
	Owed         string             `json:"owed,omitempty"`
	Absorbed     string             `json:"absorbed,omitempty"`
	Source       string             `json:"source"`
}

func unlessZero(a money.Amount) string {
	if a == 0 {
		return ""
	}
	return a.String()
}

func statementOf(s *statement.Statement) statementBody {
	out := statementBody{Account: s.Account, Customer: s.Customer, Currency: s.Currency, From: instant(s.From), To: instant(s.To),
		Opening: s.Opening.String(), Credits: s.Credits.String(), Charges: s.Charges.String(), Closing: s.Closing.String(),
		DebtOpening: s.DebtOpening.String(), Overrun: s.Overrun.String(), DebtClosing: s.DebtClosing.String(), Absorbed: s.Absorbed.String(),
		Unleased: s.Unleased.String(), Leased: []leasedBody{}, Lines: []lineBody{}}
	for _, l := range s.Leased {
		b := leasedBody{Region: l.Region, Amount: l.Amount.String()}
		if l.Pending != nil {
			b.Backlog, b.Mode, b.HeardAt = l.Pending.BacklogEntries, l.Pending.Mode, instant(l.Pending.HeardAt)
		}
		out.Leased = append(out.Leased, b)
	}
	for _, l := range s.Lines {
		out.Lines = append(out.Lines, lineBody{At: instant(l.At), Kind: l.Kind, Text: l.Text, Subscription: l.Subscription, Session: l.Session, Cut: l.Cut,
			InOctets: l.InOctets, OutOctets: l.OutOctets, Seconds: l.Seconds, Amount: unlessZero(l.Amount), Owed: unlessZero(l.Owed),
			Absorbed: unlessZero(l.Absorbed), Source: l.Source})
	}
	return out
}
