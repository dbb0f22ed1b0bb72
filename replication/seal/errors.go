package seal

import "errors"

var (
	// ErrUnknownKey: the record was sealed with a key that the ring does not hold.
	ErrUnknownKey = errors.New("seal: key not in ring")
	// ErrCorrupt: the record is not one of ours, was altered, or was sealed for
	// another place (other additional data) or by another ring with the same id.
	ErrCorrupt = errors.New("seal: record does not open")
	// ErrOtherKey: two different keys have one id.
	ErrOtherKey = errors.New("seal: two keys of one id")
	// ErrKeeper: what wraps the data keys gave none: it is away, or refused.
	ErrKeeper = errors.New("seal: key management")
	// ErrBadKeyFile: the key file cannot be used.
	ErrBadKeyFile = errors.New("seal: key file")
)
