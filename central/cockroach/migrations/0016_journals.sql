-- Balanced transactions of the books. Append-only.
CREATE TABLE IF NOT EXISTS journals (
	source TEXT NOT NULL PRIMARY KEY,
	at_us INT8 NOT NULL,
	kind TEXT NOT NULL
)
