-- Epochs after a region's first: the ledger that each was given to, and how far the
-- region's feed has what it begins with.
CREATE TABLE IF NOT EXISTS epoch_openings (
	region TEXT NOT NULL,
	epoch INT8 NOT NULL,
	heir_epoch INT8 NOT NULL,
	heir_seq INT8 NOT NULL,
	heir_hash BYTEA NOT NULL,
	opened_at INT8 NOT NULL,
	after_id TEXT NOT NULL,
	services INT8 NOT NULL,
	ready_at INT8 NOT NULL,
	PRIMARY KEY (region, epoch)
)
