CREATE INDEX IF NOT EXISTS buckets_account ON buckets (account, id)
