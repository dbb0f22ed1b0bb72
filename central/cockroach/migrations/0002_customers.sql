CREATE TABLE IF NOT EXISTS customers (
	id TEXT NOT NULL PRIMARY KEY,
	kind TEXT NOT NULL CHECK (kind IN ('individual', 'company')),
	name TEXT NOT NULL,
	created_at INT8 NOT NULL
)
