-- Every change by a person. Append-only.
CREATE TABLE IF NOT EXISTS audit_log (
	id TEXT NOT NULL PRIMARY KEY,
	at_us INT8 NOT NULL,
	operator TEXT NOT NULL,
	origin TEXT NOT NULL,
	action TEXT NOT NULL,
	object TEXT NOT NULL,
	before TEXT NOT NULL,
	after TEXT NOT NULL
)
