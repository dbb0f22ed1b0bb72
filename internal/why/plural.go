package why

// Category is the plural form that a whole number asks for (Unicode CLDR, plural
// rules of cardinals).
type Category uint8

// Categories.
const (
	Zero Category = iota
	One
	Two
	Few
	Many
	Other
	categories
)

// Plural is the category of n ≥ 0 in a language.
func Plural(l Language, n int64) Category {
	if n < 0 {
		n = -n
	}
	ten, hundred := n%10, n%100
	switch l {
	case Russian:
		switch {
		case ten == 1 && hundred != 11:
			return One
		case ten >= 2 && ten <= 4 && (hundred < 12 || hundred > 14):
			return Few
		}
		return Many
	case Arabic:
		switch {
		case n <= 2:
			return Category(n)
		case hundred >= 3 && hundred <= 10:
			return Few
		case hundred >= 11:
			return Many
		}
		return Other
	}
	if n == 1 {
		return One
	}
	return Other
}
