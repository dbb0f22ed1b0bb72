-- offering, barred and terminated follow what the home has reported. The
-- password is sealed with the home's key.
CREATE TABLE IF NOT EXISTS subscriptions (
	id TEXT NOT NULL PRIMARY KEY,
	account TEXT NOT NULL REFERENCES accounts (id),
	home TEXT NOT NULL,
	login TEXT NOT NULL,
	password BYTEA NOT NULL,
	offering TEXT NOT NULL,
	barred BOOL NOT NULL,
	terminated BOOL NOT NULL,
	version INT8 NOT NULL,
	created_at INT8 NOT NULL
)
