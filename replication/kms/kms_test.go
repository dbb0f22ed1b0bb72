package kms

import (
	"context"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"meridian/replication/seal"
)

// The test's binary is also the program that wraps, and the one that misbehaves.
func TestMain(m *testing.M) {
	if how := os.Getenv("KMS_TEST_PROGRAM"); how != "" {
		program(how)
		os.Exit(0)
	}
	os.Exit(m.Run())
}

func program(how string) {
	var q request
	if err := json.NewDecoder(os.Stdin).Decode(&q); err != nil {
		os.Exit(2)
	}
	switch how {
	case "good":
		if err := json.NewEncoder(os.Stdout).Encode(serve(q)); err != nil {
			os.Exit(2)
		}
	case "hangs":
		select {}
	case "fails":
		fmt.Fprintln(os.Stderr, base64.StdEncoding.EncodeToString(q.Plaintext))
		os.Exit(1)
	case "babbles":
		fmt.Printf("the key is %s\n", base64.StdEncoding.EncodeToString(q.Plaintext))
	case "floods":
		fmt.Print(strings.Repeat("x", 1<<20))
	default:
		fmt.Printf(`{"error":%q}`, how)
	}
}

// serve is a key management service: it binds the key to its context by a mask.
func serve(q request) answer {
	mask := byte(len(q.Context)) ^ q.Context[len(q.Context)-1]
	turn := func(b []byte) []byte {
		out := make([]byte, len(b))
		for i := range b {
			out[i] = b[i] ^ mask ^ byte(i)
		}
		return out
	}
	switch {
	case q.Version != protocol:
		return answer{Error: "unavailable"}
	case q.Op == "wrap":
		return answer{Key: "hsm:7", Ciphertext: turn(q.Plaintext)}
	case q.Key != "hsm:7":
		return answer{Error: "unknown_key"}
	}
	return answer{Plaintext: turn(q.Ciphertext)}
}

func testKey(id uint32) seal.Key {
	k := seal.Key{ID: id}
	for i := range k.Bytes {
		k.Bytes[i] = byte(i)*7 + 1
	}
	return k
}

func keeper(t *testing.T, c Config) seal.Keeper {
	t.Helper()
	if c.Timeout == 0 {
		c.Timeout = time.Minute
	}
	k, err := New(c)
	if err != nil || k == nil {
		t.Fatalf("%v, %v", k, err)
	}
	return k
}

func viaProgram(t *testing.T, how string, timeout time.Duration) seal.Keeper {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv("KMS_TEST_PROGRAM", how)
	return keeper(t, Config{Command: []string{exe}, Timeout: timeout})
}

func viaSocket(t *testing.T, h http.HandlerFunc, timeout time.Duration) seal.Keeper {
	t.Helper()
	path := filepath.Join(t.TempDir(), "kms.sock")
	lis, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	s := &http.Server{Handler: h}
	served := make(chan error, 1)
	go func() { served <- s.Serve(lis) }()
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
		<-served
	})
	return keeper(t, Config{Socket: path, Timeout: timeout})
}

func goodServer(w http.ResponseWriter, r *http.Request) {
	var q request
	if err := json.NewDecoder(r.Body).Decode(&q); err != nil || r.URL.Path != "/v1/"+q.Op || r.Method != http.MethodPost {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	if err := json.NewEncoder(w).Encode(serve(q)); err != nil {
		panic(err)
	}
}

func TestProvidersWrap(t *testing.T) {
	file := filepath.Join(t.TempDir(), "kek")
	if _, err := seal.Generate(file); err != nil {
		t.Fatal(err)
	}
	for name, make := range map[string]func(*testing.T) seal.Keeper{
		"keyring": func(t *testing.T) seal.Keeper { return keeper(t, Config{KeyringFile: file}) },
		"command": func(t *testing.T) seal.Keeper { return viaProgram(t, "good", 0) },
		"socket":  func(t *testing.T) seal.Keeper { return viaSocket(t, goodServer, 0) },
	} {
		t.Run(name, func(t *testing.T) {
			k := make(t)
			keys := filepath.Join(t.TempDir(), "data.ring")
			first, err := seal.GenerateBy(t.Context(), keys, k)
			if err != nil {
				t.Fatal(err)
			}
			record := first.Seal(nil, []byte("usage"), nil)
			if _, err := seal.RotateBy(t.Context(), keys, k); err != nil {
				t.Fatal(err)
			}
			ring, err := seal.LoadRingBy(t.Context(), keys, k)
			if err != nil {
				t.Fatal(err)
			}
			if got, err := ring.Open(nil, record, nil); err != nil || string(got) != "usage" || ring.Sealing() != 2 {
				t.Fatalf("%q, %d, %v", got, ring.Sealing(), err)
			}
			w, err := k.Wrap(t.Context(), testKey(2))
			if err != nil {
				t.Fatal(err)
			}
			if got, err := k.Unwrap(t.Context(), 3, w); err == nil && got.Bytes == testKey(2).Bytes {
				t.Fatal("a wrapped key was passed off as another")
			}
		})
	}
}

// A provider that is away, or answers what it should not, is an error that names it,
// says what to do, and holds nothing of the key.
func TestProvidersThatFail(t *testing.T) {
	k := testKey(4)
	slow := make(chan struct{})
	t.Cleanup(func() { close(slow) })
	for name, c := range map[string]struct {
		keeper func(t *testing.T) seal.Keeper
		want   string
	}{
		"program hangs":       {func(t *testing.T) seal.Keeper { return viaProgram(t, "hangs", 200*time.Millisecond) }, "no answer within 200ms"},
		"program fails":       {func(t *testing.T) seal.Keeper { return viaProgram(t, "fails", 0) }, "exit status 1"},
		"program babbles":     {func(t *testing.T) seal.Keeper { return viaProgram(t, "babbles", 0) }, "not the protocol's JSON"},
		"program floods":      {func(t *testing.T) seal.Keeper { return viaProgram(t, "floods", 0) }, "more than 16384 octets"},
		"program denies":      {func(t *testing.T) seal.Keeper { return viaProgram(t, "denied", 0) }, "denied; let this process"},
		"program's own words": {func(t *testing.T) seal.Keeper { return viaProgram(t, "your key is forty-two", 0) }, "does not name"},
		"no program":          {func(t *testing.T) seal.Keeper { return keeper(t, Config{Command: []string{"/nowhere/kms"}}) }, "no such file"},
		"no socket":           {func(t *testing.T) seal.Keeper { return keeper(t, Config{Socket: filepath.Join(t.TempDir(), "s")}) }, "see that the key management service answers"},
		"server refuses": {func(t *testing.T) seal.Keeper {
			return viaSocket(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusServiceUnavailable) }, 0)
		}, "status 503"},
		"server hangs": {func(t *testing.T) seal.Keeper {
			return viaSocket(t, func(_ http.ResponseWriter, r *http.Request) {
				select {
				case <-r.Context().Done():
				case <-slow:
				}
			}, 200*time.Millisecond)
		}, "no answer within 200ms"},
		"server gives it back": {func(t *testing.T) seal.Keeper {
			return viaSocket(t, func(w http.ResponseWriter, r *http.Request) {
				var q request
				if err := errors.Join(json.NewDecoder(r.Body).Decode(&q), json.NewEncoder(w).Encode(answer{Key: "x", Ciphertext: q.Plaintext})); err != nil {
					panic(err)
				}
			}, 0)
		}, "it wraps nothing"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := c.keeper(t).Wrap(t.Context(), k)
			if !errors.Is(err, seal.ErrKeeper) || !strings.Contains(err.Error(), c.want) {
				t.Fatalf("%v, want it to say %q", err, c.want)
			}
			for _, secret := range []string{hex.EncodeToString(k.Bytes[:4]), base64.StdEncoding.EncodeToString(k.Bytes[:])[:8], "forty-two"} {
				if strings.Contains(err.Error(), secret) {
					t.Fatalf("the error holds what it must not: %v", err)
				}
			}
		})
	}
}

func TestUnwrapWithTheWrongKey(t *testing.T) {
	if _, err := viaSocket(t, goodServer, 0).Unwrap(context.Background(), 1, seal.Wrapped{By: "hsm:6", Blob: []byte("x")}); !errors.Is(err, seal.ErrKeeper) || !strings.Contains(err.Error(), "unknown_key") {
		t.Fatalf("%v", err)
	}
	dir := t.TempDir()
	var rings [2]seal.Keeper
	for i := range rings {
		file := filepath.Join(dir, fmt.Sprint(i))
		if _, err := seal.Generate(file); err != nil {
			t.Fatal(err)
		}
		rings[i] = keeper(t, Config{KeyringFile: file})
	}
	w, err := rings[0].Wrap(t.Context(), testKey(1))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := rings[1].Unwrap(t.Context(), 1, w); !errors.Is(err, seal.ErrKeeper) || !strings.Contains(err.Error(), "keyring "+filepath.Join(dir, "1")) {
		t.Fatalf("another keyring: %v", err)
	}
}

func TestConfig(t *testing.T) {
	for _, c := range []Config{
		{KeyringFile: "a", Socket: "b", Timeout: time.Second}, {Command: []string{""}, Timeout: time.Second},
		{Socket: "s"}, {Socket: "s", Timeout: time.Hour},
	} {
		if _, err := New(c); err == nil {
			t.Errorf("%+v was taken", c)
		}
	}
	if k, err := New(Config{}); k != nil || err != nil {
		t.Errorf("no provider: %v, %v", k, err)
	}
}
