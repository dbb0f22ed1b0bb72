package api_test

import (
	"net/url"
	"strings"
	"testing"
)

// A statement's line names what can be asked why it is there.
func TestWhy(t *testing.T) { each(t, testWhy) }

func testWhy(t *testing.T, c *client) {
	c.world()
	c.post(201, "/v1/deposits", clerkToken, `{"account":"a1","amount":"5.00","currency":"EUR","method":"bank","reference":"4711"}`)
	line := c.get(200, "/v1/accounts/a1/statement")["lines"].([]any)[0].(map[string]any)
	path := "/v1/entries/" + url.PathEscape(line["source"].(string)) + "/why"
	a := c.get(200, path+"?lang=ru")
	if a["sentence"] != "Платёж 5.00 EUR (bank), документ 4711, зачислен на: денежный баланс." || a["explained"] != true || a["entry"] != line["source"] {
		t.Errorf("%v", a)
	}
	if a := c.get(200, path); !strings.HasPrefix(a["sentence"].(string), "5.00 EUR were paid by bank") {
		t.Errorf("%v", a)
	}
	c.get(400, path+"?lang=xx")
	c.get(404, "/v1/entries/entry%2Fnorth%2F1%2F1/why")
	c.get(400, "/v1/entries/x/why")
}
