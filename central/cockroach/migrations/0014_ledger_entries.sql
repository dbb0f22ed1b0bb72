-- Every region's ledger, for ever. raw is what was chained; the other columns
-- are read from it for queries. Append-only.
CREATE TABLE IF NOT EXISTS ledger_entries (
	region TEXT NOT NULL,
	epoch INT8 NOT NULL,
	seq INT8 NOT NULL,
	raw BYTEA NOT NULL,
	hash BYTEA NOT NULL,
	kind INT2 NOT NULL,
	account TEXT NOT NULL,
	subscription TEXT NOT NULL,
	bucket TEXT NOT NULL,
	unit TEXT NOT NULL,
	amount INT8 NOT NULL,
	at_us INT8 NOT NULL,
	session TEXT NOT NULL,
	cut INT8 NOT NULL,
	ref TEXT NOT NULL,
	suspense BOOL NOT NULL,
	PRIMARY KEY (region, epoch, seq)
)
