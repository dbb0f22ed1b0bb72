-- Sums of postings. Accounts that everybody posts to are spread over slots; the
-- balance is the sum of an account's slots, an exact decimal: it has no bound.
CREATE TABLE IF NOT EXISTS ledger_balances (
	account TEXT NOT NULL,
	unit TEXT NOT NULL,
	slot INT2 NOT NULL,
	amount DECIMAL(38,0) NOT NULL,
	PRIMARY KEY (account, unit, slot)
)
