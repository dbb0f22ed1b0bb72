// Package aaa answers RADIUS for a region: an Access-Request becomes a decision
// or a command, an Accounting-Request a command, a command's result a reply, and
// an effect of the state machine a CoA- or Disconnect-Request to a NAS.
//
// It owns the translation between attributes and commands, the words of a
// rejection, the snapshot of the NAS registry with its opened secrets, the cache
// of opened passwords (clear text is in memory only) and the sending of effects.
// It does not own the wire and its duplicates (package radius), what a
// subscriber may do or owes (edge/fsm), nor when a command is durable: a [Log]
// says that by calling back.
package aaa
