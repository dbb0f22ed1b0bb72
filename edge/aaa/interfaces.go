package aaa

import (
	"context"
	"time"

	"meridian/edge/command"
	"meridian/edge/fsm"
	"meridian/radius/attr"
	"meridian/radius/coa"
)

// Log is the region's replicated log as this package needs it. All methods are
// called from several goroutines at once.
type Log interface {
	// Propose hands a command to the region's log from any node. done is called
	// exactly once, from any goroutine, also before Propose returns: with the
	// result once a majority has the command on disk and it is applied, or with an
	// error when the outcome is unknown or there is no leader. Propose never
	// blocks: when its queue is full done is called at once with an error. done
	// does not block and does not call View.
	Propose(c command.Command, done func(command.Result, error))

	// View calls fn with the node's replica under a read lock. fn keeps it short,
	// changes nothing and keeps no map of the state.
	View(fn func(*fsm.State))

	// LeaderHeard is when this node last heard a leader; now, if it is the leader.
	LeaderHeard() time.Time

	// IsLeader tells whether this node leads the region.
	IsLeader() bool
}

// Opener opens what the centre sealed with the region's key. aad is the
// associated data that the record was sealed with: "nas/<id>" for a NAS's secret,
// feed.PasswordAAD and feed.NTHashAAD for a subscription's credentials. It is
// called from several goroutines; the returned clear text is the caller's.
type Opener interface {
	Open(sealed []byte, aad string) ([]byte, error)
}

// Sender sends requests to NAS; *coa.Client is one. Silence is an outcome, not an
// error; errors are the context's, coa.ErrBusy, coa.ErrTarget, coa.ErrClosed or a
// fault of the attributes. It is called from several goroutines.
type Sender interface {
	Disconnect(ctx context.Context, to coa.Target, attrs attr.List) (coa.Result, error)
	CoA(ctx context.Context, to coa.Target, attrs attr.List) (coa.Result, error)
}
