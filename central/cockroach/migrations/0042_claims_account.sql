CREATE INDEX IF NOT EXISTS claims_account ON claims (account, at_us, id)
