-- Where a region's next order is: rows before it are not left out for ones behind it.
CREATE INDEX IF NOT EXISTS feed_rows_orders ON feed_rows (region, number) WHERE kind = 'order'
