// Package feed is the vocabulary of the feed: the versioned rows by which the
// centre tells a region what it owns there, and what an edge replies to orders.
//
// A row carries the whole new state of one entity. Rows are numbered densely per
// region by the centre's sequencer; an entity's versions come in order. The
// package owns the row bodies and their validation; both sides read it.
package feed

import (
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"

	"meridian/internal/journal"
	"meridian/internal/money"
	"meridian/internal/rating"
	"meridian/internal/tariff"
)

// Kind names the entity of a row.
type Kind string

// Entities that the feed carries.
const (
	KindOffering     Kind = "offering"
	KindNAS          Kind = "nas"
	KindSubscription Kind = "subscription"
	KindLease        Kind = "lease"
	KindOrder        Kind = "order"
	KindOperator     Kind = "operator"
	KindService      Kind = "service"
	KindEpoch        Kind = "epoch"
	KindTable        Kind = "table"
)

// Row is one numbered change. Body is the JSON of the entity's whole state. Of a
// region that is far behind, rows that newer ones have overtaken are left out:
// Skipped is how many with the numbers right before this one. None is left out across
// an order, which has to find what it was placed upon.
type Row struct {
	Number  uint64
	Skipped uint64
	Kind    Kind
	ID      string
	Version uint64
	Body    []byte
}

// NAS is an entry of the NAS registry. Secret is sealed with the region's key,
// associated data "nas/<id>".
type NAS struct {
	ID      string `json:"id"`
	Address string `json:"address"` // source address of its packets
	Vendor  string `json:"vendor"`
	Secret  []byte `json:"secret"`
	CoA     string `json:"coa,omitempty"` // host:port that takes CoA and Disconnect
}

// Subscription is what a region needs to serve a subscriber. Password and NTHash
// are sealed with the region's key, associated data PasswordAAD and NTHashAAD.
type Subscription struct {
	ID         string `json:"id"`
	Account    string `json:"account"`
	Login      string `json:"login"`
	Password   []byte `json:"password"`
	NTHash     []byte `json:"nt_hash,omitempty"` // for MS-CHAPv2; none: the subscription cannot use it
	Offering   string `json:"offering"`
	Terminated bool   `json:"terminated,omitempty"`
}

// PasswordAAD is the associated data that a subscription's password is sealed with.
func PasswordAAD(subscription string) string { return "subscription/" + subscription }

// NTHashAAD is that of the password's NT hash.
func NTHashAAD(subscription string) string { return "subscription/" + subscription + "/nt" }

// Lease is the centre's side of a bucket's lease: monotonic totals of one epoch.
type Lease struct {
	Bucket    string       `json:"bucket"`
	Account   string       `json:"account"`
	Unit      journal.Unit `json:"unit"`
	Priority  int          `json:"priority"`
	ExpiresAt int64        `json:"expires_at,omitempty"` // Unix seconds, 0 = never
	Epoch     uint64       `json:"epoch"`
	Granted   int64        `json:"granted"`              // G
	ReclaimTo int64        `json:"reclaim_to,omitempty"` // X should reach this
	Allowance int64        `json:"allowance,omitempty"`  // most that B − P may be while isolated
}

// Action is what an order asks the home edge to do.
type Action string

// Actions of orders.
const (
	ActionBar       Action = "bar"
	ActionUnbar     Action = "unbar"
	ActionChange    Action = "change_offering"
	ActionTerminate Action = "terminate"
	ActionDebit     Action = "debit"
)

// Order asks the home edge to change a subscription or to debit leased money. It
// is executed or refused in log order, answered by an entry, and never executed
// twice. IfVersion 0 means any service-state version.
type Order struct {
	ID           string       `json:"id"`
	Subscription string       `json:"subscription"`
	Action       Action       `json:"action"`
	NotBefore    int64        `json:"not_before,omitempty"` // Unix seconds
	Expires      int64        `json:"expires,omitempty"`    // Unix seconds, 0 = never
	IfVersion    uint64       `json:"if_version,omitempty"`
	Offering     string       `json:"offering,omitempty"`
	Bucket       string       `json:"bucket,omitempty"`
	Amount       money.Amount `json:"amount_micro,omitempty"`
	Reason       string       `json:"reason,omitempty"`
	Epoch        uint64       `json:"epoch,omitempty"` // of the region when it was placed: it is not carried out in another; 0 = 1
}

// Operator may call the edge's API. TokenHash is the SHA-256 of the bearer token.
type Operator struct {
	ID        string `json:"id"`
	Login     string `json:"login"`
	Role      string `json:"role"` // admin, operator or auditor
	TokenHash []byte `json:"token_hash"`
	Revoked   bool   `json:"revoked,omitempty"`
}

// ErrRow is wrapped by every error about a row's content.
var ErrRow = errors.New("feed row is not well formed")

// published is the body of an offering's row: its fields, and the hash that the
// centre names them by.
type published struct {
	*tariff.Offering
	Content string `json:"content,omitempty"` // Offering.Hash in hex; rows of before 2026-11-25 have none
}

// publishedTable is the body of a table's row, the same way.
type publishedTable struct {
	*tariff.Table
	Content string `json:"content"`
}

// Encode returns the JSON body of an entity; an offering's and a table's carry their
// content hash.
func Encode(entity any) ([]byte, error) {
	switch e := entity.(type) {
	case *tariff.Offering:
		hash := e.Hash()
		entity = published{e, hex.EncodeToString(hash[:])}
	case *tariff.Table:
		entity = publishedTable{e, e.Content()}
	}
	b, err := json.Marshal(entity)
	if err != nil {
		return nil, fmt.Errorf("encode %T for the feed: %w", entity, err)
	}
	return b, nil
}

// Decode reads the row's body as the entity of its kind: *tariff.Offering, *NAS,
// *Subscription, *Lease, *Order, *Operator, *Service, *Epoch or *tariff.Table.
func (r *Row) Decode() (any, error) {
	var entity any
	var id *string
	switch r.Kind {
	case KindOffering:
		entity, id = &published{Offering: &tariff.Offering{}}, nil
	case KindTable:
		entity, id = &publishedTable{Table: &tariff.Table{}}, nil
	case KindNAS:
		n := &NAS{}
		entity, id = n, &n.ID
	case KindSubscription:
		s := &Subscription{}
		entity, id = s, &s.ID
	case KindLease:
		l := &Lease{}
		entity, id = l, &l.Bucket
	case KindOrder:
		o := &Order{}
		entity, id = o, &o.ID
	case KindOperator:
		o := &Operator{}
		entity, id = o, &o.ID
	case KindService:
		s := &Service{}
		entity, id = s, &s.Subscription.ID
	case KindEpoch:
		e := &Epoch{}
		entity, id = e, &e.Region
	default:
		return nil, fmt.Errorf("%w: row %d: kind %q is not known here: upgrade this node", ErrRow, r.Number, r.Kind)
	}
	if err := json.Unmarshal(r.Body, entity); err != nil {
		return nil, fmt.Errorf("%w: row %d (%s %s): %w", ErrRow, r.Number, r.Kind, r.ID, err)
	}
	if p, ok := entity.(catalogRow); ok {
		if err := p.check(); err != nil {
			return nil, fmt.Errorf("%w: row %d (%s %s): %w", ErrRow, r.Number, r.Kind, r.ID, err)
		}
		var key string
		entity, key = p.content()
		id = &key
	}
	if fault := check(entity); fault != "" {
		return nil, fmt.Errorf("%w: row %d (%s %s): %s", ErrRow, r.Number, r.Kind, r.ID, fault)
	}
	if *id != r.ID || r.ID == "" {
		return nil, fmt.Errorf("%w: row %d: body is of %q, row of %q", ErrRow, r.Number, *id, r.ID)
	}
	return entity, nil
}

// catalogRow is the body of what the catalog publishes.
type catalogRow interface {
	check() error
	content() (entity any, key string)
}

func (p *published) content() (any, string) {
	return p.Offering, OfferingKey(p.ID, p.Version)
}

func (p *publishedTable) content() (any, string) {
	return p.Table, tariff.TableKey(p.ID, p.Version)
}

// check reports what keeps an edge from using a table.
func (p *publishedTable) check() error {
	if here := p.Table.Content(); p.Content != here {
		return fmt.Errorf("its content hashes to %.12s… here and to %.12s… at the centre: upgrade this node to the centre's version", here, p.Content)
	}
	if err := p.Validate(); err != nil {
		return err
	}
	_, err := rating.NewTable(p.Table)
	return err
}

// check reports what keeps an edge from running what was published. An offering
// whose content does not hash to what the centre says was written by a version
// that knows more fields: to rate by the rest of it would be to rate otherwise
// than the centre.
func (p *published) check() error {
	hash := p.Hash()
	if here := hex.EncodeToString(hash[:]); p.Content != "" && p.Content != here {
		return fmt.Errorf("its content hashes to %.12s… here and to %.12s… at the centre: upgrade this node to the centre's version", here, p.Content)
	}
	return CheckOffering(p.Offering)
}

// CheckOffering reports what keeps an edge from running an offering: a fault, or a
// part that edges of this version do not execute. That the tables are there which it
// names is not asked.
func CheckOffering(o *tariff.Offering) error {
	if err := o.Live(); err != nil {
		return err
	}
	if o.TZData == "" && o.Zone != "" && o.Zone != "UTC" {
		return &tariff.Fault{Path: "tzdata", Value: "", Remedy: "name the version of the zone data, as publishing does"}
	}
	_, err := rating.Compile(o, rating.Env{NoTables: true})
	return err
}

// maxTotal bounds a lease's totals, so that sums of a few of them fit 64 bits.
const maxTotal = 1 << 60

// check returns what a replica could not carry out. A row that passed it may enter
// a region's log.
func check(entity any) string {
	outside := func(v int64) bool { return v < 0 || v > maxTotal }
	switch e := entity.(type) {
	case *Lease:
		switch {
		case outside(e.Granted) || outside(e.ReclaimTo) || outside(e.Allowance):
			return fmt.Sprintf("granted %d, reclaim_to %d, allowance %d: totals must be from 0 to 2^60", e.Granted, e.ReclaimTo, e.Allowance)
		case e.Account == "" || e.Unit == "" || e.Epoch == 0:
			return "account, unit and epoch must be named"
		case outside(e.ExpiresAt):
			return fmt.Sprintf("expires_at is %d: give Unix seconds, or 0", e.ExpiresAt)
		}
	case *Order:
		if outside(int64(e.Amount)) || outside(e.NotBefore) || outside(e.Expires) {
			return fmt.Sprintf("amount %d, not_before %d, expires %d: must not be negative", e.Amount, e.NotBefore, e.Expires)
		}
	case *Subscription:
		if e.Account == "" || e.Login == "" {
			return "account and login must be named"
		}
	case *Service:
		return e.fault()
	case *Epoch:
		if e.Epoch == 0 {
			return "the epoch must be numbered from 1"
		}
	}
	return ""
}

// OfferingKey is the entity id of an offering version, "id@version": a version
// never changes, so each is an entity of its own.
func OfferingKey(id string, version uint32) string {
	return string(AppendOfferingKey(nil, id, version))
}

// AppendOfferingKey appends OfferingKey to dst.
func AppendOfferingKey(dst []byte, id string, version uint32) []byte {
	dst = append(dst, id...)
	dst = append(dst, '@')
	return strconv.AppendUint(dst, uint64(version), 10)
}
