-- The NAS registry. The secret is sealed with the region's key.
CREATE TABLE IF NOT EXISTS nas (
	id TEXT NOT NULL PRIMARY KEY,
	region TEXT NOT NULL,
	address TEXT NOT NULL,
	vendor TEXT NOT NULL,
	secret BYTEA NOT NULL,
	coa TEXT NOT NULL,
	version INT8 NOT NULL
)
