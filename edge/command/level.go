package command

// A feature level is what all voters of a region must be able to do before it may
// stand in the log or in a snapshot. The leader raises the region's level by a
// SetLevel once every voter says that it can; a node that meets a higher level than
// its own stops. What needs a level above FirstLevel is listed in LevelOf.
const (
	FirstLevel = 1 // regions are founded with it
	Level      = 1 // the highest that this version can do
)

// LevelOf is the level that a region must have before the command is proposed.
func LevelOf(Command) uint64 { return FirstLevel }
