// Package history records what clients did and saw, operation by operation, and
// decides by porcupine whether a register that does one operation at a time could
// have answered so.
//
// It owns the operations, the recorder and the model of an account's money and
// sessions. Who does the operations, to real processes or to the simulation, is its
// users' to say. The model is written without a line of the code that it judges.
package history

import (
	"math"
	"slices"
	"sync"
)

// Kind is what an operation does.
type Kind uint8

// Kinds. Credit, Report and Stop change the register, Books and Region read it.
const (
	Credit Kind = iota // the centre takes money in
	Report             // a session's cumulative counters are reported
	Stop               // the same, for the last time
	Books              // the centre is asked what the account was credited
	Region             // the region is asked for lease and sessions, through its log
)

// Counters are a session's, cumulative since its start.
type Counters struct {
	In, Out uint64 // octets
	Seconds int64
}

// Session is one session as the region shows it.
type Session struct {
	ID   string
	Open bool
	Counters
}

// Input is what an operation asks.
type Input struct {
	Account string
	Kind    Kind
	Amount  int64    // of a Credit, micro-units
	Session string   // of a Report or Stop
	Usage   Counters // of a Report or Stop
}

// Output is what a reading operation was told. Amounts are micro-units.
type Output struct {
	Credited int64 // Books: all money ever taken in for the account

	Granted  int64 // Region: G, all that the region may spend
	Returned int64 // Region: X, what it gave back
	Charged  int64 // Region: S + U, what sessions were charged, cut or not
	Sessions []Session
}

// never is the return of an operation whose outcome nobody knows: it may take
// effect at any time after it began, or not at all.
const never = math.MaxInt64

// Operation is one call, from when to when (nanoseconds of one clock).
type Operation struct {
	Client       int
	Call, Return int64
	Input
	Output
}

// Unknown tells whether no answer came.
func (o Operation) Unknown() bool { return o.Return == never }

// Recorder collects operations of many clients.
type Recorder struct {
	mu  sync.Mutex
	ops []Operation
}

// Done records an operation that was answered.
func (r *Recorder) Done(client int, call, ret int64, in Input, out Output) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.ops = append(r.ops, Operation{Client: client, Call: call, Return: ret, Input: in, Output: out})
}

// Lost records an operation that was not: it may have happened, or may yet happen.
func (r *Recorder) Lost(client int, call int64, in Input) {
	r.Done(client, call, never, in, Output{})
}

// Operations returns what was recorded, in the order of the calls.
func (r *Recorder) Operations() []Operation {
	r.mu.Lock()
	defer r.mu.Unlock()
	out := slices.Clone(r.ops)
	slices.SortStableFunc(out, func(a, b Operation) int {
		switch {
		case a.Call < b.Call:
			return -1
		case a.Call > b.Call:
			return 1
		}
		return 0
	})
	return out
}
