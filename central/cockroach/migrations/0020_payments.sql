-- Money received. Append-only.
CREATE TABLE IF NOT EXISTS payments (
	id TEXT NOT NULL PRIMARY KEY,
	key TEXT NOT NULL,
	request_hash BYTEA NOT NULL,
	account TEXT NOT NULL,
	bucket TEXT NOT NULL,
	amount INT8 NOT NULL CHECK (amount > 0),
	currency TEXT NOT NULL,
	method TEXT NOT NULL,
	reference TEXT NOT NULL,
	at_us INT8 NOT NULL
)
