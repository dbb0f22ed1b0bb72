// Package attr reads and writes RADIUS attributes.
//
// It owns the layout of attributes on the wire (RFC 2865 §5, RFC 2866 §5, RFC 2869 §5, RFC 3162), their numbers, the hiding of
// User-Password and the check of CHAP responses. A [List] is a view of bytes that somebody else owns: reading it copies and allocates
// nothing, and what it returns is valid as long as those bytes are. A [Builder] appends to a buffer and remembers its first fault.
//
// It does not own packets, authenticators, secrets or policy (package radius does), nor what a vendor's attributes mean (package vendor).
package attr
