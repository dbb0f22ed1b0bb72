package main

import (
	"bytes"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestCatalogStatusNamesTheRegionsThatLackAVersion(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/v1/catalog/status" || r.URL.Query().Get("offering") != "flat" {
			t.Errorf("asked for %s", r.URL)
		}
		_, _ = w.Write([]byte(`{"tzdata":"2025c","lead_time_seconds":3600,"regions":[{"region":"north","connected":true,"heard_at":"2026-11-25T10:00:00Z"},{"region":"south"}],
"versions":[{"id":"flat","version":2,"valid_from":"2026-12-01T00:00:00Z","applied":1,"regions":[{"region":"north","state":"applied"},{"region":"south","state":"waiting"}]}]}`))
	}))
	defer server.Close()
	var out, errs bytes.Buffer
	if code := run([]string{"catalog", "status", "--offering", "flat", "--url", server.URL}, &out, &errs); code != 0 {
		t.Fatalf("exit %d: %s", code, errs.String())
	}
	for _, want := range []string{"region south: not connected", "lead time 1h0m0s", "flat", "to come", "1 of 2", "south (waiting)"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("the output lacks %q:\n%s", want, out.String())
		}
	}
}

func TestPublishSendsTheSheetAndTheReason(t *testing.T) {
	got := ""
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var body bytes.Buffer
		_, _ = body.ReadFrom(r.Body)
		got = r.URL.RequestURI() + " " + r.Header.Get("Idempotency-Key") + " " + body.String()
		w.WriteHeader(http.StatusCreated)
		_, _ = w.Write([]byte(`{"offerings":[],"proposal":{"id":"p1"}}`))
	}))
	defer server.Close()
	sheet := filepath.Join(t.TempDir(), "sheet.yaml")
	if err := os.WriteFile(sheet, []byte("id: flat\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	var out, errs bytes.Buffer
	code := run([]string{"ctl", "catalog", "publish", sheet, "--urgent", "a wrong price", "--key", "k1", "--url", server.URL}, &out, &errs)
	if want := "/v1/offerings?urgent=a+wrong+price k1 id: flat\n"; code != 0 || got != want || !strings.Contains(out.String(), "p1") {
		t.Errorf("exit %d %s: sent %q, want %q; printed %s", code, errs.String(), got, want, out.String())
	}
}
