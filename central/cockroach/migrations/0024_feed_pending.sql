-- Committed changes without a number. The key is the order of numbering: what
-- others refer to first (rank), an entity's versions in order.
CREATE TABLE IF NOT EXISTS feed_pending (
	region TEXT NOT NULL,
	rank INT2 NOT NULL,
	kind TEXT NOT NULL,
	entity TEXT NOT NULL,
	version INT8 NOT NULL,
	body BYTEA NOT NULL,
	PRIMARY KEY (region, rank, kind, entity, version)
)
