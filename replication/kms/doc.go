// Package kms wraps data keys by key-encryption keys that are kept elsewhere: in a
// key file of their own (Keyring), or by a program (Command) or a server on a Unix
// socket (Socket) that speaks to a key management service or a hardware module.
//
// It owns the protocol to those two and its limits. It does not own the key file
// with the wrapped keys (seal), nor any key: what is unwrapped goes to the caller
// and nowhere else, and no error or log line holds a key or what a program wrote.
//
// # Protocol, version 1
//
// One request, one answer, each a JSON object of at most 16 KiB. A program gets the
// request on its standard input and answers on its standard output with status 0. A
// server gets it as POST /v1/wrap or /v1/unwrap and answers with status 200.
//
//	{"version":1,"op":"wrap","context":"meridian/data-key/2","plaintext":"<base64>"}
//	{"key":"<name of the key-encryption key>","ciphertext":"<base64>"}
//
//	{"version":1,"op":"unwrap","context":"meridian/data-key/2","key":"<name>","ciphertext":"<base64>"}
//	{"plaintext":"<base64>"}
//
// Context is to be authenticated with the key (an encryption context), so that a
// wrapped key cannot be passed off as another. A refusal is
//
//	{"error":"denied"}
//
// with one of the words denied, unknown_key, unavailable or corrupt; anything else is
// told as it stands only if it is such a word. An answer is awaited for Config.Timeout
// and the request is not repeated: who needs the key (a start, a rotation) fails with
// what to look at, and a node that runs goes on with the keys that it has.
package kms
