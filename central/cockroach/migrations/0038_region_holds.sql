-- Regions of which nothing is taken until a person has looked.
CREATE TABLE IF NOT EXISTS region_holds (
	region TEXT NOT NULL PRIMARY KEY,
	at_us INT8 NOT NULL,
	node TEXT NOT NULL,
	reason TEXT NOT NULL
)
