-- Fees, one-time charges and fees owed, by account: what a new epoch begins with.
CREATE INDEX IF NOT EXISTS ledger_entries_fees ON ledger_entries (account, ref) WHERE kind IN (4, 18, 20)
