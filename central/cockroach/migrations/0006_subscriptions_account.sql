CREATE INDEX IF NOT EXISTS subscriptions_account ON subscriptions (account, id)
