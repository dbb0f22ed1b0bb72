// Package aaa reaches over the wall.
package aaa

import (
	"github.com/jackc/pgx/v5"
	"github.com/prometheus/client_golang/prometheus"

	"meridian/central/accounts"
	"meridian/replication/link"
)

const query = "SELECT id FROM account"
