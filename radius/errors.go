package radius

import "errors"

// Faults of the server's use.
var (
	ErrAnswered  = errors.New("request is already answered")
	ErrClosed    = errors.New("server is closed")
	ErrStarted   = errors.New("server was already started")
	ErrReplyCode = errors.New("code does not answer this request")
	ErrReplaced  = errors.New("request was replaced by a new one with its identifier")
)
