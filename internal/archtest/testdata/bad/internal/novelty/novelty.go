// Package novelty has no line in the table.
package novelty

import "meridian/internal/money"
