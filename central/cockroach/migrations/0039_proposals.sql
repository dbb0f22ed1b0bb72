-- What one operator proposes and another one decides. outcome is '' while it waits.
CREATE TABLE IF NOT EXISTS proposals (
	id TEXT NOT NULL PRIMARY KEY,
	action TEXT NOT NULL,
	body BYTEA NOT NULL,
	says TEXT NOT NULL,
	reason TEXT NOT NULL,
	proposer TEXT NOT NULL,
	proposed_by TEXT NOT NULL,
	proposed_at INT8 NOT NULL,
	decider TEXT NOT NULL,
	decided_by TEXT NOT NULL,
	decided_at INT8 NOT NULL,
	outcome TEXT NOT NULL
)
