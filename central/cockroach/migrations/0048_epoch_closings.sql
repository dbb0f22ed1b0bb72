-- Epochs that have ended, and who may give back what they had.
CREATE TABLE IF NOT EXISTS epoch_closings (
	region TEXT NOT NULL,
	epoch INT8 NOT NULL,
	seq INT8 NOT NULL,
	closed_at INT8 NOT NULL,
	reason TEXT NOT NULL,
	released_at INT8 NOT NULL,
	release_reason TEXT NOT NULL,
	PRIMARY KEY (region, epoch)
)
