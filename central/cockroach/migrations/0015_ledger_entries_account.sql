CREATE INDEX IF NOT EXISTS ledger_entries_account ON ledger_entries (account, at_us, region, epoch, seq) WHERE account <> ''
