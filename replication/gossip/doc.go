// Package gossip tells the nodes of a region about each other: who is there, at
// which addresses, and who stopped answering. It owns the encrypted membership
// protocol (memberlist) and nothing that follows from it: who leads and who
// votes is Raft's to decide, and being listed here gives nobody a right.
//
// What a node says about itself is small (at most 512 bytes together) and is
// believed because everybody who can say anything holds the region's key. A node
// of another region that holds the same key by mistake is left out and counted.
package gossip
