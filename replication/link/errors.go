package link

import "errors"

var (
	// ErrSilent: nothing was heard from the other side for too long.
	ErrSilent = errors.New("link: the other side is silent")
	// ErrTakenOver: a newer stream of the same region took this one's place.
	ErrTakenOver = errors.New("link: taken over by a newer stream")
	// ErrProtocol: the other side sent what may not come here.
	ErrProtocol = errors.New("link: protocol violation")
	// ErrSource: the Source broke its contract.
	ErrSource = errors.New("link: source")
	// ErrClosed: the server was closed.
	ErrClosed = errors.New("link: closed")

	errRefusedSent = errors.New("link: refusal sent")
)
