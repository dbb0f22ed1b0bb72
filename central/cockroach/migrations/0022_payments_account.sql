CREATE INDEX IF NOT EXISTS payments_account ON payments (account, at_us, id)
