package embedded

import "errors"

var (
	// ErrNotInstalled says that no server binary was found. The remedy is in
	// the error's text; a command line program should exit with status 3.
	ErrNotInstalled = errors.New("no embedded store is installed")

	// ErrForeignStore says that the directory holds a store which this process
	// cannot run: owned by another user, written by another version, or
	// incomplete.
	ErrForeignStore = errors.New("the store's directory cannot be used")

	// ErrNotReady says that the server was started and did not answer.
	ErrNotReady = errors.New("the embedded store did not become ready")
)
