-- Usage records that were priced again, once by each version. Append-only.
CREATE TABLE IF NOT EXISTS corrections (
	account TEXT NOT NULL,
	region TEXT NOT NULL,
	epoch INT8 NOT NULL,
	seq INT8 NOT NULL,
	version INT8 NOT NULL,
	offering TEXT NOT NULL,
	subscription TEXT NOT NULL,
	nas TEXT NOT NULL,
	session_id TEXT NOT NULL,
	session_start INT8 NOT NULL,
	run TEXT NOT NULL,
	at_us INT8 NOT NULL,
	unit TEXT NOT NULL,
	price INT8 NOT NULL,
	refunds TEXT NOT NULL,
	refunded INT8 NOT NULL,
	owed INT8 NOT NULL,
	absorbed INT8 NOT NULL,
	waived INT8 NOT NULL,
	up_to INT8 NOT NULL,
	PRIMARY KEY (account, region, epoch, seq, version)
)
