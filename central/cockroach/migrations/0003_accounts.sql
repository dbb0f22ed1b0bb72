CREATE TABLE IF NOT EXISTS accounts (
	id TEXT NOT NULL PRIMARY KEY,
	customer TEXT NOT NULL REFERENCES customers (id),
	currency TEXT NOT NULL,
	created_at INT8 NOT NULL
)
