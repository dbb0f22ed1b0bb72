// Package cockroach holds all SQL.
package cockroach

import (
	"github.com/jackc/pgx/v5"

	"meridian/central/accounts"
)

const find = `SELECT id, name FROM account WHERE id = $1`

var _ pgx.Tx
var _ accounts.Store
