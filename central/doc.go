// Package central is the settlement centre: it owns the catalog, the customers
// and the books, feeds the regions and takes their ledgers in.
//
// The package itself only composes: Services wires the domain packages over a
// backend, Server adds the HTTP API, the link and the sequencer. It does not own
// a rule, a table or a protocol; those are in the packages below it.
package central
