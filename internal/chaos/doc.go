// Package chaos breaks a running system on purpose and then counts: real processes
// of the built binary on network namespaces, a real database, simulated NAS that
// repeat themselves as NAS do, and faults that a seed chooses, one at a time and
// together. At quiet points and at the end `meridian verify` compares everything
// with a witness of what was acknowledged, and the histories of what clients did
// and saw must be linearizable (internal/sim/history).
//
// It owns no code of the product. All of it runs below an init process of its own,
// in namespaces of its own for mounts, network and processes: whatever happens to
// the test, the kernel takes everything away with that process. It needs root;
// without it nothing runs and the required tests are reported as not run.
//
// Addresses are the demo's, which the product takes for the machine's own; here
// each belongs to a namespace, and route_localnet lets them be routed between those.
//
// The processes are of a build with the tag chaos, which alone knows how to put a
// node's clock wrong and to make its disk fail or hang.
package chaos
