package accounts

import (
	"fmt"
	"net/netip"
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"

	"meridian/central/fault"
	"meridian/internal/money"
)

// Limits of what RADIUS can carry: User-Name and User-Password (RFC 2865
// sections 5.1 and 5.2).
const (
	MaxLogin    = 253
	MaxPassword = 128
	maxName     = 200
)

// idPattern is what an id may be: it appears in account codes, URLs and logs.
const idPattern = `^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$`

// NewCustomer asks for a customer; an empty ID is chosen by the centre.
type NewCustomer struct {
	ID   string
	Kind CustomerKind
	Name string

	Segment string // "" = none
}

// NewAccount asks for an account.
type NewAccount struct {
	ID       string
	Customer string
	Currency money.Currency
}

// NewSubscription asks for a subscription. Password is in clear text here and
// nowhere else.
type NewSubscription struct {
	ID       string
	Account  string
	Home     string
	Login    string
	Password string
	Offering string
	Channel  string // of the sale, "" = not said
}

// NewNAS asks for a NAS registry entry. Secret is in clear text here and
// nowhere else. CoA is host:port, or empty.
type NewNAS struct {
	ID      string
	Region  string
	Address string
	Vendor  string
	Secret  string
	CoA     string
}

// rules checks requests; it holds the compiled pattern.
type rules struct{ id *regexp.Regexp }

func newRules() rules { return rules{id: regexp.MustCompile(idPattern)} }

// Path names a field of the i-th of n requests: "login", or "[2].login" in a batch.
func Path(n, i int, name string) string {
	if n == 1 {
		return name
	}
	return fmt.Sprintf("[%d].%s", i, name)
}

func (r rules) checkID(c *fault.Collector, field, id string) {
	c.Need(r.id.MatchString(id), field, id, "this cannot be an id", "use 1 to 64 letters, digits, '.', '_' or '-', starting with a letter or digit")
}

func checkText(c *fault.Collector, field, s string, most int) {
	ok := s != "" && len(s) <= most && utf8.ValidString(s) && strings.IndexFunc(s, unicode.IsControl) < 0
	c.Need(ok, field, s, "this text cannot be used", fmt.Sprintf("give 1 to %d octets of UTF-8 without control characters", most))
}

func (r rules) customer(c *fault.Collector, n, i int, in NewCustomer) {
	r.checkID(c, Path(n, i, "id"), in.ID)
	c.Need(in.Kind == Individual || in.Kind == Company, Path(n, i, "kind"), string(in.Kind), "this is no kind of customer", "use individual or company")
	checkText(c, Path(n, i, "name"), in.Name, maxName)
	if in.Segment != "" {
		checkText(c, Path(n, i, "segment"), in.Segment, 64)
	}
}

func (r rules) account(c *fault.Collector, n, i int, in NewAccount) {
	r.checkID(c, Path(n, i, "id"), in.ID)
	r.checkID(c, Path(n, i, "customer"), in.Customer)
	if err := in.Currency.Validate(); err != nil {
		c.Add(fault.Bad(Path(n, i, "currency"), string(in.Currency), "this is no currency", "write an ISO 4217 code such as EUR"))
	}
}

func (r rules) subscription(c *fault.Collector, n, i int, in NewSubscription) {
	r.checkID(c, Path(n, i, "id"), in.ID)
	checkText(c, Path(n, i, "login"), in.Login, MaxLogin)
	checkPassword(c, Path(n, i, "password"), in.Password)
}

// checkPassword never quotes the value. A NUL at the end would be lost in
// User-Password, which is padded with them.
func checkPassword(c *fault.Collector, field, password string) {
	ok := password != "" && len(password) <= MaxPassword && utf8.ValidString(password) && !strings.ContainsRune(password, 0)
	c.Need(ok, field, "", "the password cannot be used", fmt.Sprintf("give 1 to %d octets of UTF-8 without NUL", MaxPassword))
}

func (r rules) nas(c *fault.Collector, in NewNAS) {
	r.checkID(c, "id", in.ID)
	_, err := netip.ParseAddr(in.Address)
	c.Need(err == nil, "address", in.Address, "this is no IP address", "write the source address of its packets, e.g. 192.0.2.1")
	checkText(c, "vendor", in.Vendor, 64)
	c.Need(len(in.Secret) >= 8 && len(in.Secret) <= 256, "secret", "", "the shared secret cannot be used", "give 8 to 256 octets, better 16 or more (RFC 2865 section 3)")
	if in.CoA != "" {
		_, err := netip.ParseAddrPort(in.CoA)
		c.Need(err == nil, "coa", in.CoA, "this is no address with a port", "write e.g. 192.0.2.1:3799")
	}
}
