package verify

import "meridian/internal/journal"

// startTolerance is how far two computed starts of one session may lie apart, in
// seconds. The edge has the same rule; it is written down a second time here.
const startTolerance = 30

// Statuses of accounting requests in a witness (RFC 2866 section 5.1).
const (
	StatusStart   = "start"
	StatusInterim = "interim"
	StatusStop    = "stop"
	StatusOn      = "on"
	StatusOff     = "off"
)

// Results of a login in a witness.
const (
	AuthAccept  = "accept"
	AuthReject  = "reject"
	AuthTimeout = "timeout"
)

// Phases in which autonomy is proved.
const (
	PhaseLinkCut      = "link_cut"
	PhaseCentreKilled = "centre_killed"
	PhaseLeaderKilled = "leader_killed"
)

// WitnessAcct is one accounting request as the client knows it. Start and Event
// are Unix seconds, Seconds the Acct-Session-Time (−1 when the packet has none),
// In and Out the session's cumulative octets in 64 bits, whatever the packet
// carried of them. N is how many equal requests the line stands for; 0 means 1.
type WitnessAcct struct {
	NAS     string `json:"nas"`
	ID      string `json:"id"`
	Start   int64  `json:"start"`
	Status  string `json:"status"`
	Event   int64  `json:"event"`
	Seconds int64  `json:"seconds"`
	In      uint64 `json:"in"`
	Out     uint64 `json:"out"`
	N       int64  `json:"n,omitempty"`
}

// WitnessAuth is the outcome of one login.
type WitnessAuth struct {
	Login  string `json:"login"`
	Result string `json:"result"`
}

// WitnessRecord is one line of a witness; exactly one field is set. Sent is
// written before a request is first sent, Acked after its verified answer,
// Timeout when no try was answered.
type WitnessRecord struct {
	Phase   string       `json:"phase,omitempty"`
	Sent    *WitnessAcct `json:"sent,omitempty"`
	Acked   *WitnessAcct `json:"acked,omitempty"`
	Timeout *WitnessAcct `json:"timeout,omitempty"`
	Auth    *WitnessAuth `json:"auth,omitempty"`
}

// Counters are a session's cumulative octets and seconds.
type Counters struct {
	In, Out uint64
	Seconds int64
}

func (c *Counters) raise(o Counters) {
	c.In, c.Out, c.Seconds = max(c.In, o.In), max(c.Out, o.Out), max(c.Seconds, o.Seconds)
}

func (c *Counters) add(o Counters) {
	c.In, c.Out, c.Seconds = c.In+o.In, c.Out+o.Out, c.Seconds+o.Seconds
}

// WitnessSession is what a client knows of a session.
type WitnessSession struct {
	Key       journal.SessionKey // Start as the client first wrote it
	Sent      Counters           // the greatest ever sent
	Acked     Counters           // the greatest acknowledged
	Acks      int64              // requests acknowledged
	LastAcked int64              // newest event time acknowledged, Unix seconds
	Stopped   bool               // a Stop was acknowledged
}

// WitnessPhase counts what happened between two phase marks; phases of the same
// name are counted together.
type WitnessPhase struct {
	Name                           string
	Accepts, Rejects, AuthTimeouts int64
	Acked, AcctTimeouts            int64
	AckedSinceTimeout              int64 // acknowledged after the newest timeout of either sort
}

// Witness is a witness file, folded. Sessions stand in the order in which they
// were first seen, phases in the order of their first mark; what comes before
// the first mark is the phase "".
type Witness struct {
	Sessions []*WitnessSession
	Phases   []*WitnessPhase
	Lines    int64
	Torn     bool // the last line was cut off in mid-write and left out

	byID    map[nasSession][]*WitnessSession
	current *WitnessPhase
}

type nasSession struct{ nas, id string }

// Phase returns the counts of a phase, nil when the witness has none of it.
func (w *Witness) Phase(name string) *WitnessPhase {
	for _, p := range w.Phases {
		if p.Name == name {
			return p
		}
	}
	return nil
}

// Add folds one record.
func (w *Witness) Add(r WitnessRecord) {
	switch {
	case r.Phase != "":
		w.current = w.openPhase(r.Phase)
	case r.Sent != nil:
		if s := w.session(r.Sent); s != nil {
			s.Sent.raise(r.Sent.counters())
		}
	case r.Acked != nil:
		w.acked(r.Acked)
	case r.Timeout != nil:
		p := w.phase()
		p.AcctTimeouts += max(r.Timeout.N, 1)
		p.AckedSinceTimeout = 0
		if s := w.session(r.Timeout); s != nil {
			s.Sent.raise(r.Timeout.counters())
		}
	case r.Auth != nil:
		w.auth(r.Auth.Result)
	}
}

func (w *Witness) acked(a *WitnessAcct) {
	n := max(a.N, 1)
	p := w.phase()
	p.Acked += n
	p.AckedSinceTimeout += n
	s := w.session(a)
	if s == nil {
		return
	}
	s.Sent.raise(a.counters())
	s.Acked.raise(a.counters())
	s.Acks += n
	s.LastAcked = max(s.LastAcked, a.Event)
	s.Stopped = s.Stopped || a.Status == StatusStop
}

func (w *Witness) auth(result string) {
	p := w.phase()
	switch result {
	case AuthAccept:
		p.Accepts++
	case AuthReject:
		p.Rejects++
	case AuthTimeout:
		p.AuthTimeouts++
		p.AckedSinceTimeout = 0
	}
}

// counters are the usage that a request reports; a Start reports none.
func (a *WitnessAcct) counters() Counters {
	if a.Status == StatusStart {
		return Counters{}
	}
	seconds := a.Seconds
	if seconds < 0 { // the region then counts from the start
		seconds = max(a.Event-a.Start, 0)
	}
	return Counters{In: a.In, Out: a.Out, Seconds: seconds}
}

// session finds or opens the session of a request, nil for a NAS's own (on, off).
func (w *Witness) session(a *WitnessAcct) *WitnessSession {
	if a.Status == StatusOn || a.Status == StatusOff {
		return nil
	}
	k := nasSession{a.NAS, a.ID}
	if s := nearest(w.byID[k], a.Start); s != nil {
		return s
	}
	s := &WitnessSession{Key: journal.SessionKey{NAS: a.NAS, ID: a.ID, Start: a.Start}}
	if w.byID == nil {
		w.byID = map[nasSession][]*WitnessSession{}
	}
	w.byID[k] = append(w.byID[k], s)
	w.Sessions = append(w.Sessions, s)
	return s
}

// find returns the client's session that a recorded one is, or nil.
func (w *Witness) find(k journal.SessionKey) *WitnessSession {
	return nearest(w.byID[nasSession{k.NAS, k.ID}], k.Start)
}

func nearest(list []*WitnessSession, start int64) *WitnessSession {
	var best *WitnessSession
	for _, s := range list {
		d := distance(s.Key.Start, start)
		if d <= startTolerance && (best == nil || d < distance(best.Key.Start, start)) {
			best = s
		}
	}
	return best
}

func distance(a, b int64) int64 { return max(a-b, b-a) }

func (w *Witness) phase() *WitnessPhase {
	if w.current == nil {
		w.current = w.openPhase("")
	}
	return w.current
}

func (w *Witness) openPhase(name string) *WitnessPhase {
	if p := w.Phase(name); p != nil {
		return p
	}
	p := &WitnessPhase{Name: name}
	w.Phases = append(w.Phases, p)
	return p
}
