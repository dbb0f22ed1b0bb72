package gossip

import (
	"bytes"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
)

// GenerateKey makes a file with a new random key, mode 0600. It does not
// replace a file.
func GenerateKey(path string) ([]byte, error) {
	key := make([]byte, KeyBytes)
	rand.Read(key)
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return nil, fmt.Errorf("gossip: key file: %w", err)
	}
	_, err = f.WriteString(hex.EncodeToString(key) + "\n")
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		return nil, fmt.Errorf("gossip: write key file %s: %w", path, err)
	}
	return key, nil
}

// LoadKey reads what GenerateKey wrote: 64 hexadecimal digits. Group and others
// must have no access to the file.
func LoadKey(path string) ([]byte, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("gossip: key file: %w; create one, or copy the region's", err)
	}
	if perm := info.Mode().Perm(); perm&0o077 != 0 {
		return nil, fmt.Errorf("gossip: key file %s has mode %#o; run: chmod 600 %s", path, perm, path)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("gossip: key file: %w", err)
	}
	key, err := hex.DecodeString(string(bytes.TrimSpace(data)))
	if err != nil || len(key) != KeyBytes {
		return nil, fmt.Errorf("gossip: key file %s does not hold %d hexadecimal digits", path, 2*KeyBytes)
	}
	return key, nil
}
