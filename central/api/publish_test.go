package api_test

import (
	"fmt"
	"net/url"
	"strings"
	"testing"
	"time"

	"meridian/central/catalog"
	"meridian/internal/sim/memstore"
	"meridian/replication/link"
)

const (
	secondToken = "second-admin-token-of-enough-letters"
	free        = `{id: gift, name: Gift, currency: EUR, service: internet, recurring: [{name: fee, price: "0", every: 30 days}],
profile: {session_limit: 1, interim: 60s}, overrun: owed}`
)

func (c *client) secondAdmin() {
	c.post(201, "/v1/operators", adminToken, `{"login":"second","role":"admin","token":"`+secondToken+`"}`)
}

func versions(c *client) int { return len(c.get(200, "/v1/offerings")["offerings"].([]any)) }

// A zero price is published by two persons: proposed by one, approved by another.
func TestZeroPriceNeedsASecondPerson(t *testing.T) { each(t, testZeroPrice) }

func testZeroPrice(t *testing.T, c *client) {
	c.secondAdmin()
	out := c.post(201, "/v1/offerings", adminToken, free)
	p, ok := out["proposal"].(map[string]any)
	if !ok || len(out["offerings"].([]any)) != 0 || versions(c) != 0 {
		t.Fatalf("answer %v, %d versions: want a proposal and nothing published", out, versions(c))
	}
	if says := fmt.Sprint(p["says"]); !strings.Contains(says, "costs nothing: gift: recurring[0] fee") {
		t.Errorf("it says %s", says)
	}
	if open := c.get(200, "/v1/proposals")["proposals"].([]any); len(open) != 1 {
		t.Errorf("open %v", open)
	}
	body := `{"id":"` + p["id"].(string) + `","outcome":"approved"}`
	c.post(403, "/v1/proposals/decide", adminToken, body)
	c.post(403, "/v1/proposals/decide", clerkToken, body)
	c.post(400, "/v1/proposals/decide", secondToken, `{"id":"`+p["id"].(string)+`","outcome":"perhaps"}`)
	if versions(c) != 0 {
		t.Fatal("it is published by one person")
	}
	done := c.post(201, "/v1/proposals/decide", secondToken, body)
	if versions(c) != 1 || done["proposal"].(map[string]any)["decided_by"] != "second" || done["did"] == nil {
		t.Errorf("approved: %v, %d versions", done, versions(c))
	}
	c.post(409, "/v1/proposals/decide", secondToken, body)

	// A price that becomes zero, and one that was refused for its content anyway.
	c.post(201, "/v1/offerings", adminToken, offering)
	out = c.post(201, "/v1/offerings", adminToken, strings.Replace(offering, "1.00 per GB", "0 per GB", 1))
	p = out["proposal"].(map[string]any)
	c.post(201, "/v1/proposals/decide", adminToken, `{"id":"`+p["id"].(string)+`","outcome":"rejected"}`)
	if n := versions(c); n != 2 || len(c.get(200, "/v1/proposals")["proposals"].([]any)) != 0 {
		t.Errorf("after a proposal was taken back: %d versions", n)
	}
	c.post(400, "/v1/offerings", adminToken, strings.Replace(free, "EUR", "USD", 1))
}

// Within the lead time a region that is cut off would not have the version: it is
// refused, or asked for with a reason and approved by another admin.
func TestPublishingNeedsLeadTime(t *testing.T) {
	c := newClientWith(t, memstore.New(), catalog.Config{LeadTime: 72 * time.Hour})
	c.secondAdmin()
	c.post(201, "/v1/regions", adminToken, `{"name":"north"}`)
	at := func(d time.Duration) string {
		return offering + "valid_from: " + time.Now().Add(d).UTC().Format(time.RFC3339) + "\n"
	}
	for i, sheet := range []string{offering, at(time.Hour), at(72*time.Hour - time.Minute)} {
		status, out, _ := c.call("POST", "/v1/offerings", adminToken, fmt.Sprint("early-", i), sheet)
		if text := fmt.Sprint(out); status != 400 || !strings.Contains(text, "valid_from") || !strings.Contains(text, "or later, or ask with ?urgent=") {
			t.Errorf("%d, %v", status, out)
		}
	}
	c.post(201, "/v1/offerings", adminToken, at(72*time.Hour+time.Minute))
	out := c.post(201, "/v1/offerings?urgent="+url.QueryEscape("the price of the wrong decimal point"), adminToken, offering)
	p := out["proposal"].(map[string]any)
	if says := fmt.Sprint(p["says"]); p["reason"] != "the price of the wrong decimal point" || !strings.Contains(says, "nearer than the lead time: prepaid") || versions(c) != 1 {
		t.Errorf("proposal %v", p)
	}
	c.post(201, "/v1/proposals/decide", secondToken, `{"id":"`+p["id"].(string)+`","outcome":"approved"}`)
	if versions(c) != 2 {
		t.Error("the approved version is not there")
	}
}

// Each version is shown with the regions that have it and those that do not yet.
func TestCatalogStatus(t *testing.T) {
	c := newClient(t, memstore.New())
	c.post(201, "/v1/regions", adminToken, `{"name":"north"}`)
	c.post(201, "/v1/regions", adminToken, `{"name":"south"}`)
	c.post(201, "/v1/regions", adminToken, `{"name":"west"}`)
	c.post(201, "/v1/offerings", adminToken, offering)
	for n := 1; n > 0; {
		var err error
		if n, err = c.sv.Sequencer.Step(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	number := uint64(0)
	for _, d := range c.get(200, "/v1/catalog/status")["versions"].([]any)[0].(map[string]any)["regions"].([]any) {
		number = uint64(d.(map[string]any)["number"].(float64))
	}
	c.sv.Regions.Health(t.Context(), "north", link.Health{FeedVersion: number})
	c.sv.Regions.Health(t.Context(), "south", link.Health{FeedVersion: number - 1})
	out := c.get(200, "/v1/catalog/status?offering=prepaid")
	v := out["versions"].([]any)[0].(map[string]any)
	states := ""
	for _, d := range v["regions"].([]any) {
		states += fmt.Sprint(d.(map[string]any)["region"], " ", d.(map[string]any)["state"], "; ")
	}
	if states != "north applied; south waiting; west unheard; " || v["applied"] != 1.0 || v["in_force"] != true || out["tzdata"] == "" {
		t.Errorf("%s in %v", states, out)
	}
	if list := c.get(200, "/v1/catalog/status?offering=other")["versions"].([]any); len(list) != 0 {
		t.Errorf("of an offering that is not there: %v", list)
	}
}

// A correction is proposed by one admin, approved by another, and then done page by
// page, under the proposal's id only.
func TestRerateNeedsASecondPerson(t *testing.T) { each(t, testRerate) }

func testRerate(t *testing.T, c *client) {
	c.secondAdmin()
	c.post(201, "/v1/offerings", adminToken, offering)
	c.post(201, "/v1/offerings", adminToken, strings.Replace(offering, "1.00 per GB", "0.50 per GB", 1))
	ask := func(more string) string {
		return `{"offering":"prepaid","version":1,"corrected":2,"to":"2100-01-01T00:00:00Z","undercharge":"waive"` + more + `}`
	}
	if out := c.post(201, "/v1/rerate", adminToken, ask("")); out["dry_run"] != true || out["records"] != 0.0 || out["refunded"] != "0.00" {
		t.Errorf("dry run %v", out)
	}
	c.post(403, "/v1/rerate", clerkToken, ask(""))
	c.post(400, "/v1/rerate", adminToken, strings.Replace(ask(""), `"corrected":2`, `"corrected":1`, 1))
	c.post(404, "/v1/rerate", adminToken, strings.Replace(ask(""), `"corrected":2`, `"corrected":7`, 1))
	p := c.post(201, "/v1/rerate", adminToken, ask(`,"propose":true,"reason":"a decimal point"`))["proposal"].(map[string]any)
	run := `{"run":"` + p["id"].(string) + `"}`
	if says := fmt.Sprint(p["says"]); !strings.Contains(says, "prepaid version 1 rated for all accounts") || p["reason"] != "a decimal point" {
		t.Errorf("proposal %v", p)
	}
	c.post(404, "/v1/rerate", adminToken, run)
	c.post(403, "/v1/proposals/decide", adminToken, `{"id":"`+p["id"].(string)+`","outcome":"approved"}`)
	c.post(201, "/v1/proposals/decide", secondToken, `{"id":"`+p["id"].(string)+`","outcome":"approved"}`)
	if out := c.post(201, "/v1/rerate", adminToken, run); out["dry_run"] != false || out["run"] != p["id"] {
		t.Errorf("run %v", out)
	}
	c.post(400, "/v1/rerate", adminToken, `{"run":"`+p["id"].(string)+`","account":"a1"}`)
}
