CREATE UNIQUE INDEX IF NOT EXISTS operators_token ON operators (token_hash)
