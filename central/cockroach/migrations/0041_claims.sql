-- Central debits that could not wait for leased money: owed at once, served from
-- what becomes unleased.
CREATE TABLE IF NOT EXISTS claims (
	bucket TEXT NOT NULL,
	id TEXT NOT NULL,
	account TEXT NOT NULL,
	unit TEXT NOT NULL,
	kind TEXT NOT NULL,
	payment TEXT NOT NULL,
	amount INT8 NOT NULL CHECK (amount > 0),
	served INT8 NOT NULL CHECK (served >= 0 AND served <= amount),
	at_us INT8 NOT NULL,
	reason TEXT NOT NULL,
	PRIMARY KEY (bucket, id)
)
