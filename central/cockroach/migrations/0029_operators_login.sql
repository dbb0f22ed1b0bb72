CREATE UNIQUE INDEX IF NOT EXISTS operators_login ON operators (login)
