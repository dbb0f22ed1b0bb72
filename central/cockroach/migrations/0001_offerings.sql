-- Published versions of offerings. Append-only.
CREATE TABLE IF NOT EXISTS offerings (
	id TEXT NOT NULL,
	version INT4 NOT NULL,
	valid_from INT8 NOT NULL,
	body TEXT NOT NULL,
	hash BYTEA NOT NULL,
	published_at INT8 NOT NULL,
	PRIMARY KEY (id, version)
)
