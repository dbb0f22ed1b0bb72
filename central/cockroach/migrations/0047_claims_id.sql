CREATE INDEX IF NOT EXISTS claims_id ON claims (id)
