CREATE UNIQUE INDEX IF NOT EXISTS nas_address ON nas (region, address)
