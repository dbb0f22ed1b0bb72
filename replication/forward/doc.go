// Package forward passes commands from the followers of a region to its leader
// in batches over mutual TLS. It owns the stream, its limits and the question
// whether a command can have reached the leader; it does not own what a command
// means, who leads, or trying again.
//
// A batch that certainly never left is ErrNotSent; one whose fate is open is
// ErrOutcomeUnknown. Commands carry ids and are applied once however often they
// are proposed, so the caller simply proposes them again, to whoever leads then.
//
// A leader that has stopped without closing its connections is noticed by
// probes: within about two seconds everything that waits for it fails.
package forward
