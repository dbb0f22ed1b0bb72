CREATE INDEX IF NOT EXISTS proposals_open ON proposals (proposed_at, id) WHERE outcome = ''
