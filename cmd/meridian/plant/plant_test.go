package plant

import (
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"meridian/cmd/meridian/settings"
)

func TestLayoutIsAsDocumented(t *testing.T) {
	l := Layout{Dir: "/d", Network: DefaultNetwork, Nodes: 3}
	for _, c := range []struct{ got, want string }{
		{l.CentreHTTP(), "127.0.0.1:8080"}, {l.CentreLink(), "127.0.0.1:7000"}, {l.NodeHTTP(2), "127.0.1.2:8090"},
		{l.Auth(1).String(), "127.0.1.1:1812"}, {l.Acct(3).String(), "127.0.1.3:1813"}, {l.NASCoA(1).String(), "127.0.2.1:3799"},
		{l.NodeID(1), "north-1"}, {Person(1).Login(), "user000001"}, {Person(1).Password(), "pw-user000001"}, {Secret, "demo-secret"},
	} {
		if c.got != c.want {
			t.Errorf("%s, want %s", c.got, c.want)
		}
	}
}

func TestLayoutValidate(t *testing.T) {
	if err := (Layout{Dir: "d", Network: "127.9", Nodes: 5}).Validate(); err != nil {
		t.Error(err)
	}
	err := Layout{Network: "10.0", Nodes: 2}.Validate()
	for _, part := range []string{"directory", `"10.0"`, "nodes is 2"} {
		if err == nil || !strings.Contains(err.Error(), part) {
			t.Errorf("%v does not name %s", err, part)
		}
	}
	for _, network := range []string{"127", "127.0.0", "127.999", "127.x"} {
		if (Layout{Dir: "d", Network: network, Nodes: 1}).Validate() == nil {
			t.Errorf("network %q was accepted", network)
		}
	}
}

func TestStateIsRemembered(t *testing.T) {
	dir := t.TempDir()
	if _, err := LoadState(dir); !errors.Is(err, ErrNoPlant) {
		t.Errorf("empty directory: %v", err)
	}
	want := State{Layout: Layout{Dir: dir, Network: "127.7", Nodes: 1}, Subscribers: 42}
	if err := want.Save(); err != nil {
		t.Fatal(err)
	}
	if got, err := LoadState(dir); err != nil || got != want {
		t.Errorf("%+v, %v, want %+v", got, err, want)
	}
	if err := os.WriteFile(filepath.Join(dir, "demo.json"), []byte(`{"nodes":`), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := LoadState(dir); err == nil || errors.Is(err, ErrNoPlant) {
		t.Errorf("torn file: %v", err)
	}
}

func TestLockKeepsOthersOut(t *testing.T) {
	dir := t.TempDir()
	unlock, err := Lock(dir)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Lock(dir); !errors.Is(err, ErrRunning) {
		t.Errorf("second lock: %v", err)
	}
	unlock()
	unlock, err = Lock(dir)
	if err != nil {
		t.Fatal(err)
	}
	unlock()
}

func TestTakenPortIsNamed(t *testing.T) {
	l := Layout{Dir: "d", Network: "127.251", Nodes: 1}
	if err := l.FreePorts(t.Context()); err != nil {
		t.Fatal(err)
	}
	lis, err := net.Listen("tcp", l.CentreHTTP())
	if err != nil {
		t.Fatal(err)
	}
	defer lis.Close()
	err = l.FreePorts(t.Context())
	if !errors.Is(err, ErrPortTaken) || !strings.Contains(err.Error(), l.CentreHTTP()) || !strings.Contains(err.Error(), "ss -lntp") {
		t.Errorf("%v: want the address and how to find its owner", err)
	}
}

// TestConfigsLoad reads back what is written for the processes, keys included.
func TestConfigsLoad(t *testing.T) {
	l := Layout{Dir: t.TempDir(), Network: "127.7", Nodes: 3}
	for range 2 { // the second time keeps the keys
		if err := l.makeKeys(time.Now()); err != nil {
			t.Fatal(err)
		}
	}
	if err := replaceFile(l.StoreURLFile(), []byte("postgresql://meridian@127.0.0.1:1/meridian\n")); err != nil {
		t.Fatal(err)
	}
	if err := l.writeConfigs(); err != nil {
		t.Fatal(err)
	}
	c, _, err := settings.LoadCentral(l.CentreConfig(), nil)
	if err != nil || c.HTTPListen != "127.7.0.1:8080" || c.BootstrapTokenHash == "" || c.RegionKeys[Region] != l.RegionRingFile() {
		t.Errorf("centre: %+v, %v", c, err)
	}
	for n := 1; n <= 3; n++ {
		e, _, err := settings.LoadEdge(l.NodeConfig(n), nil)
		if err != nil || e.Node != l.NodeID(n) || e.Dir != l.NodeDir(n) || len(e.Peers) != 3 || e.Policy.CutAge != 5 || e.Centre[0] != l.RelayLink() {
			t.Errorf("node %d: %+v, %v", n, e, err)
		}
	}
	for _, file := range []string{l.TokenFile(), l.RegionRingFile(), l.DataRingFile(), l.StoreURLFile(), l.path("keys", "north-1.key"), l.path("keys", "ca", "ca.key")} {
		if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v, %v: want mode 0600", file, info, err)
		}
	}
}

func TestPeople(t *testing.T) {
	poor, flat := 0, 0
	for n := Person(1); n <= 1000; n++ {
		if n.Poor() {
			poor++
			if !n.Prepaid() {
				t.Errorf("%s has a flat rate and cannot be spent", n.Login())
			}
		}
		if !n.Prepaid() {
			flat++
		}
	}
	if poor < 50 || flat < 300 {
		t.Errorf("%d poor and %d flat of 1000", poor, flat)
	}
	s := State{Layout: Layout{Dir: "d", Network: "127.7", Nodes: 3}, Subscribers: 10}
	c := s.Traffic()
	if len(c.NAS) != 3 || len(c.Subscribers) != 10 || c.NAS[1].Acct[0] != s.Acct(2) || len(c.NAS[1].Acct) != 3 {
		t.Errorf("traffic %+v", c)
	}
}
