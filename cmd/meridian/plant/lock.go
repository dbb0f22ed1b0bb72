package plant

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
)

// ErrRunning: another process runs the plant of this directory.
var ErrRunning = errors.New("a demo is running in this directory")

// Lock makes this process the directory's only user until unlock is called. It
// fails with ErrRunning while another one is.
func Lock(dir string) (unlock func(), err error) {
	f, err := os.OpenFile(filepath.Join(dir, "demo.lock"), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("lock the directory: %w", err)
	}
	err = syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	if errors.Is(err, syscall.EWOULDBLOCK) {
		return nil, errors.Join(fmt.Errorf("%s: %w: stop it by Ctrl-C, or use another --dir", dir, ErrRunning), f.Close())
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("lock %s: %w", f.Name(), err), f.Close())
	}
	return func() {
		// The lock ends with the file; a file that was never written closes without loss.
		_ = f.Close()
	}, nil
}
