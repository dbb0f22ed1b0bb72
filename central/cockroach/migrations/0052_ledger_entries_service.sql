-- Fees, one-time charges, fees owed, credits and allowances, by subscription: what a new epoch begins with.
CREATE INDEX IF NOT EXISTS ledger_entries_service ON ledger_entries (subscription, region, epoch, seq) WHERE kind IN (4, 14, 18, 19, 20)
