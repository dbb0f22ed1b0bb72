CREATE TABLE IF NOT EXISTS buckets (
	id TEXT NOT NULL PRIMARY KEY,
	account TEXT NOT NULL,
	unit TEXT NOT NULL,
	home TEXT NOT NULL,
	priority INT4 NOT NULL,
	expires_at INT8 NOT NULL,
	allowance INT8 NOT NULL CHECK (allowance >= 0),
	credited INT8 NOT NULL CHECK (credited >= 0),
	debited INT8 NOT NULL CHECK (debited >= 0)
)
