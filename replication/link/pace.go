package link

import (
	"time"
)

// batchBytes is the most bytes of a batch: on a line of a stated rate no more than it
// carries in a quarter of the silence after which a stream is given up, since a
// heartbeat waits for the batch before it.
func (c *ClientConfig) batchBytes() int {
	if c.LineRate == 0 {
		return c.MaxBytes
	}
	quarter := float64(c.LineRate) * (c.Silence / 4).Seconds()
	return max(min(c.MaxBytes, int(quarter)), 1)
}

// pace waits until the line has carried the batch, as if nothing had been compressed;
// false when the context ended.
func (s *clientSession) pace(b Batch) bool {
	if s.c.cfg.LineRate == 0 {
		return true
	}
	bytes := 0
	for _, e := range b.Entries {
		bytes += len(e)
	}
	t := time.NewTimer(time.Duration(float64(bytes) / float64(s.c.cfg.LineRate) * float64(time.Second)))
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-s.ctx.Done():
		return false
	}
}
