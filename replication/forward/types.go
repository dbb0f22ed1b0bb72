package forward

import (
	"context"
	"errors"
	"fmt"
	"time"

	pb "meridian/proto/meridian/v1"
)

var (
	// ErrNotSent: the batch certainly did not reach the leader.
	ErrNotSent = errors.New("forward: not sent")
	// ErrOutcomeUnknown: the commands may or may not be committed, now or later.
	// Propose them again with the same ids.
	ErrOutcomeUnknown = errors.New("forward: outcome unknown")
	// ErrNotLeader: not proposed; the node does not lead. Ask for the leader again.
	ErrNotLeader = errors.New("forward: not the leader")
	// ErrBusy: not proposed; a limit of the leader was reached. Wait, then try again.
	ErrBusy = errors.New("forward: leader is busy")
	// ErrInvalid: not proposed; the leader cannot read the command.
	ErrInvalid = errors.New("forward: invalid command")
	// ErrUnavailable: not proposed; the node is stopping or has failed.
	ErrUnavailable = errors.New("forward: unavailable")
	// ErrSilent: the leader did not answer probes.
	ErrSilent = errors.New("forward: the leader is silent")
	// ErrRefused: the other node, or this one, is of another installation, region or
	// version; the text says what both are.
	ErrRefused = errors.New("forward: refused")
	// ErrClosed: the pool was closed.
	ErrClosed = errors.New("forward: closed")
)

// Code says what became of one command.
type Code int

// The codes; their numbers are those on the wire.
const (
	CodeOK Code = iota
	CodeNotLeader
	CodeBusy
	CodeOutcomeUnknown
	CodeInvalid
	CodeUnavailable
)

// Result is what became of one command. Value is what the state machine
// returned and is set with CodeOK only.
type Result struct {
	Value  []byte
	Code   Code
	Detail string
}

// Err is nil for CodeOK, else one of the package's errors with the detail.
func (r Result) Err() error {
	var base error
	switch r.Code {
	case CodeOK:
		return nil
	case CodeNotLeader:
		base = ErrNotLeader
	case CodeBusy:
		base = ErrBusy
	case CodeInvalid:
		base = ErrInvalid
	case CodeUnavailable:
		base = ErrUnavailable
	default: // a code from a later version: do not assume that nothing happened
		base = ErrOutcomeUnknown
	}
	return fmt.Errorf("%w: %s", base, r.Detail)
}

// Same is n results of one kind.
func Same(n int, r Result) []Result {
	out := make([]Result, n)
	for i := range out {
		out[i] = r
	}
	return out
}

// Proposer is the node's own way to its log. ProposeBatch returns one result
// per command, in order, and honours ctx. It is called concurrently.
type Proposer interface {
	ProposeBatch(ctx context.Context, cmds [][]byte) []Result
}

// Status is a node at one moment.
type Status struct {
	Node         string
	Clock        time.Time
	Term         uint64
	AppliedIndex uint64
	Leader       bool

	Level    uint64   // highest feature level that it can do
	Members  []Member // by its raft configuration; while Waiting: those with which it would found
	Birth    string   // names the life of its directory
	Waiting  bool     // it has no state and waits for the others
	Founders []Member // who founded the region, with their births
	DataKeys []string // that it can open, "<id>:<fingerprint>" each
}

// Member is a member of a region as a node knows it.
type Member struct {
	Node  string
	Raft  string // host:port
	Voter bool
	Birth string
}

// HeadsQuery asks a node where it stands: for its heads after one log index, and
// for those that it signed after another.
type HeadsQuery struct {
	AfterIndex, AfterSigned uint64
}

// Heads is a node's answer, in the canonical bytes of whoever compares: its heads,
// those that it signed, and the newest that the asker signed (nil when it has
// none).
type Heads struct {
	From           string // node that answered, by its certificate; set by the Pool
	Points, Signed [][]byte
	Yours          []byte
}

func statusToWire(s Status) *pb.StatusReply {
	return &pb.StatusReply{
		Node: s.Node, ClockUnixMicros: s.Clock.UnixMicro(), RaftTerm: s.Term, AppliedIndex: s.AppliedIndex, IsLeader: s.Leader,
		Level: s.Level, Members: membersToWire(s.Members), Birth: s.Birth, Waiting: s.Waiting, Founders: membersToWire(s.Founders), DataKeys: s.DataKeys,
	}
}

func statusFromWire(s *pb.StatusReply) Status {
	return Status{
		Node: s.GetNode(), Clock: time.UnixMicro(s.GetClockUnixMicros()).UTC(), Term: s.GetRaftTerm(),
		AppliedIndex: s.GetAppliedIndex(), Leader: s.GetIsLeader(),
		Level: s.GetLevel(), Members: membersFromWire(s.GetMembers()), Birth: s.GetBirth(), Waiting: s.GetWaiting(), Founders: membersFromWire(s.GetFounders()), DataKeys: s.GetDataKeys(),
	}
}

func membersToWire(ms []Member) (out []*pb.Member) {
	for _, m := range ms {
		out = append(out, &pb.Member{Node: m.Node, RaftAddress: m.Raft, Voter: m.Voter, Birth: m.Birth})
	}
	return out
}

func membersFromWire(ms []*pb.Member) (out []Member) {
	for _, m := range ms {
		out = append(out, Member{Node: m.GetNode(), Raft: m.GetRaftAddress(), Voter: m.GetVoter(), Birth: m.GetBirth()})
	}
	return out
}

func resultsToWire(id uint64, rs []Result) *pb.ProposeResults {
	out := &pb.ProposeResults{Id: id, Results: make([]*pb.Result, len(rs))}
	for i, r := range rs {
		out.Results[i] = &pb.Result{Value: r.Value, Code: pb.ResultCode(r.Code), Error: r.Detail}
	}
	return out
}

func resultsFromWire(p *pb.ProposeResults) []Result {
	out := make([]Result, len(p.GetResults()))
	for i, r := range p.GetResults() {
		out[i] = Result{Value: r.GetValue(), Code: Code(r.GetCode()), Detail: r.GetError()}
	}
	return out
}
