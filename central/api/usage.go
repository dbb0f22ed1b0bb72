package api

import (
	"fmt"
	"math"
	"net/http"
	"strconv"
	"strings"

	"meridian/central/fault"
	"meridian/central/ledger"
	"meridian/central/usage"
)

// getUsage gives a page of a region's usage, as events that can be rated again.
func (a *API) getUsage(r *http.Request) (any, error) {
	q := r.URL.Query()
	from, err := parseInstant("from", q.Get("from"))
	if err != nil {
		return nil, err
	}
	to, err := parseInstant("to", q.Get("to"))
	if err != nil {
		return nil, err
	}
	if to == 0 {
		to = math.MaxInt64
	}
	after, err := placeOf(q.Get("after"))
	if err != nil {
		return nil, err
	}
	page, err := a.Usage.Read(r.Context(), q.Get("region"), from, to, after, usage.MaxPage)
	if err != nil {
		return nil, err
	}
	out := map[string]any{"usage": page.Events, "skipped": page.Skipped}
	if page.Next != nil {
		out["next"] = fmt.Sprintf("%d/%d", page.Next.Epoch, page.Next.Seq)
	}
	return out, nil
}

// placeOf reads epoch/seq; empty is the beginning.
func placeOf(s string) (p ledger.Place, err error) {
	if s == "" {
		return p, nil
	}
	epoch, seq, _ := strings.Cut(s, "/")
	if p.Epoch, err = strconv.ParseUint(epoch, 10, 62); err == nil {
		p.Seq, err = strconv.ParseUint(seq, 10, 62)
	}
	if err != nil {
		return p, fault.Bad("after", s, "this is no place of a ledger", "give what the page before said as next")
	}
	return p, nil
}
