package edge

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"meridian/edge/command"
)

// maxEventBody bounds a request to sell events; maxEventName each of its texts, in octets; maxEvents its
// quantity.
const (
	maxEventBody = 4 << 10
	maxEventName = 128
	maxEvents    = 1_000_000
)

// eventBody is a sale of events: {"id", "subscription", "usage", "at", "quantity",
// "destination"}. The id makes it one sale however often it is sent; the time, the same
// each time, keeps it from being sold anew once the id is forgotten.
type eventBody struct {
	ID           string    `json:"id"`
	Subscription string    `json:"subscription"`
	Usage        string    `json:"usage"` // component of the offering in force
	At           time.Time `json:"at"`
	Quantity     *int64    `json:"quantity"`    // left out = 1
	Destination  string    `json:"destination"` // number, where the component has destinations
}

func (b *eventBody) check() error {
	for _, f := range [...]struct {
		name, value string
		needed      bool
	}{{"id", b.ID, true}, {"subscription", b.Subscription, true}, {"usage", b.Usage, true}, {"destination", b.Destination, false}} {
		switch {
		case f.needed && f.value == "":
			return fmt.Errorf("%s is not named", f.name)
		case len(f.value) > maxEventName:
			return fmt.Errorf("%s has %d octets: %d are the most", f.name, len(f.value), maxEventName)
		case strings.ContainsFunc(f.value, func(r rune) bool { return unicode.IsControl(r) || r == utf8.RuneError }):
			return fmt.Errorf("%s is %q: it must be UTF-8 without control characters", f.name, f.value)
		}
	}
	switch {
	case b.At.IsZero():
		return errors.New("at is not named: say when it was, the same each time that it is sent")
	case b.Quantity == nil:
		b.Quantity = new(int64)
		*b.Quantity = 1
	case *b.Quantity < 1 || *b.Quantity > maxEvents:
		return fmt.Errorf("quantity is %d: it must be 1 to %d", *b.Quantity, maxEvents)
	}
	return nil
}

// postEvent sells events: charged in full and once, or refused with a reason.
func (n *Node) postEvent(w http.ResponseWriter, r *http.Request) {
	var in eventBody
	d := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxEventBody))
	d.DisallowUnknownFields()
	err := d.Decode(&in)
	if err == nil {
		err = in.check()
	}
	if err != nil {
		n.refuse(w, http.StatusBadRequest, httpError{"invalid", err.Error(), `send {"id", "subscription", "usage", "at"} (RFC 3339) and, where needed, quantity and destination`})
		return
	}
	c := &command.Event{Meta: n.meta(), ID: in.ID, Subscription: in.Subscription, Usage: in.Usage, Quantity: *in.Quantity, Event: in.At.Unix(), Destination: in.Destination}
	ctx, cancel := context.WithTimeout(r.Context(), 10*time.Second)
	defer cancel()
	res, err := n.store.Do(ctx, c)
	if err == nil && res.Code == command.NotConfigured {
		err = errors.New("the region is not founded, or has no epoch")
	}
	outcome := err
	if res.Code == command.Refused {
		outcome = errors.New("refused: " + res.Reason.String())
	}
	n.audit(r, outcome, "event", in.ID, "subscription", in.Subscription, "usage", in.Usage, "quantity", *in.Quantity)
	switch {
	case err != nil:
		n.refuse(w, http.StatusServiceUnavailable, httpError{"unavailable", err.Error(), "send it again with the same id: it is charged once"})
	case res.Code == command.Refused:
		n.refuse(w, http.StatusUnprocessableEntity, httpError{"refused", res.Reason.String(), "nothing was charged"})
	case res.Code == command.OutOfOrder:
		n.refuse(w, http.StatusConflict, httpError{"conflict", "an event of this id was sold to another subscription, or of another usage, quantity or destination", "use an id of its own for each sale"})
	default:
		n.answer(w, map[string]any{"id": in.ID, "repeated": res.Code == command.Repeated})
	}
}
