package apiclient

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"meridian/internal/money"
)

// NAS is a device to register. Secret is in clear text here and sealed at once
// by the centre.
type NAS struct {
	ID      string `json:"id"`
	Region  string `json:"region"`
	Address string `json:"address"`
	Vendor  string `json:"vendor"`
	Secret  string `json:"secret"`
	CoA     string `json:"coa,omitempty"`
}

// Subscriber is a person with account, subscription and first deposit. Amounts
// are decimals, e.g. "20.00".
type Subscriber struct {
	CustomerID     string `json:"customer_id"`
	AccountID      string `json:"account_id"`
	SubscriptionID string `json:"subscription_id"`
	Name           string `json:"name"`
	Currency       string `json:"currency"`
	Home           string `json:"home"`
	Login          string `json:"login"`
	Password       string `json:"password"`
	Offering       string `json:"offering"`
	Deposit        string `json:"deposit,omitempty"`
}

// Deposit is money paid in.
type Deposit struct {
	Account   string `json:"account"`
	Amount    string `json:"amount"`
	Currency  string `json:"currency"`
	Method    string `json:"method"`
	Reference string `json:"reference,omitempty"`
}

// RegionStatus is what the centre knows of a region.
type RegionStatus struct {
	Name  string `json:"name"`
	Epoch uint64 `json:"epoch"`
	Seq   uint64 `json:"seq"`
	Mode  string `json:"mode"`
}

// OfferingVersion is a published version.
type OfferingVersion struct {
	ID      string `json:"id"`
	Version uint32 `json:"version"`
}

// Statement is an account's story over a period.
type Statement struct {
	Account  string          `json:"account"`
	Currency string          `json:"currency"`
	Opening  string          `json:"opening"`
	Credits  string          `json:"credits"`
	Charges  string          `json:"charges"`
	Closing  string          `json:"closing"`
	Overrun  string          `json:"overrun"`
	Lines    []StatementLine `json:"lines"`
}

// StatementLine is one line; Amount is what it adds to the balance.
type StatementLine struct {
	At        time.Time `json:"at"`
	Kind      string    `json:"kind"`
	Text      string    `json:"text"`
	Session   string    `json:"session"`
	InOctets  uint64    `json:"in_octets"`
	OutOctets uint64    `json:"out_octets"`
	Seconds   int64     `json:"seconds"`
	Amount    string    `json:"amount"`
	Owed      string    `json:"owed"`
}

// Words is the line's text for a reader.
func (l *StatementLine) Words() string {
	switch {
	case l.Kind == "usage":
		return fmt.Sprintf("usage %d s, %d octets", l.Seconds, l.InOctets+l.OutOctets)
	case l.Kind == "correction":
		return l.Text
	case l.Owed != "":
		return "overrun, owed " + l.Owed
	case l.Text != "":
		return l.Kind + " " + l.Text
	}
	return l.Kind
}

// AddsUp derives the closing balance a second time, from the lines.
func (s *Statement) AddsUp() error {
	var faults []error
	read := func(what, text string) money.Amount {
		if text == "" {
			return 0
		}
		a, err := money.Parse(text)
		if err != nil {
			faults = append(faults, fmt.Errorf("%s %q: %w", what, text, err))
		}
		return a
	}
	balance := read("opening", s.Opening)
	if total := balance + read("credits", s.Credits) - read("charges", s.Charges); total != read("closing", s.Closing) {
		faults = append(faults, fmt.Errorf("opening %s + credits %s − charges %s is %s, not the closing %s", s.Opening, s.Credits, s.Charges, total, s.Closing))
	}
	for i := range s.Lines {
		balance += read("line", s.Lines[i].Amount)
	}
	if balance != read("closing", s.Closing) {
		faults = append(faults, fmt.Errorf("the lines add up to %s, not the closing %s", balance, s.Closing))
	}
	if len(faults) > 0 {
		return fmt.Errorf("statement of %s does not add up: %w", s.Account, faults[0])
	}
	return nil
}

// CreateRegion makes a region; one that exists under another key stays as it is.
func (c *Client) CreateRegion(ctx context.Context, key, name string) error {
	return c.post(ctx, "/v1/regions", key, map[string]string{"name": name}, nil)
}

// Regions lists the regions.
func (c *Client) Regions(ctx context.Context) ([]RegionStatus, error) {
	var out struct {
		Regions []RegionStatus `json:"regions"`
	}
	return out.Regions, c.get(ctx, "/v1/regions", &out)
}

// Publish sends offerings as YAML and returns the version of the first.
func (c *Client) Publish(ctx context.Context, key, yaml string) (uint32, error) {
	var out struct {
		Offerings []OfferingVersion `json:"offerings"`
	}
	if err := c.do(ctx, http.MethodPost, "/v1/offerings", key, "application/yaml", []byte(yaml), &out); err != nil {
		return 0, err
	}
	if len(out.Offerings) == 0 {
		return 0, fmt.Errorf("publish offerings: nothing is published before another admin approves it")
	}
	return out.Offerings[0].Version, nil
}

// offeringPage is how many versions one request asks for.
const offeringPage = 500

// Offering returns the newest version of an offering.
func (c *Client) Offering(ctx context.Context, id string) (OfferingVersion, error) {
	after, newest := "", OfferingVersion{}
	for {
		var out struct {
			Offerings []OfferingVersion `json:"offerings"`
		}
		if err := c.get(ctx, fmt.Sprintf("/v1/offerings?limit=%d&after=%s", offeringPage, url.QueryEscape(after)), &out); err != nil {
			return newest, err
		}
		for _, o := range out.Offerings {
			if o.ID == id && o.Version > newest.Version {
				newest = o
			}
			after = o.ID
		}
		if len(out.Offerings) < offeringPage {
			break
		}
	}
	if newest.Version == 0 {
		return newest, fmt.Errorf("offering %s is not published", id)
	}
	return newest, nil
}

// RegisterNAS adds a NAS.
func (c *Client) RegisterNAS(ctx context.Context, key string, n NAS) error {
	return c.post(ctx, "/v1/nas", key, n, nil)
}

// Subscribe imports subscribers, all or none.
func (c *Client) Subscribe(ctx context.Context, key string, list []Subscriber) error {
	return c.post(ctx, "/v1/subscribers", key, map[string]any{"subscribers": list}, nil)
}

// AddSubscription gives an account that exists another subscription; of s, what is
// the customer's and the account's is left as it is.
func (c *Client) AddSubscription(ctx context.Context, key string, s Subscriber) error {
	return c.post(ctx, "/v1/subscriptions", key, map[string]string{
		"id": s.SubscriptionID, "account": s.AccountID, "home": s.Home, "login": s.Login, "password": s.Password, "offering": s.Offering,
	}, nil)
}

// Deposit pays money in. Repeated with its key it has one effect.
func (c *Client) Deposit(ctx context.Context, key string, d Deposit) error {
	return c.post(ctx, "/v1/deposits", key, d, nil)
}

// Statement is an account's statement from its beginning until now.
func (c *Client) Statement(ctx context.Context, account string) (Statement, error) {
	var s Statement
	return s, c.get(ctx, "/v1/accounts/"+url.PathEscape(account)+"/statement", &s)
}

// Raw asks for a path and returns the answer's octets.
func (c *Client) Raw(ctx context.Context, path string) (string, error) {
	var out rawJSON
	err := c.get(ctx, path, &out)
	return strings.TrimSpace(string(out)), err
}

// Send posts a body and returns the answer's octets.
func (c *Client) Send(ctx context.Context, path, key string, body any) (string, error) {
	var out rawJSON
	err := c.post(ctx, path, key, body, &out)
	return strings.TrimSpace(string(out)), err
}

// SendText is Send for a body that is no JSON.
func (c *Client) SendText(ctx context.Context, path, key, contentType string, body []byte) (string, error) {
	var out rawJSON
	err := c.do(ctx, http.MethodPost, path, key, contentType, body, &out)
	return strings.TrimSpace(string(out)), err
}

// rawJSON keeps an answer as it came.
type rawJSON []byte

// UnmarshalJSON implements json.Unmarshaler.
func (r *rawJSON) UnmarshalJSON(data []byte) error {
	*r = append((*r)[:0], data...)
	return nil
}
