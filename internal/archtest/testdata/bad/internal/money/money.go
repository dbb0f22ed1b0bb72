// Package money breaks every rule of the core.
package money

import (
	"context"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"os"
	"sync/atomic"
	clock "time"

	"github.com/google/uuid"

	"meridian/internal/tariff"
)

var Zone = clock.Local

func Amount(f float64) clock.Time {
	go func() {}()
	zone, _ := clock.LoadLocation("Europe/Riga")
	_ = tariff.Rate{}
	return clock.Now().In(zone)
}

func init() {}
