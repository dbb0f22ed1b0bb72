-- Monotonic totals of each (bucket, region, epoch): granted, taken in, spent,
-- returned, borrowed, repaid. account and unit repeat the bucket's, which never
-- change, so that settling a batch reads no bucket.
CREATE TABLE IF NOT EXISTS leases (
	bucket TEXT NOT NULL,
	region TEXT NOT NULL,
	epoch INT8 NOT NULL,
	account TEXT NOT NULL,
	unit TEXT NOT NULL,
	granted INT8 NOT NULL CHECK (granted >= 0),
	taken INT8 NOT NULL CHECK (taken >= 0),
	spent INT8 NOT NULL CHECK (spent >= 0),
	returned INT8 NOT NULL CHECK (returned >= 0),
	borrowed INT8 NOT NULL CHECK (borrowed >= 0),
	repaid INT8 NOT NULL CHECK (repaid >= 0),
	wanted INT8 NOT NULL,
	reclaim_to INT8 NOT NULL,
	feed_version INT8 NOT NULL,
	PRIMARY KEY (bucket, region, epoch)
)
