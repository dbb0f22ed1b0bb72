// Package seal encrypts and authenticates small records at rest with
// AES-256-GCM under a ring of keys: one key seals, every key of the ring opens. It
// owns the record format, the key file and how keys change while records are made; it
// does not own who wraps the file's keys (Keeper), who may read the file, or what a
// record means.
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
// therefore counts what its sealing key has sealed since it began to. Rotation is by
// adding a key: all who open learn it first (Learn), then who seals uses it (SealWith).
package seal
