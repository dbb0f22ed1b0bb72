// Package acceptance tests the product end to end: real processes of the built
// binary, a real database, real Raft on disk, real RADIUS packets.
//
// It owns no code of the product and imports none of its commands: what it needs
// it does as a person would, by command lines, files and APIs. Every test has
// addresses of its own on the loopback network, so that it can run beside a demo.
package acceptance
