// Package seal encrypts and authenticates small records at rest with
// AES-256-GCM under a ring of keys: the newest key seals, every key of the ring
// opens. It owns the record format and the key file; it does not own where keys
// come from, who may read the file, or what a record means.
//
// A sealed record is
//
//	format (1 byte, 0x01) | key id (4 bytes, big endian) | nonce (12 bytes) | ciphertext | tag (16 bytes)
//
// The header is authenticated together with the caller's additional data, which
// is not stored: pass what binds the record to its place (index, file name), so
// that two records cannot be exchanged.
//
// Nonces are random (NIST SP 800-38D, section 8.2.2): with 96 random bits, one
// key may seal 2^32 records before the chance of a repeat exceeds 2^-32. A ring
// therefore counts what its newest key has sealed since it was loaded, and
// rotation is by adding a key.
package seal
