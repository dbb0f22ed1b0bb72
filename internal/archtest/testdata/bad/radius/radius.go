// Package radius knows too much.
package radius

import (
	"meridian/edge/command"
	"meridian/internal/money"
)
