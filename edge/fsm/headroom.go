package fsm

import (
	"math/big"
	"math/bits"

	"meridian/edge/balance"
	"meridian/internal/journal"
)

// Headroom is what may still be held or charged here in one unit: the sum of what
// is available in all leases, expired ones included until they are returned.
type Headroom struct {
	Unit   journal.Unit `json:"unit"`
	Amount *big.Int     `json:"amount"` // micro-units for money, else bytes, seconds or events
}

// Headroom lists the units of which there are leases, by name. It reads sums that
// are kept from command to command and walks no bucket.
func (s *State) Headroom() []Headroom {
	var out []Headroom
	for _, unit := range sortedKeys(s.headroom) {
		out = append(out, Headroom{unit, s.headroom[unit].big()})
	}
	return out
}

// touch remembers a bucket that is about to be changed, for countTouched.
func (s *State) touch(b *balance.Bucket) { s.touched = append(s.touched, b) }

// countTouched brings the sums up to date at the end of a command. A bucket that was
// touched several times adds nothing after the first.
func (s *State) countTouched() {
	for i, b := range s.touched {
		s.count(b)
		s.touched[i] = nil
	}
	s.touched = s.touched[:0]
}

// count brings a bucket's part of the sums up to date.
func (s *State) count(b *balance.Bucket) {
	now := b.Available()
	if now == b.Counted && now != 0 {
		return
	}
	sum := s.headroom[b.Unit]
	sum.add(now)
	sum.subtract(b.Counted)
	s.headroom[b.Unit] = sum
	b.Counted = now
}

// total128 is a sum of many amounts: a million of the greatest are no overflow.
type total128 struct{ high, low uint64 } // two's complement

func (t *total128) add(n int64) {
	low, carry := bits.Add64(t.low, uint64(n), 0)
	t.high, _ = bits.Add64(t.high, uint64(n>>63), carry)
	t.low = low
}

func (t *total128) subtract(n int64) {
	low, borrow := bits.Sub64(t.low, uint64(n), 0)
	t.high, _ = bits.Sub64(t.high, uint64(n>>63), borrow)
	t.low = low
}

func (t total128) big() *big.Int {
	n := new(big.Int).Lsh(big.NewInt(int64(t.high)), 64)
	return n.Add(n, new(big.Int).SetUint64(t.low))
}
