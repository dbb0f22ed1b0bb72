// Package coa changes and ends running sessions: Disconnect-Request and CoA-Request of RFC 5176.
//
// [Client] is the side of the AAA server: it sends a request to a NAS, repeats it with the same Identifier and Authenticator, and tells ACK, NAK
// with its Error-Cause, or silence. [Server] is the side of a NAS, as the simulator needs it. The package does not own which session is to
// be cut nor when to try again: a request's outcome goes to the caller, once.
package coa
