// Package accounts sees SQL and the edge.
package accounts

import (
	"database/sql"

	"meridian/central/cockroach"
	"meridian/edge/fsm"
)
