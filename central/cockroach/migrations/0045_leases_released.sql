-- What an ended epoch's lease gave back out of suspense.
ALTER TABLE leases ADD COLUMN IF NOT EXISTS released INT8 NOT NULL DEFAULT 0
