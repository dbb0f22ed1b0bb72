-- Signed heads that match the ledger: of each node and hour of region time the
-- newest, kept for ever.
CREATE TABLE IF NOT EXISTS heads_checked (
	region TEXT NOT NULL,
	epoch INT8 NOT NULL,
	node TEXT NOT NULL,
	hour INT8 NOT NULL,
	log_index INT8 NOT NULL,
	raw BYTEA NOT NULL,
	received_at INT8 NOT NULL,
	PRIMARY KEY (region, epoch, node, hour)
)
