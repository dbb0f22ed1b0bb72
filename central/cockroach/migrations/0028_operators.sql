-- Who may call. Only the SHA-256 of a token is kept.
CREATE TABLE IF NOT EXISTS operators (
	id TEXT NOT NULL PRIMARY KEY,
	login TEXT NOT NULL,
	role TEXT NOT NULL CHECK (role IN ('admin', 'operator', 'auditor')),
	token_hash BYTEA NOT NULL,
	revoked BOOL NOT NULL,
	version INT8 NOT NULL,
	created_at INT8 NOT NULL
)
