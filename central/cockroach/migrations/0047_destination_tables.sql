-- Published versions of shared tables of destinations. Append-only.
CREATE TABLE IF NOT EXISTS destination_tables (
	id TEXT NOT NULL,
	version INT4 NOT NULL,
	body TEXT NOT NULL,
	hash BYTEA NOT NULL,
	published_at INT8 NOT NULL,
	PRIMARY KEY (id, version)
)
