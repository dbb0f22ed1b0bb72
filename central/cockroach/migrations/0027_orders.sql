CREATE TABLE IF NOT EXISTS orders (
	id TEXT NOT NULL PRIMARY KEY,
	subscription TEXT NOT NULL,
	account TEXT NOT NULL,
	region TEXT NOT NULL,
	action TEXT NOT NULL,
	body TEXT NOT NULL,
	placed_at INT8 NOT NULL,
	status TEXT NOT NULL CHECK (status IN ('open', 'executed', 'refused')),
	detail TEXT NOT NULL,
	done_at INT8 NOT NULL
)
