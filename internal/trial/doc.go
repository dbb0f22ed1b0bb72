// Package trial rates usage from a file by tariff sheets: what `meridian rate`
// shows. It owns the formats of usage and balances, and the state of a trial:
// wallets that begin with the offering's allowances and the balances given, their
// renewal, thresholds and profiles.
//
// Prices are internal/rating's and payments internal/charging's, so that a trial
// comes to what a live region comes to. Nothing is stored.
package trial
