-- Heads that nodes signed and whose entries have not come, or contradict them.
CREATE TABLE IF NOT EXISTS heads_pending (
	region TEXT NOT NULL,
	epoch INT8 NOT NULL,
	node TEXT NOT NULL,
	log_index INT8 NOT NULL,
	seq INT8 NOT NULL,
	raw BYTEA NOT NULL,
	received_at INT8 NOT NULL,
	PRIMARY KEY (region, epoch, node, log_index)
)
