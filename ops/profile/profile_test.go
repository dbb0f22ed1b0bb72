package profile

import (
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

func TestProfilesNeedTheToken(t *testing.T) {
	mux := http.NewServeMux()
	sum := sha256.Sum256([]byte("hush"))
	if err := Register(mux, hex.EncodeToString(sum[:])); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		path, header string
		want         int
	}{
		{"/debug/pprof/", "", 401},
		{"/debug/pprof/", "Bearer wrong", 401},
		{"/debug/pprof/", "hush", 401},
		{"/debug/pprof/heap", "", 401},
		{"/debug/pprof/cmdline", "Bearer ", 401},
		{"/debug/pprof/", "Bearer hush", 200},
		{"/debug/pprof/goroutine?debug=1", "Bearer hush", 200},
		{"/debug/pprof/cmdline", "Bearer hush", 200},
	} {
		r := httptest.NewRequest(http.MethodGet, c.path, nil)
		r.Header.Set("Authorization", c.header)
		w := httptest.NewRecorder()
		mux.ServeHTTP(w, r)
		if w.Code != c.want || (c.want == 401) != strings.Contains(w.Body.String(), "remedy") {
			t.Errorf("%s with %q: %d %.80s", c.path, c.header, w.Code, w.Body)
		}
	}
}

func TestWithoutATokenThereIsNothing(t *testing.T) {
	mux := http.NewServeMux()
	if err := Register(mux, ""); err != nil {
		t.Fatal(err)
	}
	w := httptest.NewRecorder()
	mux.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/debug/pprof/", nil))
	if w.Code != http.StatusNotFound {
		t.Errorf("status %d", w.Code)
	}
	if err := Register(mux, "abc"); err == nil {
		t.Error("a faulty hash was taken")
	}
}
