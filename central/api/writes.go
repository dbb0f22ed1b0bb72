package api

import (
	"context"
	"encoding/hex"
	"fmt"

	"meridian/central/access"
	"meridian/central/accounts"
	"meridian/central/fault"
	"meridian/central/orders"
	"meridian/central/payments"
	"meridian/central/store"
	"meridian/internal/feed"
	"meridian/internal/money"
)

// MaxImport is the most subscribers of one import.
const MaxImport = 500

func (a *API) createCustomer(ctx context.Context, tx store.Tx, r request) (outcome, error) {
	var in customerBody
	if err := decode(r.body, &in); err != nil {
		return outcome{}, err
	}
	got, err := a.Accounts.CreateCustomersTx(ctx, tx, []accounts.NewCustomer{{ID: in.ID, Kind: in.Kind, Name: in.Name, Segment: in.Segment}})
	if err != nil {
		return outcome{}, err
	}
	c := got[0]
	return outcome{object: "customer/" + c.ID, after: customerBody{ID: c.ID, Kind: c.Kind, Name: c.Name, Segment: c.Segment}}, nil
}

func (a *API) openAccount(ctx context.Context, tx store.Tx, r request) (outcome, error) {
	var in accountBody
	if err := decode(r.body, &in); err != nil {
		return outcome{}, err
	}
	got, err := a.Accounts.OpenAccountsTx(ctx, tx, []accounts.NewAccount{{ID: in.ID, Customer: in.Customer, Currency: in.Currency}})
	if err != nil {
		return outcome{}, err
	}
	c := got[0]
	return outcome{object: "account/" + c.ID, after: accountBody{ID: c.ID, Customer: c.Customer, Currency: c.Currency}}, nil
}

func (a *API) subscribe(ctx context.Context, tx store.Tx, r request) (outcome, error) {
	var in struct {
		ID       string `json:"id"`
		Account  string `json:"account"`
		Home     string `json:"home"`
		Login    string `json:"login"`
		Password string `json:"password"`
		Offering string `json:"offering"`
		Channel  string `json:"channel"`
	}
	if err := decode(r.body, &in); err != nil {
		return outcome{}, err
	}
	got, err := a.Accounts.SubscribeTx(ctx, tx, []accounts.NewSubscription{{ID: in.ID, Account: in.Account, Home: in.Home,
		Login: in.Login, Password: in.Password, Offering: in.Offering, Channel: in.Channel}})
	if err != nil {
		return outcome{}, err
	}
	return outcome{object: "subscription/" + got[0].ID, after: subscriptionOf(got[0])}, nil
}

func (a *API) setPassword(ctx context.Context, tx store.Tx, r request) (outcome, error) {
	var in struct {
		Subscription string `json:"subscription"`
		Password     string `json:"password"`
	}
	if err := decode(r.body, &in); err != nil {
		return outcome{}, err
	}
	before, after, err := a.Accounts.SetPasswordTx(ctx, tx, accounts.NewPassword{Subscription: in.Subscription, Password: in.Password})
	if err != nil {
		return outcome{}, err
	}
	// That it changed is told by the version; neither password is written down.
	return outcome{object: "subscription/" + after.ID, before: passwordOf(before), after: passwordOf(after)}, nil
}

func (a *API) registerNAS(ctx context.Context, tx store.Tx, r request) (outcome, error) {
	var in struct {
		ID      string `json:"id"`
		Region  string `json:"region"`
		Address string `json:"address"`
		Vendor  string `json:"vendor"`
		Secret  string `json:"secret"`
		CoA     string `json:"coa"`
	}
	if err := decode(r.body, &in); err != nil {
		return outcome{}, err
	}
	n, err := a.Accounts.RegisterNASTx(ctx, tx, accounts.NewNAS{ID: in.ID, Region: in.Region, Address: in.Address, Vendor: in.Vendor, Secret: in.Secret, CoA: in.CoA})
	if err != nil {
		return outcome{}, err
	}
	return outcome{object: "nas/" + n.ID, after: nasBody{ID: n.ID, Region: n.Region, Address: n.Address, Vendor: n.Vendor, CoA: n.CoA}}, nil
}

// paymentKey makes a caller's key its own among all operators'.
func paymentKey(r request) string { return r.operator.ID + "/" + r.key }

func (a *API) deposit(ctx context.Context, tx store.Tx, r request) (outcome, error) {
	var in struct {
		Account   string         `json:"account"`
		Amount    string         `json:"amount"`
		Currency  money.Currency `json:"currency"`
		Method    string         `json:"method"`
		Reference string         `json:"reference"`
	}
	if err := decode(r.body, &in); err != nil {
		return outcome{}, err
	}
	sum, err := amount("amount", in.Amount)
	if err != nil {
		return outcome{}, err
	}
	got, err := a.Payments.DepositsTx(ctx, tx, []payments.Deposit{{Key: paymentKey(r), Account: in.Account, Amount: sum,
		Currency: in.Currency, Method: in.Method, Reference: in.Reference}})
	if err != nil {
		return outcome{}, err
	}
	return outcome{object: "payment/" + got[0].ID, after: paymentOf(got[0])}, nil
}

// chargeback books a payment that the bank or card company took back.
func (a *API) chargeback(ctx context.Context, tx store.Tx, r request) (outcome, error) {
	var in struct {
		Payment string `json:"payment"`
		Amount  string `json:"amount"`
		Reason  string `json:"reason"`
	}
	if err := decode(r.body, &in); err != nil {
		return outcome{}, err
	}
	taken := payments.Taken{Payment: in.Payment, Reason: in.Reason}
	if in.Amount != "" {
		var err error
		if taken.Amount, err = amount("amount", in.Amount); err != nil {
			return outcome{}, err
		}
		if taken.Amount == 0 {
			return outcome{}, fault.Bad("amount", in.Amount, "nothing would be taken back", "give more than zero, or leave it out for all")
		}
	}
	claim, err := a.Payments.ChargebackTx(ctx, tx, taken)
	if err != nil {
		return outcome{}, err
	}
	return outcome{object: "claim/" + claim.ID, after: claimOf(claim)}, nil
}

func (a *API) placeOrder(ctx context.Context, tx store.Tx, r request) (outcome, error) {
	var in struct {
		ID           string `json:"id"`
		Subscription string `json:"subscription"`
		Action       string `json:"action"`
		NotBefore    string `json:"not_before"`
		Expires      string `json:"expires"`
		IfVersion    uint64 `json:"if_version"`
		Offering     string `json:"offering"`
		Amount       string `json:"amount"`
		Reason       string `json:"reason"`
		Channel      string `json:"channel"`
	}
	if err := decode(r.body, &in); err != nil {
		return outcome{}, err
	}
	notBefore, err := parseInstant("not_before", in.NotBefore)
	if err != nil {
		return outcome{}, err
	}
	expires, err := parseInstant("expires", in.Expires)
	if err != nil {
		return outcome{}, err
	}
	o := feed.Order{ID: in.ID, Subscription: in.Subscription, Action: feed.Action(in.Action), NotBefore: notBefore / 1e6, Expires: expires / 1e6,
		IfVersion: in.IfVersion, Offering: in.Offering, Reason: in.Reason}
	if in.Amount != "" {
		if o.Amount, err = amount("amount", in.Amount); err != nil {
			return outcome{}, err
		}
	}
	before, err := a.Accounts.Subscription(ctx, tx, "subscription", in.Subscription)
	if err != nil {
		return outcome{}, err
	}
	placed, err := a.Orders.PlaceInTx(ctx, tx, o, in.Channel)
	if err != nil {
		return outcome{}, err
	}
	return outcome{object: "order/" + placed.ID, before: subscriptionOf(before), after: orderOf(placed)}, nil
}

func (a *API) createRegion(ctx context.Context, tx store.Tx, r request) (outcome, error) {
	var in struct {
		Name string `json:"name"`
	}
	if err := decode(r.body, &in); err != nil {
		return outcome{}, err
	}
	created, err := a.Registry.CreateTx(ctx, tx, in.Name)
	if err != nil {
		return outcome{}, err
	}
	return outcome{object: "region/" + created.Name, after: regionOf(created)}, nil
}

// releaseRegion lets a region speak again that a signed head had put on hold.
func (a *API) releaseRegion(ctx context.Context, tx store.Tx, r request) (outcome, error) {
	var in struct {
		Region       string `json:"region"`
		Reason       string `json:"reason"`
		DiscardHeads bool   `json:"discard_heads"`
	}
	if err := decode(r.body, &in); err != nil {
		return outcome{}, err
	}
	if in.Reason == "" || len(in.Reason) > 500 {
		return outcome{}, fault.Bad("reason", in.Reason, "a release needs a reason", "say in 1 to 500 octets what was found and done")
	}
	released, err := a.Regions.ReleaseTx(ctx, tx, in.Region, in.DiscardHeads)
	if err != nil {
		return outcome{}, err
	}
	before := releaseBody{Region: released.Region, Node: released.Node, Held: released.Reason, HeldAt: instant(released.At)}
	after := before
	after.Reason = in.Reason
	for _, h := range released.Discarded { // the audit log keeps what was given up
		after.Discarded = append(after.Discarded, hex.EncodeToString(h.Raw))
	}
	return outcome{object: "region/" + released.Region, before: before, after: after}, nil
}

func (a *API) createOperator(ctx context.Context, tx store.Tx, r request) (outcome, error) {
	var in struct {
		Login string      `json:"login"`
		Role  access.Role `json:"role"`
		Token string      `json:"token"`
	}
	if err := decode(r.body, &in); err != nil {
		return outcome{}, err
	}
	if len(in.Token) < access.MinToken {
		return outcome{}, fault.Bad("token", "", "the token is too short", fmt.Sprintf("give at least %d random characters", access.MinToken))
	}
	o, err := a.Access.CreateTx(ctx, tx, in.Login, in.Role, access.HashToken(in.Token))
	if err != nil {
		return outcome{}, err
	}
	return outcome{object: "operator/" + o.ID, after: map[string]string{"id": o.ID, "login": o.Login, "role": string(o.Role)}}, nil
}

// subscriber is one line of an import: a person with an account, a subscription
// and perhaps a first deposit. IDs may be left out.
type subscriber struct {
	CustomerID     string                `json:"customer_id"`
	AccountID      string                `json:"account_id"`
	SubscriptionID string                `json:"subscription_id"`
	Kind           accounts.CustomerKind `json:"kind"`
	Name           string                `json:"name"`
	Currency       money.Currency        `json:"currency"`
	Home           string                `json:"home"`
	Login          string                `json:"login"`
	Password       string                `json:"password"`
	Offering       string                `json:"offering"`
	Deposit        string                `json:"deposit"`
	Method         string                `json:"method"`
	Segment        string                `json:"segment"`
	Channel        string                `json:"channel"`
}

type importedBody struct {
	Customer     string `json:"customer"`
	Account      string `json:"account"`
	Subscription string `json:"subscription"`
	Payment      string `json:"payment,omitempty"`
}

// importSubscribers takes up to MaxImport subscribers, all or none.
func (a *API) importSubscribers(ctx context.Context, tx store.Tx, r request) (outcome, error) {
	var in struct {
		Subscribers []subscriber `json:"subscribers"`
	}
	if err := decode(r.body, &in); err != nil {
		return outcome{}, err
	}
	n := len(in.Subscribers)
	if n == 0 || n > MaxImport {
		return outcome{}, fault.New(fault.TooLarge, "subscribers", fmt.Sprint(n), "an import takes 1 to 500 subscribers", "split it")
	}
	customers := make([]accounts.NewCustomer, n)
	for i, s := range in.Subscribers {
		kind := s.Kind
		if kind == "" {
			kind = accounts.Individual
		}
		customers[i] = accounts.NewCustomer{ID: s.CustomerID, Kind: kind, Name: s.Name, Segment: s.Segment}
	}
	people, err := a.Accounts.CreateCustomersTx(ctx, tx, customers)
	if err != nil {
		return outcome{}, err
	}
	fresh := make([]accounts.NewAccount, n)
	for i, s := range in.Subscribers {
		fresh[i] = accounts.NewAccount{ID: s.AccountID, Customer: people[i].ID, Currency: s.Currency}
	}
	opened, err := a.Accounts.OpenAccountsTx(ctx, tx, fresh)
	if err != nil {
		return outcome{}, err
	}
	subs := make([]accounts.NewSubscription, n)
	for i, s := range in.Subscribers {
		subs[i] = accounts.NewSubscription{ID: s.SubscriptionID, Account: opened[i].ID, Home: s.Home, Login: s.Login, Password: s.Password, Offering: s.Offering, Channel: s.Channel}
	}
	made, err := a.Accounts.SubscribeTx(ctx, tx, subs)
	if err != nil {
		return outcome{}, err
	}
	list := make([]importedBody, n)
	for i := range list {
		list[i] = importedBody{Customer: people[i].ID, Account: opened[i].ID, Subscription: made[i].ID}
	}
	if err := a.importDeposits(ctx, tx, r, in.Subscribers, list); err != nil {
		return outcome{}, err
	}
	return outcome{object: fmt.Sprintf("subscribers/%d", n), after: map[string]any{"subscribers": list}}, nil
}

func (a *API) importDeposits(ctx context.Context, tx store.Tx, r request, in []subscriber, list []importedBody) error {
	var deposits []payments.Deposit
	var at []int
	for i, s := range in {
		if s.Deposit == "" {
			continue
		}
		sum, err := amount(fmt.Sprintf("[%d].deposit", i), s.Deposit)
		if err != nil {
			return err
		}
		method := s.Method
		if method == "" {
			method = "import"
		}
		deposits = append(deposits, payments.Deposit{Key: fmt.Sprintf("%s/%d", paymentKey(r), i), Account: list[i].Account, Amount: sum,
			Currency: s.Currency, Method: method})
		at = append(at, i)
	}
	if len(deposits) == 0 {
		return nil
	}
	paid, err := a.Payments.DepositsTx(ctx, tx, deposits)
	if err != nil {
		return err
	}
	for k, i := range at {
		list[i].Payment = paid[k].ID
	}
	return nil
}

// orderByID reads one order.
func (a *API) orderByID(ctx context.Context, tx store.Tx, id string) (orders.Order, error) {
	found, err := a.OrderRows(tx).Get(ctx, []string{id})
	if err != nil {
		return orders.Order{}, err
	}
	if len(found) == 0 {
		return orders.Order{}, fault.Missing("id", id, "the order", "name one that exists")
	}
	return found[0], nil
}
