-- Entries that a person must look at.
CREATE TABLE IF NOT EXISTS reviews (
	region TEXT NOT NULL,
	epoch INT8 NOT NULL,
	seq INT8 NOT NULL,
	at_us INT8 NOT NULL,
	reason TEXT NOT NULL,
	PRIMARY KEY (region, epoch, seq)
)
