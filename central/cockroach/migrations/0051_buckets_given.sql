-- Buckets made at a region for an allowance: they end with the epoch that made them.
ALTER TABLE buckets ADD COLUMN IF NOT EXISTS given BOOL NOT NULL DEFAULT FALSE
