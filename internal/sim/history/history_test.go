package history

import (
	"strings"
	"testing"
	"time"
)

// rules: an account begins with 1000, an octet costs 2.
func rules() Rules {
	return Rules{Opening: func(string) int64 { return 1000 }, Price: func(octets uint64) int64 { return int64(octets) * 2 }}
}

// op is one operation from call to ret; ret 0: no answer came.
func op(call, ret int64, in Input, out Output) Operation {
	in.Account = "acc"
	if ret == 0 {
		ret = never
	}
	return Operation{Call: call, Return: ret, Input: in, Output: out}
}

func report(call, ret int64, id string, octets uint64) Operation {
	return op(call, ret, Input{Kind: Report, Session: id, Usage: Counters{In: octets}}, Output{})
}

func stop(call, ret int64, id string, octets uint64) Operation {
	return op(call, ret, Input{Kind: Stop, Session: id, Usage: Counters{In: octets}}, Output{})
}

// region reads; charged as given, each session by its octets.
func region(call, ret, granted, charged int64, open bool, octets ...uint64) Operation {
	out := Output{Granted: granted, Charged: charged}
	for i, n := range octets {
		out.Sessions = append(out.Sessions, Session{ID: string(rune('a' + i)), Open: open, Counters: Counters{In: n}})
	}
	return op(call, ret, Input{Kind: Region}, out)
}

func credit(call, ret, amount int64) Operation {
	return op(call, ret, Input{Kind: Credit, Amount: amount}, Output{})
}

func books(call, ret, credited int64) Operation {
	return op(call, ret, Input{Kind: Books}, Output{Credited: credited})
}

func TestModel(t *testing.T) {
	for _, c := range []struct {
		name string
		ops  []Operation
		ok   bool
	}{
		{"usage is charged once", []Operation{report(1, 2, "a", 10), region(3, 4, 1000, 20, true, 10), report(5, 6, "a", 25), region(7, 8, 1000, 50, true, 25)}, true},
		{"a report twice is charged once", []Operation{report(1, 2, "a", 10), report(1, 4, "a", 10), region(5, 6, 1000, 20, true, 10)}, true},
		{"a late report changes nothing", []Operation{report(1, 2, "a", 25), report(3, 4, "a", 10), region(5, 6, 1000, 50, true, 25)}, true},
		{"a doubled charge", []Operation{report(1, 2, "a", 10), region(3, 4, 1000, 40, true, 10)}, false},
		{"a charge for a late report", []Operation{report(1, 2, "a", 25), report(3, 4, "a", 10), region(5, 6, 1000, 70, true, 25)}, false},
		{"an acknowledged report is lost", []Operation{report(1, 2, "a", 10), report(3, 4, "a", 25), region(5, 6, 1000, 20, true, 10)}, false},
		{"an acknowledged session is lost", []Operation{report(1, 2, "a", 0), region(3, 4, 1000, 0, true)}, false},
		{"a stale read", []Operation{report(1, 2, "a", 10), region(3, 4, 1000, 20, true, 10), report(5, 6, "a", 25), region(7, 8, 1000, 50, true, 25), region(9, 10, 1000, 20, true, 10)}, false},
		{"usage that nobody reported", []Operation{report(1, 2, "a", 10), region(3, 4, 1000, 22, true, 11)}, false},
		{"a session that nobody had", []Operation{report(1, 2, "a", 10), region(3, 4, 1000, 24, true, 10, 2)}, false},
		{"without an answer it may have happened", []Operation{report(1, 2, "a", 10), report(3, 0, "a", 25), region(5, 6, 1000, 50, true, 25)}, true},
		{"or not", []Operation{report(1, 2, "a", 10), report(3, 0, "a", 25), region(5, 6, 1000, 20, true, 10)}, true},
		{"or later", []Operation{report(1, 2, "a", 10), report(3, 0, "a", 25), region(5, 6, 1000, 20, true, 10), region(7, 8, 1000, 50, true, 25)}, true},
		{"but not back again", []Operation{report(1, 2, "a", 10), report(3, 0, "a", 25), region(5, 6, 1000, 50, true, 25), region(7, 8, 1000, 20, true, 10)}, false},
		{"a read during a report sees it or not", []Operation{report(1, 9, "a", 10), region(3, 4, 1000, 0, true), region(5, 6, 1000, 20, true, 10)}, true},
		{"stopped is stopped", []Operation{stop(1, 2, "a", 10), region(3, 4, 1000, 20, false, 10)}, true},
		{"a stopped session is open again", []Operation{stop(1, 2, "a", 10), report(3, 4, "a", 5), region(5, 6, 1000, 20, true, 10)}, false},
		{"the region closed a session by itself", []Operation{report(1, 2, "a", 10), region(3, 4, 1000, 20, false, 10)}, true},
		{"money is granted after it was paid", []Operation{credit(1, 2, 500), books(3, 4, 1500), region(5, 6, 1500, 0, true)}, true},
		{"and need not be at once", []Operation{credit(1, 2, 500), region(3, 4, 1000, 0, true), region(5, 6, 1500, 0, true)}, true},
		{"granted before it was paid", []Operation{region(1, 2, 1500, 0, true), credit(3, 4, 500)}, false},
		{"granted twice", []Operation{credit(1, 2, 500), region(3, 4, 2000, 0, true)}, false},
		{"a grant is taken back", []Operation{region(1, 2, 1000, 0, true), region(3, 4, 900, 0, true)}, false},
		{"a payment is lost", []Operation{credit(1, 2, 500), books(3, 4, 1000)}, false},
		{"a payment counts twice", []Operation{credit(1, 2, 500), books(3, 4, 2000)}, false},
		{"a payment without an answer", []Operation{credit(1, 0, 500), books(3, 4, 1000), books(5, 6, 1500)}, true},
		{"and it is gone again", []Operation{credit(1, 0, 500), books(3, 4, 1500), books(5, 6, 1000)}, false},
	} {
		res, err := Check(rules(), c.ops, 10*time.Second)
		if (err == nil) != c.ok || len(res.Undecided) > 0 {
			t.Errorf("%s: %v, undecided %v", c.name, err, res.Undecided)
		}
		if err != nil && !strings.Contains(err.Error(), "account acc") {
			t.Errorf("%s: the error names no account: %v", c.name, err)
		}
	}
}

// The error shows the shortest beginning that is wrong, not all that came after.
func TestStoryEndsWithTheFault(t *testing.T) {
	ops := []Operation{report(1, 2, "a", 10), region(3, 4, 1000, 40, true, 10)}
	for i := int64(5); i < 200; i += 2 {
		ops = append(ops, report(i, i+1, "a", uint64(i)))
	}
	_, err := Check(rules(), ops, 10*time.Second)
	if err == nil || !strings.Contains(err.Error(), "linearizable:\n  0.000–0.000 s: the region says granted 1000, returned 0, charged 40") {
		t.Errorf("%v", err)
	}
}

// Operations are given in the order of their calls, whoever recorded them first.
func TestRecorder(t *testing.T) {
	var r Recorder
	r.Done(1, 5, 6, Input{Account: "b"}, Output{})
	r.Lost(2, 3, Input{Account: "a"})
	got := r.Operations()
	if len(got) != 2 || got[0].Account != "a" || !got[0].Unknown() || got[1].Unknown() {
		t.Errorf("%v", got)
	}
}
