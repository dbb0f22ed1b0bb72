package demo

import (
	"encoding/json"
	"fmt"
	"os"
	"time"

	"meridian/cmd/meridian/traffic"
	"meridian/internal/verify"
)

// Report is the demo's figures (design §11). Rates are per second of the phase.
type Report struct {
	Version          string           `json:"version"`
	Seconds          float64          `json:"seconds"`
	Subscribers      int              `json:"subscribers"`
	Nodes            int              `json:"nodes"`
	Phases           []Phase          `json:"phases"`
	AcctAcknowledged int64            `json:"acct_acknowledged"`
	AcctLost         int64            `json:"acct_lost"`
	ChargedTwice     int64            `json:"charged_twice"`
	Entries          int64            `json:"entries"`
	DrainSeconds     float64          `json:"drain_seconds"`
	FailoverSeconds  float64          `json:"failover_seconds"`
	Verify           []verify.Finding `json:"verify"`
}

// Phase is one phase's traffic.
type Phase struct {
	Name         string  `json:"name"`
	Seconds      float64 `json:"seconds"`
	AuthOK       int64   `json:"auth_ok"`
	AuthReject   int64   `json:"auth_reject"`
	AuthPerS     float64 `json:"auth_per_s"`
	AcctAcked    int64   `json:"acct_acked"`
	AcctTimeouts int64   `json:"acct_timeouts"`
	AcctPerS     float64 `json:"acct_per_s"`
}

func newPhase(name string, took time.Duration, c traffic.Counters) Phase {
	s := took.Seconds()
	return Phase{
		Name: name, Seconds: round(s), AuthOK: c.AuthOK, AuthReject: c.AuthReject, AuthPerS: round(float64(c.AuthOK+c.AuthReject) / s),
		AcctAcked: c.AcctAcked, AcctTimeouts: c.AcctTimeouts, AcctPerS: round(float64(c.AcctAcked) / s),
	}
}

// round keeps three decimals: the figures are read by people.
func round(f float64) float64 { return float64(int64(f*1000+0.5)) / 1000 }

func (r *Report) write(path string) error {
	if path == "" {
		return nil
	}
	data, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return fmt.Errorf("write the report: %w", err)
	}
	if err := os.WriteFile(path, append(data, '\n'), 0o644); err != nil {
		return fmt.Errorf("write the report: %w: name another file by --report", err)
	}
	return nil
}
