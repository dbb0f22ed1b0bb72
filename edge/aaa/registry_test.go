package aaa

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"meridian/internal/feed"
	"meridian/radius/vendor"
)

// countingOpener counts what is opened, by associated data.
type countingOpener struct {
	Opener
	mu    sync.Mutex
	opens map[string]int
}

func (o *countingOpener) Open(sealed []byte, aad string) ([]byte, error) {
	o.mu.Lock()
	o.opens[aad]++
	o.mu.Unlock()
	return o.Opener.Open(sealed, aad)
}

func TestRegistryFaults(t *testing.T) {
	r := newRegion(t)
	stolen := r.nas("stolen", "127.0.4.2", "generic", "")
	stolen.Secret = r.seal(secret, "nas/another")
	empty := r.nas("empty", "127.0.4.3", "generic", "")
	empty.Secret = r.seal("", "nas/empty")
	r.feed(
		r.nas("a-good", "127.0.4.4", "mikrotik", "127.0.4.4:3799"), r.nas("b-twin", "127.0.4.4", "generic", ""),
		r.nas("block", "127.0.5.0/24", "", ""), r.nas("make", "127.0.4.6", "acme", ""), r.nas("name", "bras.example", "generic", ""),
		r.nas("coa", "127.0.4.7", "generic", "bras.example:3799"), r.nas("six", "::ffff:127.0.4.8", "generic", ""), stolen, empty,
	)
	var out bytes.Buffer
	var mu sync.Mutex
	h, err := New(testConfig(), r, r, slog.New(slog.NewTextHandler(lockedWriter{&mu, &out}, nil)))
	if err != nil {
		t.Fatal(err)
	}
	if _, known := h.Client(netip.MustParseAddr("127.0.4.4")); known {
		t.Error("a NAS is known before Start")
	}
	if err := h.Start(context.Background()); err != nil {
		t.Fatal(err)
	}
	defer h.Close()
	for _, c := range []struct{ addr, id, vendor string }{
		{"127.0.4.4", "a-good", vendor.Mikrotik}, {"127.0.5.77", "block", vendor.Generic}, {"127.0.4.6", "make", vendor.Generic},
		{"127.0.4.7", "coa", vendor.Generic}, {"127.0.4.8", "six", vendor.Generic},
		{"127.0.4.2", "", ""}, {"127.0.4.3", "", ""}, {"127.0.6.1", "", ""},
	} {
		client, known := h.Client(netip.MustParseAddr(c.addr))
		if !known {
			if c.id != "" {
				t.Errorf("%s is unknown", c.addr)
			}
			continue
		}
		if client.ID != c.id || client.Vendor != c.vendor || string(client.Secret) != secret {
			t.Errorf("%s: %+v", c.addr, client)
		}
	}
	if s := h.Stats(); s.NAS != 5 || s.NASUnusable != 4 || s.NASFaults != 6 {
		t.Errorf("counters %s", show(s))
	}
	r.feed(r.nas("later", "127.0.4.9", "generic", ""))
	h.Refresh()
	h.Refresh()
	mu.Lock()
	log := out.String()
	mu.Unlock()
	for _, want := range []string{"nas=stolen", "nas=empty", "nas=b-twin", "nas=make", "nas=name", "nas=coa"} {
		if n := strings.Count(log, want); n != 1 {
			t.Errorf("%s logged %d times", want, n)
		}
	}
	if strings.Contains(log, secret) {
		t.Error("the log holds a secret")
	}
	if s := h.Stats(); s.NAS != 6 || s.NASFaults != 6 || s.Refreshes != 2 {
		t.Errorf("counters %s", show(s))
	}
}

type lockedWriter struct {
	mu *sync.Mutex
	b  *bytes.Buffer
}

func (w lockedWriter) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.b.Write(p)
}

func TestRegistryOpensASecretOnce(t *testing.T) {
	r := newRegion(t)
	first := r.nas("a", "127.0.4.1", "generic", "")
	r.feed(first, r.nas("b", "127.0.4.2", "generic", ""))
	o := &countingOpener{Opener: r, opens: map[string]int{}}
	h, err := New(testConfig(), r, o, quiet())
	if err != nil {
		t.Fatal(err)
	}
	if err := h.Start(context.Background()); err != nil {
		t.Fatal(err)
	}
	defer h.Close()
	moved := *first
	moved.Address = "127.0.4.3"
	r.feed(&moved, flat("flat", 1))
	h.Refresh()
	if o.opens["nas/a"] != 2 || o.opens["nas/b"] != 1 {
		t.Errorf("opened %v", o.opens)
	}
	if _, known := h.Client(netip.MustParseAddr("127.0.4.1")); known {
		t.Error("the old address is still served")
	}
	if c, known := h.Client(netip.MustParseAddr("127.0.4.3")); !known || c.ID != "a" {
		t.Error("the new address is not served")
	}
}

func TestRegistryIsRefreshedWithoutBeingTold(t *testing.T) {
	r := newRegion(t)
	cfg := testConfig()
	cfg.RefreshEvery = 10 * time.Millisecond
	h := newHandler(t, r, cfg)
	r.feed(r.nas("a", "127.0.4.1", "generic", ""))
	eventually(t, "the NAS is known", func() bool {
		_, known := h.Client(netip.MustParseAddr("127.0.4.1"))
		return known
	})
}

func TestPasswordsAreBoundedAndFresh(t *testing.T) {
	r := newRegion(t)
	o := &countingOpener{Opener: r, opens: map[string]int{}}
	var c counters
	p := newCredentials(20*cacheShards, o, &c).passwords
	sealed := map[string][]byte{}
	for i := range 100 * cacheShards {
		id := feed.OfferingKey("s", uint32(i))
		sealed[id] = r.seal("pw-"+id, feed.PasswordAAD(id))
		if got, err := p.open(id, sealed[id]); err != nil || string(got) != "pw-"+id {
			t.Fatalf("%q, %v", got, err)
		}
		if n := p.len(); n > 20*cacheShards {
			t.Fatalf("%d entries of at most %d", n, 20*cacheShards)
		}
	}
	if c.evictions.Load() == 0 || p.len() < 5*cacheShards {
		t.Errorf("%d evictions, %d entries", c.evictions.Load(), p.len())
	}
	const id = "changing"
	old := r.seal("before", feed.PasswordAAD(id))
	for range 3 {
		if got, err := p.open(id, old); err != nil || string(got) != "before" {
			t.Fatalf("%q, %v", got, err)
		}
	}
	if o.opens[feed.PasswordAAD(id)] != 1 {
		t.Errorf("opened %d times", o.opens[feed.PasswordAAD(id)])
	}
	if got, err := p.open(id, r.seal("after", feed.PasswordAAD(id))); err != nil || string(got) != "after" {
		t.Errorf("changed password: %q, %v", got, err)
	}
	if _, err := p.open(id, r.seal("x", "subscription/other")); err == nil || c.passwordFaults.Load() != 1 {
		t.Errorf("another's password opens: %v", err)
	}
}

// What is in use stays while much passes through that is asked for once.
func TestPasswordsKeepWhatIsUsed(t *testing.T) {
	r := newRegion(t)
	o := &countingOpener{Opener: r, opens: map[string]int{}}
	var c counters
	p := newCredentials(20*cacheShards, o, &c).passwords
	used := r.seal("pw", "subscription/used")
	for i := range 3000 {
		id := feed.OfferingKey("passing", uint32(i))
		if _, err := p.open(id, r.seal("pw", feed.PasswordAAD(id))); err != nil {
			t.Fatal(err)
		}
		if _, err := p.open("used", used); err != nil {
			t.Fatal(err)
		}
	}
	if o.opens["subscription/used"] != 1 {
		t.Errorf("opened %d times", o.opens["subscription/used"])
	}
}

func TestConfigFaultsAllAtOnce(t *testing.T) {
	err := Config{StaleAfter: 1, RefreshEvery: 0, PasswordCacheMax: 1, LogEvery: -1, MessageAuthenticator: 9}.Validate()
	for _, want := range []string{"Node", "StaleAfter", "RefreshEvery", "PasswordCacheMax", "LogEvery", "MessageAuthenticator"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s is not named in: %v", want, err)
		}
	}
	err = EffectsConfig{}.Validate()
	for _, want := range []string{"Every", "Rest", "Window", "Concurrency", "PerNAS", "Batch", "Tries", "RetryPause"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s is not named in: %v", want, err)
		}
	}
	if err := errors.Join(testConfig().Validate(), DefaultEffectsConfig().Validate()); err != nil {
		t.Errorf("defaults: %v", err)
	}
}

func TestLifecycle(t *testing.T) {
	r := newRegion(t)
	if _, err := New(testConfig(), nil, r, quiet()); err == nil {
		t.Error("New takes no log")
	}
	h := newHandler(t, r, testConfig())
	if err := h.Start(context.Background()); !errors.Is(err, ErrStarted) {
		t.Errorf("second Start: %v", err)
	}
	h.Close()
	if err := h.Start(context.Background()); !errors.Is(err, ErrClosed) {
		t.Errorf("Start after Close: %v", err)
	}
}

func FuzzText(f *testing.F) {
	for _, s := range []string{"", "user", `DOM\user`, `\hex:`, `\hex:00`, "a\x00", "\xff", "ü", "a\nb", "\u0085"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, v []byte) {
		s := text(v)
		if got := octets(s); !bytes.Equal(got, v) {
			t.Fatalf("%q becomes %q and back %q", v, s, got)
		}
		if !clean([]byte(strings.TrimPrefix(s, hexMark))) {
			t.Fatalf("%q becomes %q, which is no clean text", v, s)
		}
	})
}

func TestNamesAreDistinct(t *testing.T) {
	seen := map[string]bool{}
	for i := range NumRejects {
		seen["r"+Reject(i).String()] = true
		if Reject(i).Message() == "" {
			t.Errorf("no message for %v", Reject(i))
		}
	}
	for i := range NumDrops {
		seen["d"+Drop(i).String()] = true
	}
	for i := range NumAcctKinds {
		seen["k"+AcctKind(i).String()] = true
	}
	if len(seen) != NumRejects+NumDrops+NumAcctKinds || seen["r"] || seen["d"] || seen["k"] {
		t.Errorf("names %v", seen)
	}
}
