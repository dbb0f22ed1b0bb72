// Package radtest is the other end of the wire for demos, benches and tests: a client that keeps many requests in flight and a NAS that logs
// subscribers in, counts what they are said to use, repeats itself, and obeys Disconnect.
//
// It owns the simulated NAS's habits: retransmission, fail-over, Acct-Delay-Time, Gigawords, the echo of Class, limits honoured to the octet.
// It does not own time or traffic: the caller says when an event happened and what the counters read, so that a day can pass in a second. Every
// reply is verified; nothing unverified counts as an answer.
package radtest
