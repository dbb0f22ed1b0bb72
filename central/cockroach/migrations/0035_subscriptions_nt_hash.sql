-- The password's NT hash for MS-CHAPv2, sealed with the home's key. NULL: the
-- subscription cannot use it until its password is set again.
ALTER TABLE subscriptions ADD COLUMN IF NOT EXISTS nt_hash BYTEA
