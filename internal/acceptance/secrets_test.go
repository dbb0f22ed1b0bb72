package acceptance

import (
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"meridian/internal/mschap"
)

// Tokens that the processes are shown: one that they know, one that they refuse.
const (
	debugToken = "debug-0123456789-abcdefghijklmnop"
	wrongToken = "wrong-0123456789-abcdefghijklmnop"
)

// misuse logs in by all methods, rightly and wrongly, and shows the HTTP
// interfaces tokens, right and wrong.
func (s *stopped) misuse() {
	t := s.t
	t.Helper()
	logins(t, func(n int) string { return fmt.Sprintf("%s.1.%d:1812", s.net, n) })
	for _, base := range []string{s.url(""), "http://" + s.net + ".1.1:8090", "http://" + s.net + ".1.2:8090", "http://" + s.net + ".1.3:8090"} {
		for _, c := range []struct {
			path, token string
			want        int
		}{
			{"/v1/accounts/acc000001", s.token, http.StatusOK}, {"/v1/accounts/acc000001", wrongToken, http.StatusUnauthorized},
			{"/debug/pprof/cmdline", debugToken, http.StatusOK}, {"/debug/pprof/cmdline", wrongToken, http.StatusUnauthorized},
		} {
			if status, err := ask(t, http.MethodGet, base+c.path, c.token, "", nil); err != nil || status != c.want {
				t.Errorf("GET %s with token %.5s…: status %d, %v; want %d", base+c.path, c.token, status, err, c.want)
			}
		}
	}
	fresh := `{"subscription":"sub000009","password":"fresh-pw-000009"}`
	if status, err := ask(t, http.MethodPost, s.url("/v1/subscriptions/password"), s.token, fresh, nil); err != nil || status/100 != 2 {
		t.Errorf("new password: status %d, %v", status, err)
	}
}

// noSecrets wants none of the secrets that the processes were given in what they
// printed, nor in the logs of those that the demo started.
func (s *stopped) noSecrets() {
	t := s.t
	t.Helper()
	secrets := s.secrets()
	logs := map[string]string{}
	for i, p := range s.all {
		name := fmt.Sprintf("%d: %s", i, strings.Join(p.cmd.Args[1:], " "))
		logs[name] = p.output()
		if p.cmd.Args[1] == "edge" && !strings.Contains(logs[name], "level=DEBUG") {
			t.Errorf("%s printed nothing at level debug", name)
		}
	}
	files, err := filepath.Glob(filepath.Join(s.dir, "logs", "*.log"))
	if err != nil || len(files) < 1+nodes {
		t.Errorf("logs of the demo: %v, %v", files, err)
	}
	for _, file := range files {
		logs[file] = readFile(t, file)
	}
	for name, text := range logs {
		for what, form := range secrets {
			if at := strings.Index(text, form); at >= 0 {
				t.Errorf("%s printed %s at octet %d", name, what, at)
			}
		}
	}
	t.Logf("%d forms of secrets in %d logs", len(secrets), len(logs))
}

// secrets are all forms of all secrets, by what they are.
func (s *stopped) secrets() map[string]string {
	t := s.t
	t.Helper()
	out := map[string]string{}
	add := func(what, secret string) {
		// Without the last octets, base64 is the same whatever follows.
		encoded := base64.StdEncoding.EncodeToString([]byte(secret))[:len(secret)/3*4]
		out[what] = secret
		out[what+" in hex"] = hex.EncodeToString([]byte(secret))
		out[what+" in HEX"] = strings.ToUpper(hex.EncodeToString([]byte(secret)))
		out[what+" in base64"] = encoded
		out[what+" in base64 for URLs"] = strings.NewReplacer("+", "-", "/", "_").Replace(encoded)
	}
	add("the shared secret", secret)
	add("another shared secret", "other-secret")
	add("the debug token", debugToken)
	add("a refused token", wrongToken)
	add("a new password", "fresh-pw-000009")
	for n := 1; n <= 200; n++ {
		password := fmt.Sprintf("pw-user%06d", n)
		hash, err := mschap.NTHash(password)
		if err != nil {
			t.Fatal(err)
		}
		add("the password "+password, password)
		add("the NT hash of "+password, string(hash[:]))
	}
	keys := 0
	err := filepath.WalkDir(filepath.Join(s.dir, "keys"), func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() || strings.HasSuffix(path, ".crt") || strings.HasSuffix(path, "store.url") {
			return err // certificates are public; the demo's database has no password
		}
		data, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		for i, word := range keyText.FindAllString(string(data), -1) {
			add(fmt.Sprintf("%s, part %d", filepath.Base(path), i), word)
			if raw, err := hex.DecodeString(word); err == nil {
				add(fmt.Sprintf("%s, part %d, raw", filepath.Base(path), i), string(raw))
			} else if raw, err := base64.StdEncoding.DecodeString(word); err == nil {
				add(fmt.Sprintf("%s, part %d, raw", filepath.Base(path), i), string(raw))
			}
			keys++
		}
		return nil
	})
	if err != nil || keys < 10 {
		t.Errorf("%d keys and tokens were found, %v", keys, err)
	}
	return out
}

// keyText is what a key or token looks like in its file.
var keyText = regexp.MustCompile(`[A-Za-z0-9+/=_-]{24,}`)
