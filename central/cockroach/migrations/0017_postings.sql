-- The sides of a journal: debit positive, credit negative. Append-only.
CREATE TABLE IF NOT EXISTS postings (
	source TEXT NOT NULL,
	n INT2 NOT NULL,
	account TEXT NOT NULL,
	unit TEXT NOT NULL,
	amount INT8 NOT NULL,
	PRIMARY KEY (source, n)
)
