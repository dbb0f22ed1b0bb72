CREATE UNIQUE INDEX IF NOT EXISTS payments_key ON payments (key)
