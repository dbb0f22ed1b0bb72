// Package radius is a bounded RADIUS server over UDP: authentication, accounting and Status-Server.
//
// It owns the wire (parsing, authenticators, Message-Authenticator), the choice of the client's secret by source address, duplicate
// detection with a cache of replies, the queue between sockets and handlers, what is shed when there is too much, and the counters of all
// that. RFC 2865, 2866, 2869, 3579, 5080, 5997 and the measures against CVE-2024-3596 are the sources.
//
// It does not own decisions: who is accepted, what a session costs, when an accounting record is durable. A [Handler] decides and answers
// through a [Responder] from any goroutine, at any time later. It knows no subscriber, keeps nothing on disk and speaks no TCP.
//
// Package attr reads and writes attributes, vendor turns a service profile into them, coa sends Disconnect and CoA, radtest is a NAS for tests.
package radius
