package disk

import (
	"errors"
	"fmt"
	"os"
	"syscall"
)

var (
	// ErrReserve: less than the reserve is free; nothing was written.
	ErrReserve = errors.New("disk: less than the reserve is free")
	// ErrStalled: a write or sync has not returned for too long.
	ErrStalled = errors.New("disk: a write or sync does not return")
)

// Op is what was done to a file.
type Op uint8

// Operations.
const (
	Create Op = iota
	Write
	Sync
	Commit // of a small database: written and synced as a whole
	Truncate
	Remove
	Read // opened and read
	Rename
)

// String names the operation.
func (o Op) String() string {
	names := [...]string{"create", "write", "sync", "commit", "truncate", "remove", "read", "rename"}
	if int(o) < len(names) {
		return names[o]
	}
	return fmt.Sprintf("Op(%d)", uint8(o))
}

// Error is an operation that failed on the disk.
type Error struct {
	Op   Op
	Path string
	Err  error
}

// Error implements error.
func (e *Error) Error() string {
	var path *os.PathError
	if errors.As(e.Err, &path) { // it would name the file again
		return fmt.Sprintf("disk: %s %s: %v", e.Op, e.Path, path.Err)
	}
	return fmt.Sprintf("disk: %s %s: %v", e.Op, e.Path, e.Err)
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// Cause sorts the error: Full for want of space or quota, else Failed.
func (e *Error) Cause() Cause {
	if errors.Is(e.Err, syscall.ENOSPC) || errors.Is(e.Err, syscall.EDQUOT) {
		return Full
	}
	return Failed
}

// Cause says what is wrong with the disk.
type Cause uint8

// Causes, from harmless to bad.
const (
	None    Cause = iota
	Low           // less than the low watermark is free: no new work
	Reserve       // less than the reserve is free: nothing is appended
	Stalled       // an operation does not return
	Full          // an operation failed for want of space
	Failed        // an operation failed
)

// String names the cause as metrics and alarms do.
func (c Cause) String() string {
	names := [...]string{"ok", "low", "reserve", "stalled", "full", "failed"}
	if int(c) < len(names) {
		return names[c]
	}
	return fmt.Sprintf("Cause(%d)", uint8(c))
}

// Remedy is what a person does about it; empty for None.
func (c Cause) Remedy() string {
	switch c {
	case Low, Reserve, Full:
		return "free space on the node's data disk or give it a larger one; the node goes on by itself"
	case Stalled:
		return "look at the disk's latency and the kernel's log; the node goes on by itself when the disk answers"
	case Failed:
		return "look at the kernel's log; the node opens its files anew by itself once the disk takes writes; " +
			"replace a disk that goes on failing, then remove this member and let it join again"
	}
	return ""
}
