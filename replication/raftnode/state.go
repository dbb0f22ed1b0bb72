package raftnode

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// HasState tells whether a directory has been a member's before.
func HasState(dir string) (bool, error) {
	_, err := os.Stat(filepath.Join(dir, nodeFile))
	switch {
	case err == nil:
		return true, nil
	case errors.Is(err, fs.ErrNotExist):
		return false, nil
	}
	return false, fmt.Errorf("raftnode: %w", err)
}
