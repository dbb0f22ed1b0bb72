package alarm

// Rise notices that counters rose, for alarms about events: a refusal, a failed
// write. The zero value is ready; it is used by one goroutine.
type Rise struct {
	seen map[string]uint64
}

// By returns how much the counter of that name rose since it was last asked for.
// What a counter had when it was first asked for counts as risen: it rose since
// the process began.
func (r *Rise) By(name string, value uint64) uint64 {
	if r.seen == nil {
		r.seen = map[string]uint64{}
	}
	before := r.seen[name]
	r.seen[name] = value
	if value < before { // the part was built anew
		return value
	}
	return value - before
}
