CREATE INDEX IF NOT EXISTS audit_log_at ON audit_log (at_us, id)
