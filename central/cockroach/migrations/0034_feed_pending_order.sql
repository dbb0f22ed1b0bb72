-- The order of numbering: what others refer to first (rank), then by version, so
-- that orders go in the order they were placed. It takes the place of the key's.
CREATE INDEX IF NOT EXISTS feed_pending_order ON feed_pending (region, rank, kind, version, entity)
