package plant

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"time"

	"meridian/replication/gossip"
	"meridian/replication/identity"
	"meridian/replication/seal"
)

// certificateLife is how long the plant's certificates are good for.
const certificateLife = 365 * 24 * time.Hour

// makeKeys makes what is missing of authority, certificates, rings, gossip key
// and token. What is there stays: data sealed with it must remain readable.
func (l Layout) makeKeys(now time.Time) error {
	dir := l.path("keys")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("make the keys' directory: %w", err)
	}
	if err := l.makeCertificates(now); err != nil {
		return err
	}
	for _, file := range []string{l.RegionRingFile(), l.DataRingFile()} {
		if missing(file) {
			if _, err := seal.Generate(file); err != nil {
				return err
			}
		}
	}
	if missing(l.gossipKeyFile()) {
		if _, err := gossip.GenerateKey(l.gossipKeyFile()); err != nil {
			return err
		}
	}
	if missing(l.TokenFile()) {
		var token [24]byte
		rand.Read(token[:])
		if err := replaceFile(l.TokenFile(), []byte(hex.EncodeToString(token[:])+"\n")); err != nil {
			return err
		}
	}
	return nil
}

// makeCertificates issues new certificates at every start: they are cheap, and
// an old directory's have expired.
func (l Layout) makeCertificates(now time.Time) error {
	dir := l.path("keys")
	caDir := l.path("keys", "ca")
	if missing(l.path("keys", "ca", "ca.key")) {
		ca, err := identity.NewCA("meridian demo", now, 10*certificateLife)
		if err != nil {
			return err
		}
		if err := ca.Save(caDir); err != nil {
			return err
		}
	}
	ca, err := identity.LoadCA(caDir)
	if err != nil {
		return err
	}
	ids := map[string]identity.ID{"centre": identity.Centre()}
	for n := 1; n <= l.Nodes; n++ {
		ids[l.NodeID(n)] = identity.Node(Region, l.NodeID(n))
	}
	for name, id := range ids {
		b, err := ca.Issue(id, now, certificateLife)
		if err != nil {
			return err
		}
		if err := b.Save(dir, name); err != nil {
			return err
		}
	}
	return nil
}

func missing(path string) bool {
	_, err := os.Stat(path)
	return errors.Is(err, os.ErrNotExist)
}
