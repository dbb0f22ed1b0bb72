package plant

import (
	"fmt"
	"os"
	"time"

	"meridian/cmd/meridian/settings"
)

// demoCutAge is how old uncut usage may get: young, so that charges are seen soon.
const demoCutAge = 5 * time.Second

// writeConfigs writes the configuration files of centre and nodes.
func (l Layout) writeConfigs() error {
	for _, dir := range []string{l.path("logs"), l.path("data")} {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return fmt.Errorf("make %s: %w", dir, err)
		}
	}
	if err := settings.Write(l.CentreConfig(), l.centreSettings()); err != nil {
		return err
	}
	for n := 1; n <= l.Nodes; n++ {
		if err := os.MkdirAll(l.NodeDir(n), 0o700); err != nil {
			return fmt.Errorf("make node directory: %w", err)
		}
		if err := settings.Write(l.NodeConfig(n), l.nodeSettings(n)); err != nil {
			return err
		}
	}
	return nil
}

func (l Layout) identityFiles(name string) settings.Identity {
	return settings.Identity{Cert: l.rel(name + ".crt"), Key: l.rel(name + ".key"), CA: l.rel("ca.crt")}
}

// rel names a key file from the configuration's own folder, so that the
// directory can be moved.
func (l Layout) rel(name string) string { return "keys/" + name }

func (l Layout) centreSettings() settings.Central {
	s := settings.DefaultCentral()
	s.Cluster = Cluster
	s.StoreURLFile = l.rel("store.url")
	s.HTTP, s.Link = l.CentreHTTP(), l.CentreLink()
	s.Identity = l.identityFiles("centre")
	s.Rings = map[string]string{Region: l.rel(Region + ".ring")}
	s.CatalogLeadTime = 0 // its story changes a price at once, while the region is cut off
	s.BootstrapLogin, s.BootstrapTokenFile = "admin", l.rel("admin.token")
	return s
}

func (l Layout) nodeSettings(n int) settings.Edge {
	s := settings.DefaultEdge()
	s.Cluster, s.Region, s.Node, s.Dir = Cluster, Region, l.NodeID(n), "data/"+l.NodeID(n)
	s.RadiusAuth, s.RadiusAcct, s.HTTP = l.Auth(n).String(), l.Acct(n).String(), l.NodeHTTP(n)
	s.Raft, s.Forward, s.Gossip = l.at(1, n, portRaft), l.at(1, n, portForward), l.at(1, n, portGossip)
	s.Centre = []string{l.RelayLink()}
	for m := 1; m <= l.Nodes; m++ {
		s.Peers = append(s.Peers, settings.Peer{ID: l.NodeID(m), Raft: l.at(1, m, portRaft), Forward: l.at(1, m, portForward), Gossip: l.at(1, m, portGossip)})
	}
	s.Identity = l.identityFiles(l.NodeID(n))
	s.DataRingFile, s.RingFile, s.GossipKeyFile = l.rel(Region+".data.ring"), l.rel(Region+".ring"), l.rel(Region+".gossip")
	s.Policy.CutAge = demoCutAge
	return s
}
