// Testrun runs `go test` over groups of packages and reports on the run as a
// whole: the output that go test itself would show, then the slowest tests, the
// tests that were skipped, and the required tests that did not pass, then go
// test's line for each package once more.
//
//	testrun [-required FILE] [-slowest N] -- FLAGS AND PACKAGES [-- MORE]...
//
// Each group after a `--` is one run of `go test -json`, in order; a group that
// fails does not stop the next. A test that skips itself proves nothing, so with
// CI=true in the environment a skipped test, and a required one that did not
// run, fails the run.
//
// It does not choose packages or flags, set up the machine, or rerun anything.
package main
