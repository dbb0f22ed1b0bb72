package accounts

import (
	"context"

	"meridian/internal/money"
)

// CustomerKind says who a customer is.
type CustomerKind string

// Kinds of customers.
const (
	Individual CustomerKind = "individual"
	Company    CustomerKind = "company"
)

// Customer is a person or a company.
type Customer struct {
	ID        string
	Kind      CustomerKind
	Name      string
	Segment   string // by which offerings are sold, "" = none
	CreatedAt int64  // Unix microseconds
}

// Account is what a customer pays from, in one currency.
type Account struct {
	ID        string
	Customer  string
	Currency  money.Currency
	CreatedAt int64
}

// Subscription is a contract for an offering, served by its home region.
// Offering, Barred and Terminated follow what the home has reported.
type Subscription struct {
	ID         string
	Account    string
	Home       string
	Login      string
	Password   []byte // sealed with the home's key, as NTHash; the feed's vocabulary says how
	NTHash     []byte // of the password; none: the subscription cannot use MS-CHAPv2
	Offering   string
	Barred     bool
	Terminated bool
	Version    uint64 // of its feed row
	CreatedAt  int64
}

// NAS is a device that a region serves. Its secret is sealed with the region's
// key, associated data "nas/<id>".
type NAS struct {
	ID      string
	Region  string
	Address string
	Vendor  string
	Secret  []byte
	CoA     string
	Version uint64
}

// Store keeps customers, accounts, subscriptions and the NAS registry. Inserts
// take all rows or fail with store.ErrExists.
type Store interface {
	InsertCustomers(ctx context.Context, customers []Customer) error
	InsertAccounts(ctx context.Context, accounts []Account) error
	InsertSubscriptions(ctx context.Context, subscriptions []Subscription) error
	InsertNAS(ctx context.Context, nas []NAS) error
	// Customers, Accounts and Subscriptions return the rows that exist, by id.
	Customers(ctx context.Context, ids []string) ([]Customer, error)
	Accounts(ctx context.Context, ids []string) ([]Account, error)
	Subscriptions(ctx context.Context, ids []string) ([]Subscription, error)
	// LoginsTaken returns those of the logins that have a subscription, sorted.
	LoginsTaken(ctx context.Context, logins []string) ([]string, error)
	// SubscriptionsOf lists an account's subscriptions by id.
	SubscriptionsOf(ctx context.Context, account string) ([]Subscription, error)
	// SubscriptionsAt lists a home's subscriptions after one of them by id, at most
	// limit.
	SubscriptionsAt(ctx context.Context, home, after string, limit int) ([]Subscription, error)
	// SavePassword writes password, NT hash and version.
	SavePassword(ctx context.Context, s Subscription) error
	// SaveState writes offering, barred and terminated.
	SaveState(ctx context.Context, subscriptions []Subscription) error
}
