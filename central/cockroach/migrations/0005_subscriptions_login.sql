CREATE UNIQUE INDEX IF NOT EXISTS subscriptions_login ON subscriptions (login)
