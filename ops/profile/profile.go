// Package profile serves Go's runtime profiles to who has the token.
//
// It owns the paths below /debug/pprof/ and the check of the token. It keeps no
// token: it is given a hash. A profile shows what a process does and, in stacks
// and command line, names of files; the token belongs to the operator alone.
package profile

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"fmt"
	"net/http"
	"net/http/pprof"
	"strings"
)

// Register serves the profiles to requests whose bearer token has the given
// SHA-256, in hexadecimal. An empty hash serves nothing.
func Register(mux *http.ServeMux, tokenHash string) error {
	if tokenHash == "" {
		return nil
	}
	want, err := hex.DecodeString(tokenHash)
	if err != nil || len(want) != sha256.Size {
		return fmt.Errorf("profile: token hash of %d digits: give the 64 of a SHA-256 in hexadecimal", len(tokenHash))
	}
	guard := func(next http.HandlerFunc) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			token, bearer := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
			got := sha256.Sum256([]byte(token))
			if !bearer || subtle.ConstantTimeCompare(got[:], want) != 1 {
				w.Header().Set("Content-Type", "application/json")
				w.Header().Set("WWW-Authenticate", "Bearer")
				w.WriteHeader(http.StatusUnauthorized)
				fmt.Fprintln(w, `{"code":"unauthorized","message":"profiles need the debug token","remedy":"send Authorization: Bearer with the token of debug_token_file"}`)
				return
			}
			next(w, r)
		}
	}
	for path, handler := range map[string]http.HandlerFunc{
		"GET /debug/pprof/": pprof.Index, "GET /debug/pprof/cmdline": pprof.Cmdline, "GET /debug/pprof/profile": pprof.Profile,
		"GET /debug/pprof/symbol": pprof.Symbol, "POST /debug/pprof/symbol": pprof.Symbol, "GET /debug/pprof/trace": pprof.Trace,
	} {
		mux.Handle(path, guard(handler))
	}
	return nil
}
