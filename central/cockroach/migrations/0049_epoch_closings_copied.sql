-- Regions were closed once, and by their name only, before they could have a new epoch.
INSERT INTO epoch_closings (region, epoch, seq, closed_at, reason, released_at, release_reason)
	SELECT region, epoch, seq, closed_at, reason, released_at, release_reason FROM region_closings
	ON CONFLICT (region, epoch) DO NOTHING
