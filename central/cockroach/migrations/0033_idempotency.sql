-- Answers of requests, by the caller's idempotency key.
CREATE TABLE IF NOT EXISTS idempotency (
	operator TEXT NOT NULL,
	key TEXT NOT NULL,
	request_hash BYTEA NOT NULL,
	status INT4 NOT NULL,
	body BYTEA NOT NULL,
	at_us INT8 NOT NULL,
	PRIMARY KEY (operator, key)
)
