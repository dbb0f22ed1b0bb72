-- Numbered changes, dense in number for each region. Append-only.
CREATE TABLE IF NOT EXISTS feed_rows (
	region TEXT NOT NULL,
	number INT8 NOT NULL,
	kind TEXT NOT NULL,
	entity TEXT NOT NULL,
	version INT8 NOT NULL,
	body BYTEA NOT NULL,
	PRIMARY KEY (region, number)
)
