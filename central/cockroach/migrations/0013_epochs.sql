-- One row for each epoch of a region, with its cursor. It is apart from regions
-- because it moves with every batch, while regions is read by every payment.
CREATE TABLE IF NOT EXISTS epochs (
	region TEXT NOT NULL,
	epoch INT8 NOT NULL,
	prev_hash BYTEA NOT NULL,
	seq INT8 NOT NULL,
	hash BYTEA NOT NULL,
	raft_term INT8 NOT NULL,
	started_at INT8 NOT NULL,
	PRIMARY KEY (region, epoch)
)
