CREATE INDEX IF NOT EXISTS claims_payment ON claims (payment, id)
