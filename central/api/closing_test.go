package api_test

import "testing"

// A region is closed, and what it had is given back, by two persons each time.
func TestRegionIsClosedByTwoPersons(t *testing.T) { each(t, testRegionIsClosedByTwoPersons) }

func testRegionIsClosedByTwoPersons(t *testing.T, c *client) {
	c.world()
	c.secondAdmin()
	c.post(201, "/v1/deposits", clerkToken, `{"account":"a1","amount":"5.00","currency":"EUR","method":"bank"}`)
	const closing = `{"region":"north","reason":"the site burnt down"}`
	c.post(403, "/v1/regions/close", clerkToken, closing)
	c.post(400, "/v1/regions/close", adminToken, `{"region":"north"}`)
	c.post(404, "/v1/regions/close", adminToken, `{"region":"west","reason":"x"}`)
	c.post(404, "/v1/regions/release-suspense", adminToken, closing)
	revoked := func() bool {
		return c.get(200, "/v1/regions")["regions"].([]any)[0].(map[string]any)["revoked"].(bool)
	}
	unleased := func() any { return c.get(200, "/v1/accounts/a1/statement")["unleased"] }
	twice := func(path string) {
		t.Helper()
		p := c.post(201, path, adminToken, closing)["proposal"].(map[string]any)
		body := `{"id":"` + p["id"].(string) + `","outcome":"approved"}`
		c.post(403, "/v1/proposals/decide", adminToken, body)
		c.post(201, "/v1/proposals/decide", secondToken, body)
	}
	if revoked() {
		t.Fatal("closed before anybody asked")
	}
	twice("/v1/regions/close")
	if !revoked() || unleased() != "0.00" {
		t.Errorf("closed %t, unleased %v", revoked(), unleased())
	}
	c.post(409, "/v1/regions/close", adminToken, closing)
	twice("/v1/regions/release-suspense")
	if unleased() != "0.00" {
		t.Errorf("unleased %v before the release was carried out", unleased())
	}
	page := c.post(201, "/v1/regions/release-suspense", adminToken, closing)
	if page["buckets"] != 1.0 || page["more"] != false || unleased() != "5.00" {
		t.Errorf("page %v, unleased %v", page, unleased())
	}
}

// A region gets its next epoch by two persons, and page by page what it begins with.
func TestRegionGetsANewEpoch(t *testing.T) { each(t, testRegionGetsANewEpoch) }

func testRegionGetsANewEpoch(t *testing.T, c *client) {
	c.world()
	c.secondAdmin()
	const path = "/v1/regions/new-epoch"
	c.post(403, path, clerkToken, `{"region":"north","heir":"new","reason":"built again"}`)
	c.post(400, path, adminToken, `{"region":"north","heir":"new"}`)
	c.post(400, path, adminToken, `{"region":"north","heir":"1/x","reason":"built again"}`)
	c.post(404, path, adminToken, `{"region":"west","heir":"new","reason":"built again"}`)
	p := c.post(201, path, adminToken, `{"region":"north","heir":"new","reason":"built again"}`)["proposal"].(map[string]any)
	body := `{"id":"` + p["id"].(string) + `","outcome":"approved"}`
	c.post(403, "/v1/proposals/decide", adminToken, body)
	c.post(409, path, adminToken, `{"region":"north","heir":"new","reason":"asked for a second time"}`)
	c.post(201, "/v1/proposals/decide", secondToken, body)
	page := c.post(201, path, adminToken, `{"region":"north","reason":"built again"}`)
	if page["epoch"] != 2.0 || page["more"] != false || page["heir"] != "new" || page["ready_at"] == nil || page["subscriptions"] == 0.0 {
		t.Errorf("page %v", page)
	}
	c.post(400, path, adminToken, `{"region":"north","reason":"once more"}`)
}
