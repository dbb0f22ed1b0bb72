CREATE UNIQUE INDEX IF NOT EXISTS feed_rows_entity ON feed_rows (region, kind, entity, version)
