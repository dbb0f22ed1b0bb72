// Package accounts owns who the customers are.
package accounts

import "meridian/internal/money"

// Store keeps accounts. Select an implementation from central/cockroach.
type Store interface{ Balance() money.Amount }
