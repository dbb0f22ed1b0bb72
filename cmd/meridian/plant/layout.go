// Package plant puts a whole system onto one machine: store, centre and one
// region of edge nodes, each process a copy of this binary, with keys made on
// the spot.
//
// It owns the directory's layout, the processes that it started and the link's
// relay. It stops only what it started. It does not own what the system does:
// stories and measurements are its users'.
package plant

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// The names of the plant's installation and of its one region.
const (
	Cluster = "demo"
	Region  = "north"
)

// Ports of the plant, the same on every address.
const (
	portAuth     = 1812
	portAcct     = 1813
	portEdgeHTTP = 8090
	portRaft     = 7001
	portForward  = 7002
	portGossip   = 7946
	portCentre   = 8080
	portLink     = 7000
	portRelay    = 7100
	portCoA      = 3799
)

// What is used when nothing else was asked for.
const (
	DefaultNetwork = "127.0" // the first half of all addresses
	DefaultNodes   = 3
)

// Layout says where everything is: addresses below Network (centre at .0.1,
// nodes at .1.n, NAS at .2.n) and files below Dir.
type Layout struct {
	Dir     string `json:"-"`
	Network string `json:"network"` // two octets, e.g. "127.0"
	Nodes   int    `json:"nodes"`   // 1, 3 or 5
}

// Validate reports every fault at once.
func (l Layout) Validate() error {
	var faults []error
	if l.Dir == "" {
		faults = append(faults, errors.New("directory is empty: name one that the plant may own"))
	}
	if l.Nodes != 1 && l.Nodes != 3 && l.Nodes != 5 {
		faults = append(faults, fmt.Errorf("nodes is %d: use 1, 3 or 5", l.Nodes))
	}
	if _, err := netip.ParseAddr(l.Network + ".0.1"); err != nil || strings.Count(l.Network, ".") != 1 || !strings.HasPrefix(l.Network, "127.") {
		faults = append(faults, fmt.Errorf("network is %q: give two octets of the loopback network, e.g. %s", l.Network, DefaultNetwork))
	}
	return errors.Join(faults...)
}

func (l Layout) at(third, fourth, port int) string {
	return l.Network + "." + strconv.Itoa(third) + "." + strconv.Itoa(fourth) + ":" + strconv.Itoa(port)
}

// CentreHTTP is where the centre's API listens, host:port.
func (l Layout) CentreHTTP() string { return l.at(0, 1, portCentre) }

// CentreLink is where the centre takes links.
func (l Layout) CentreLink() string { return l.at(0, 1, portLink) }

// RelayLink is where edges dial the centre: a relay that can be black-holed.
func (l Layout) RelayLink() string { return l.at(0, 1, portRelay) }

// NodeID is the name of the n-th node, from 1.
func (l Layout) NodeID(n int) string { return Region + "-" + strconv.Itoa(n) }

// NodeHTTP is where the n-th node's API listens.
func (l Layout) NodeHTTP(n int) string { return l.at(1, n, portEdgeHTTP) }

// NodesHTTP lists the nodes' API addresses.
func (l Layout) NodesHTTP() []string {
	out := make([]string, l.Nodes)
	for i := range out {
		out[i] = l.NodeHTTP(i + 1)
	}
	return out
}

// Auth and Acct are the n-th node's RADIUS ports.
func (l Layout) Auth(n int) netip.AddrPort { return netip.MustParseAddrPort(l.at(1, n, portAuth)) }

// Acct is where the n-th node takes accounting.
func (l Layout) Acct(n int) netip.AddrPort { return netip.MustParseAddrPort(l.at(1, n, portAcct)) }

// NASID is the registry id of the n-th simulated NAS, from 1.
func (l Layout) NASID(n int) string { return "nas-" + strconv.Itoa(n) }

// NASCoA is where the n-th simulated NAS takes Disconnect and CoA.
func (l Layout) NASCoA(n int) netip.AddrPort { return netip.MustParseAddrPort(l.at(2, n, portCoA)) }

func (l Layout) path(parts ...string) string {
	return filepath.Join(append([]string{l.Dir}, parts...)...)
}

// NodeDir is the n-th node's data directory.
func (l Layout) NodeDir(n int) string { return l.path("data", l.NodeID(n)) }

// NodesDir lists the nodes' data directories.
func (l Layout) NodesDir() []string {
	out := make([]string, l.Nodes)
	for i := range out {
		out[i] = l.NodeDir(i + 1)
	}
	return out
}

// NodeConfig is the n-th node's configuration file.
func (l Layout) NodeConfig(n int) string { return l.path(l.NodeID(n) + ".yaml") }

// CentreConfig is the centre's configuration file.
func (l Layout) CentreConfig() string { return l.path("centre.yaml") }

// StoreDir is where the embedded store lives.
func (l Layout) StoreDir() string { return l.path("store") }

// AuthorityFile holds the certificate that all others come from.
func (l Layout) AuthorityFile() string { return l.path("keys", "ca", "ca.crt") }

// TokenFile holds the admin's token.
func (l Layout) TokenFile() string { return l.path("keys", "admin.token") }

// StoreURLFile holds the store's connection string.
func (l Layout) StoreURLFile() string { return l.path("keys", "store.url") }

// RegionRingFile holds the ring with which the centre seals credentials.
func (l Layout) RegionRingFile() string { return l.path("keys", Region+".ring") }

// DataRingFile holds the ring that seals the nodes' data.
func (l Layout) DataRingFile() string { return l.path("keys", Region+".data.ring") }

func (l Layout) gossipKeyFile() string { return l.path("keys", Region+".gossip") }

func (l Layout) logFile(process string) string { return l.path("logs", process+".log") }

// State is what a directory remembers of its plant between runs.
type State struct {
	Layout
	Subscribers   int  `json:"subscribers"`    // provisioned so far
	ExternalStore bool `json:"external_store"` // the store is not ours to start
	Founded       bool `json:"founded"`        // every node has had its place in the region
}

// ErrNoPlant: the directory holds no plant.
var ErrNoPlant = errors.New("no demo lives in this directory")

// LoadState reads a directory's state, or ErrNoPlant.
func LoadState(dir string) (State, error) {
	data, err := os.ReadFile(filepath.Join(dir, "demo.json"))
	if errors.Is(err, os.ErrNotExist) {
		return State{}, fmt.Errorf("%s: %w: run meridian demo --dir %s first", dir, ErrNoPlant, dir)
	}
	if err != nil {
		return State{}, fmt.Errorf("read the demo's state: %w", err)
	}
	var s State
	if err := json.Unmarshal(data, &s); err != nil {
		return State{}, fmt.Errorf("%s: %w: restore the file or use a new directory", filepath.Join(dir, "demo.json"), err)
	}
	s.Dir = dir
	return s, s.Validate()
}

// Save writes the state so that a crash leaves the old or the new one.
func (s State) Save() error {
	data, err := json.MarshalIndent(s, "", "  ")
	if err != nil {
		return fmt.Errorf("save the demo's state: %w", err)
	}
	return replaceFile(s.path("demo.json"), append(data, '\n'))
}

func replaceFile(path string, data []byte) error {
	if err := os.WriteFile(path+".new", data, 0o600); err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	return nil
}
