// Package alerts holds the alert rules for Prometheus and their tests; it has no
// code but the tests that check them.
//
// It owns which conditions wake a person, and that each has a page in
// ops/runbooks. It does not own the alarms that processes raise about themselves:
// those are alerts by their own name here.
package alerts
