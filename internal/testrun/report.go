package main

import (
	"bufio"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
)

// maxOutputBytes bounds what is kept of one package's output until it is known
// whether the package failed.
const maxOutputBytes = 4 << 20

// event is a line of `go test -json`; see `go doc test2json`.
type event struct {
	Action  string
	Package string
	Test    string
	Elapsed float64 // seconds
	Output  string
}

// testID names a test or subtest of a package.
type testID struct{ pkg, test string }

func (id testID) String() string { return id.pkg + " " + id.test }

// pkgState is what is known of a package that has not ended.
type pkgState struct {
	output    []event
	bytes     int
	truncated bool
	passed    map[string]bool // tests whose output is of no interest any more
}

// report follows the events of one or more runs and shows them as go test does.
type report struct {
	out     io.Writer
	open    map[string]*pkgState
	results map[testID]string // pass, fail or skip
	elapsed map[testID]float64
	reasons map[testID]string // why a test was skipped
	lines   []string          // go test's line of each package, as they ended
	bad     bool
}

func newReport(out io.Writer) *report {
	return &report{
		out: out, open: map[string]*pkgState{}, results: map[testID]string{},
		elapsed: map[testID]float64{}, reasons: map[testID]string{},
	}
}

// read consumes the output of one `go test -json`. Lines that are no events,
// such as those of a tool that failed, are shown as they are.
func (r *report) read(in io.Reader) error {
	lines := bufio.NewReader(in)
	for {
		line, err := lines.ReadBytes('\n')
		if len(line) > 0 {
			var e event
			if json.Unmarshal(line, &e) != nil || e.Action == "" {
				fmt.Fprint(r.out, string(line))
			} else {
				r.add(e)
			}
		}
		if errors.Is(err, io.EOF) {
			r.abandon()
			return nil
		}
		if err != nil {
			return fmt.Errorf("read the test output: %w", err)
		}
	}
}

func (r *report) add(e event) {
	switch e.Action {
	case "build-output":
		fmt.Fprint(r.out, e.Output)
	case "output":
		r.keep(e)
	case "pass", "fail", "skip":
		if e.Test == "" {
			r.endPackage(e)
		} else {
			r.endTest(e)
		}
	}
}

func (r *report) state(pkg string) *pkgState {
	s := r.open[pkg]
	if s == nil {
		s = &pkgState{passed: map[string]bool{}}
		r.open[pkg] = s
	}
	return s
}

func (r *report) keep(e event) {
	s := r.state(e.Package)
	if isPackageLine(e) {
		r.lines = append(r.lines, e.Output)
		s.output = append(s.output, e) // whatever the limit: it is the result
		return
	}
	if s.bytes+len(e.Output) > maxOutputBytes {
		s.truncated = true
		return
	}
	s.bytes += len(e.Output)
	s.output = append(s.output, e)
}

func (r *report) endTest(e event) {
	id := testID{e.Package, e.Test}
	r.results[id], r.elapsed[id] = e.Action, e.Elapsed
	s := r.state(e.Package)
	if e.Action == "skip" {
		r.reasons[id] = skipReason(s.output, e.Test)
	}
	if e.Action == "fail" {
		return
	}
	s.passed[e.Test] = true
	if strings.Contains(e.Test, "/") {
		return // dropped with its parent, or shown if the package fails otherwise
	}
	s.output = slices.DeleteFunc(s.output, func(o event) bool {
		gone := o.Test == e.Test || strings.HasPrefix(o.Test, e.Test+"/")
		if gone {
			s.bytes -= len(o.Output)
		}
		return gone
	})
}

func (r *report) endPackage(e event) {
	s := r.state(e.Package)
	delete(r.open, e.Package)
	if e.Action == "fail" {
		r.bad = true
		r.show(s)
		return
	}
	for _, o := range s.output {
		if isPackageLine(o) {
			fmt.Fprint(r.out, o.Output)
		}
	}
}

// abandon shows what is known of packages that never ended: go test was killed.
func (r *report) abandon() {
	pkgs := make([]string, 0, len(r.open))
	for pkg := range r.open {
		pkgs = append(pkgs, pkg)
	}
	slices.Sort(pkgs)
	for _, pkg := range pkgs {
		r.bad = true
		r.show(r.open[pkg])
		line := "FAIL\t" + pkg + " [did not end]\n"
		fmt.Fprint(r.out, line)
		r.lines = append(r.lines, line)
		delete(r.open, pkg)
	}
}

// show prints a failed package's output, without the progress of its tests and
// what passed.
func (r *report) show(s *pkgState) {
	if s.truncated {
		fmt.Fprintf(r.out, "(output beyond the first %d MiB is left out)\n", maxOutputBytes>>20)
	}
	for _, o := range s.output {
		if o.Test != "" && (s.passed[o.Test] || strings.HasPrefix(o.Output, "=== ")) {
			continue
		}
		fmt.Fprint(r.out, o.Output)
	}
}

// isPackageLine recognizes go test's result of a package.
func isPackageLine(e event) bool {
	return e.Test == "" && (strings.HasPrefix(e.Output, "ok  \t") || strings.HasPrefix(e.Output, "FAIL\t"))
}

// skipReason is the text that a skipped test gave, from its own output.
func skipReason(output []event, test string) string {
	var said []string
	for _, o := range output {
		text := strings.TrimSpace(o.Output)
		if o.Test == test && text != "" && !strings.HasPrefix(text, "=== ") && !strings.HasPrefix(text, "--- ") {
			said = append(said, text)
		}
	}
	return strings.Join(said, " ")
}

func (r *report) failed() bool { return r.bad }

// summary prints the slowest tests and those that proved nothing. It returns
// whether every test ran that should have.
func (r *report) summary(slowest int, required []testID) bool {
	r.printSlowest(slowest)
	clean := true
	var skipped []testID
	for id, result := range r.results {
		if result == "skip" {
			skipped = append(skipped, id)
		}
	}
	slices.SortFunc(skipped, byName)
	if len(skipped) > 0 {
		clean = false
		fmt.Fprintln(r.out, "\nSkipped:")
		for _, id := range skipped {
			fmt.Fprintf(r.out, "  %s: %s\n", id, cmp.Or(r.reasons[id], "no reason given"))
		}
	}
	var absent []testID
	for _, id := range required {
		if result := r.results[id]; result != "pass" && result != "fail" {
			absent = append(absent, id)
		}
	}
	if len(absent) > 0 {
		clean = false
		fmt.Fprintln(r.out, "\nRequired and not run:")
		for _, id := range absent {
			fmt.Fprintf(r.out, "  %s: %s\n", id, cmp.Or(r.results[id], "did not run"))
		}
	}
	return clean
}

func (r *report) printSlowest(n int) {
	var ids []testID
	for id := range r.elapsed {
		if !strings.Contains(id.test, "/") && r.elapsed[id] > 0 {
			ids = append(ids, id)
		}
	}
	slices.SortFunc(ids, func(a, b testID) int {
		return cmp.Or(cmp.Compare(r.elapsed[b], r.elapsed[a]), byName(a, b))
	})
	if len(ids) > n {
		ids = ids[:n]
	}
	if len(ids) == 0 {
		return
	}
	fmt.Fprintln(r.out, "\nSlowest tests:")
	for _, id := range ids {
		fmt.Fprintf(r.out, "  %8.2fs  %s\n", r.elapsed[id], id)
	}
}

func byName(a, b testID) int {
	return cmp.Or(strings.Compare(a.pkg, b.pkg), strings.Compare(a.test, b.test))
}

// packageLines prints go test's own result of each package again, so that the
// end of a long output says what ran: failures last.
func (r *report) packageLines() {
	fmt.Fprintln(r.out)
	for _, prefix := range []string{"ok", "FAIL"} {
		for _, line := range r.lines {
			if strings.HasPrefix(line, prefix) {
				fmt.Fprint(r.out, line)
			}
		}
	}
}

// readRequired reads 'package Test' lines; empty lines and comments are passed
// over. No file, no required tests.
func readRequired(path string) ([]testID, error) {
	if path == "" {
		return nil, nil
	}
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("required tests: %w", err)
	}
	var ids []testID
	for i, line := range strings.Split(string(b), "\n") {
		fields := strings.Fields(line)
		if len(fields) == 0 || strings.HasPrefix(fields[0], "#") {
			continue
		}
		if len(fields) != 2 {
			return nil, fmt.Errorf("required tests: %s:%d: %q: write a package and a test", path, i+1, line)
		}
		ids = append(ids, testID{fields[0], fields[1]})
	}
	return ids, nil
}
