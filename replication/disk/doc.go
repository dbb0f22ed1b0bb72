// Package disk is the layer between a node and the files that it must keep: the
// raft log, its metadata and mark, the snapshots and the ledger segments. Every
// change of such a file goes through a Layer, which says whether the disk can
// still be trusted and why not.
//
// A failed write or sync is final for everything that is open: after a failed
// fsync the kernel may have dropped the pages and call the next one a success, so
// nothing is tried again on the same file. The Layer refuses all further changes
// until its owner has closed the files, has found the disk to work (Probe), has
// opened them anew through Settle, and has called Reset.
//
// It owns no file and no format, and knows no billing.
package disk
