package sheet

import "meridian/internal/tariff"

// ParseQuantity reads counts of a unit as the language writes them: 500MB, 65s, 3,
// 12.50.
func ParseQuantity(s string, u tariff.Unit) (int64, error) {
	n, err := quantity(s, u)
	if err != nil {
		return 0, err
	}
	return n, nil
}

// QuantityRemedy says how quantities of a unit are written.
func QuantityRemedy(u tariff.Unit) string { return measured(u).remedy }
