package history

import (
	"fmt"
	"hash/maphash"
	"slices"
	"strings"
	"time"

	"github.com/anishathalye/porcupine"
)

// Rules are what the model has to know of the accounts.
type Rules struct {
	// Opening is what an account was credited before the history begins.
	Opening func(account string) int64
	// Price is what one session's octets cost in all, micro-units; nil when charges
	// are not to be judged.
	Price func(octets uint64) int64
}

// register is the state of one account: what it was credited and the furthest
// counters of its sessions. Values are never changed in place.
type register struct {
	credited          int64
	granted, returned int64 // as last seen: they only rise
	sessions          []session
}

// session is one session; a history names them by number.
type session struct {
	known, closed bool
	Counters
}

// seed of the hashes, which only have to agree within one process.
var seed = maphash.MakeSeed()

// entry is an operation as porcupine gets it: the session's number in place of its
// name, and what was read in the order of the numbers.
type entry struct {
	Input
	number int
	read   []session
}

// model is an account's: ids are the names of its sessions.
func (r Rules) model(account string, ids int) porcupine.Model {
	return porcupine.Model{
		Init: func() any { return register{credited: r.Opening(account), sessions: make([]session, ids)} },
		Step: func(state, input, output any) (bool, any) {
			next, ok := r.step(state.(register), input.(entry), output.(Output))
			return ok, next
		},
		Equal: func(a, b any) bool {
			x, y := a.(register), b.(register)
			return x.credited == y.credited && x.granted == y.granted && x.returned == y.returned && slices.Equal(x.sessions, y.sessions)
		},
		Hash: func(state any) uint64 {
			s := state.(register)
			h := maphash.Comparable(seed, [3]int64{s.credited, s.granted, s.returned})
			for i := range s.sessions {
				h = h*31 + maphash.Comparable(seed, s.sessions[i])
			}
			return h
		},
	}
}

// step is what one operation does to the register, and whether it could have been
// answered so.
func (r Rules) step(s register, in entry, out Output) (register, bool) {
	switch in.Kind {
	case Credit:
		s.credited += in.Amount
		return s, true
	case Report, Stop:
		return s.report(in), true
	case Books:
		return s, out.Credited == s.credited
	}
	// What the region holds was paid in before, and totals never fall.
	if out.Granted < s.granted || out.Returned < s.returned || out.Granted-out.Returned > s.credited {
		return s, false
	}
	s.granted, s.returned = out.Granted, out.Returned
	return s, (r.Price == nil || out.Charged == r.charges(s.sessions)) && slices.EqualFunc(s.sessions, in.read, sameSession)
}

// report raises the counters of a session: they never go down, whatever the order.
func (s register) report(in entry) register {
	s.sessions = slices.Clone(s.sessions)
	p := &s.sessions[in.number]
	p.known = true
	p.closed = p.closed || in.Kind == Stop
	p.In, p.Out, p.Seconds = max(p.In, in.Usage.In), max(p.Out, in.Usage.Out), max(p.Seconds, in.Usage.Seconds)
	return s
}

// charges are what all sessions cost: each unit of usage once.
func (r Rules) charges(list []session) (sum int64) {
	for _, s := range list {
		sum += r.Price(s.In + s.Out)
	}
	return sum
}

// sameSession compares what must be with what was read. A region may close a
// session by itself; what was stopped is never open again.
func sameSession(want, got session) bool {
	return want.known == got.known && want.Counters == got.Counters && (!want.closed || got.closed)
}

// Result is what was decided of a history.
type Result struct {
	Accounts, Operations, Unknown int
	Undecided                     []string // accounts whose history took too long
}

// Check decides account by account whether the operations are linearizable, within
// a time for each. The error names the first account that is not, with its
// operations.
func Check(rules Rules, ops []Operation, each time.Duration) (Result, error) {
	res := Result{Operations: len(ops)}
	byAccount := map[string][]Operation{}
	var names []string
	for _, op := range ops {
		if byAccount[op.Account] == nil {
			names = append(names, op.Account)
		}
		byAccount[op.Account] = append(byAccount[op.Account], op)
		if op.Unknown() {
			res.Unknown++
		}
	}
	slices.Sort(names)
	res.Accounts = len(names)
	for _, name := range names {
		switch rules.check(name, byAccount[name], each) {
		case porcupine.Illegal:
			return res, fmt.Errorf("history of account %s is not linearizable:\n%s", name, rules.story(name, byAccount[name]))
		case porcupine.Unknown:
			res.Undecided = append(res.Undecided, name)
		}
	}
	return res, nil
}

func (r Rules) check(account string, ops []Operation, limit time.Duration) porcupine.CheckResult {
	list, ids := number(ops)
	return porcupine.CheckOperationsTimeout(r.model(account, len(ids)), list, limit)
}

// number gives the sessions their numbers. One that was read and never reported is
// somebody's invention: it gets a number too, and no state with it can be reached.
func number(ops []Operation) ([]porcupine.Operation, map[string]int) {
	ids := map[string]int{}
	id := func(name string) int {
		n, ok := ids[name]
		if !ok {
			n = len(ids)
			ids[name] = n
		}
		return n
	}
	for _, op := range ops {
		if op.Kind == Report || op.Kind == Stop {
			id(op.Session)
		}
		for _, s := range op.Sessions {
			id(s.ID)
		}
	}
	out := make([]porcupine.Operation, len(ops))
	for i, op := range ops {
		e := entry{Input: op.Input}
		switch op.Kind {
		case Report, Stop:
			e.number = ids[op.Session]
		case Region:
			e.read = make([]session, len(ids))
			for _, s := range op.Sessions {
				e.read[ids[s.ID]] = session{known: true, closed: !s.Open, Counters: s.Counters}
			}
		}
		out[i] = porcupine.Operation{ClientId: op.Client, Input: e, Output: op.Output, Call: op.Call, Return: op.Return}
	}
	return out, ids
}

// shown bounds how many operations an error shows.
const shown = 40

// story tells the shortest beginning of a history that is not linearizable, its
// last operations first.
func (r Rules) story(account string, ops []Operation) string {
	most := len(ops)
	low, high := 1, most
	for low < high { // operations that had not returned by then count as unknown
		mid := (low + high) / 2
		if r.check(account, cut(ops, mid), time.Second) == porcupine.Illegal {
			high = mid
		} else {
			low = mid + 1
		}
	}
	part := cut(ops, low)
	var b strings.Builder
	for i := len(part) - 1; i >= 0 && i >= len(part)-shown; i-- {
		fmt.Fprintf(&b, "  %s\n", part[i])
	}
	if len(part) > shown {
		fmt.Fprintf(&b, "  and %d before them\n", len(part)-shown)
	}
	return b.String()
}

// cut is the history of the n operations that returned first, and of what had been
// called by then.
func cut(ops []Operation, n int) []Operation {
	byReturn := slices.Clone(ops)
	slices.SortStableFunc(byReturn, func(a, b Operation) int {
		switch {
		case a.Return < b.Return:
			return -1
		case a.Return > b.Return:
			return 1
		}
		return 0
	})
	end := byReturn[n-1].Return
	var out []Operation
	for _, op := range ops {
		switch {
		case op.Return <= end:
			out = append(out, op)
		case op.Call <= end && op.Kind < Books:
			op.Return = never
			out = append(out, op)
		}
	}
	return out
}

// String tells an operation in one line.
func (o Operation) String() string {
	when := fmt.Sprintf("%.3f–%.3f s", float64(o.Call)/1e9, float64(o.Return)/1e9)
	if o.Unknown() {
		when = fmt.Sprintf("%.3f s, no answer", float64(o.Call)/1e9)
	}
	switch o.Kind {
	case Credit:
		return fmt.Sprintf("%s: credit %d", when, o.Amount)
	case Report, Stop:
		name := "report"
		if o.Kind == Stop {
			name = "stop"
		}
		return fmt.Sprintf("%s: %s of %s: in %d, out %d, %d s", when, name, o.Session, o.Usage.In, o.Usage.Out, o.Usage.Seconds)
	case Books:
		return fmt.Sprintf("%s: the centre says credited %d", when, o.Credited)
	}
	text := fmt.Sprintf("%s: the region says granted %d, returned %d, charged %d", when, o.Granted, o.Returned, o.Charged)
	for _, s := range o.Sessions {
		text += fmt.Sprintf("; %s open %v in %d out %d %d s", s.ID, s.Open, s.In, s.Out, s.Seconds)
	}
	return text
}
