package bench

import (
	"fmt"
	"os"
	"runtime"
	"strings"

	"meridian/internal/rating"
	"meridian/internal/sheet"
)

// catalogOfferings is how many offerings the catalog's figures are of.
const catalogOfferings = 2000

const catalogSheet = `---
id: offer-%d
name: Offer %d
currency: EUR
zone: Europe/Berlin
service: internet
services: [voice, sms]
windows:
  - {name: night, from: "22:00", to: "06:00"}
  - {name: weekend, days: [sat, sun]}
recurring:
  - {name: fee, price: "19.90", every: month}
usage:
  - name: data
    unit: bytes
    free: {units: 10GB}
    rates:
      - {mode: graduated, tiers: [{up_to: 20GB, price: 1.00 per GB}, {price: 0.50 per GB}]}
      - {window: night, price: 0.25 per GB}
      - {window: weekend, price: 0.40 per GB}
  - name: calls
    service: voice
    unit: seconds
    destinations:
      - {zone: national, prefixes: ["+49", "0"]}
      - {zone: europe, prefixes: ["+33", "+39", "+43", "+48"]}
    rates:
      - {zone: national, fee: "0.05", first: 60s, next: 1s, price: 0.09 per minute}
      - {zone: europe, fee: "0.10", first: 60s, next: 10s, price: 0.19 per minute}
      - {price: 0.99 per minute, next: 60s}
  - {name: texts, service: sms, unit: events, rates: [{price: 0.09 per event}]}
  - {name: time, unit: seconds, rates: [{price: 0 per minute}]}
profile: {session_limit: 1, interim: 300s, up: 10Mbit, down: 50Mbit}
reservation: {quota: 100MB, ttl: 1200s}
overrun: owed
`

// catalogBench measures a catalog of n offerings of four usage components: read
// from YAML with positions and validated, and compiled. CPU time of the process.
func catalogBench(cfg Config, n int) ([]Result, error) {
	var text strings.Builder
	for i := range n {
		fmt.Fprintf(&text, catalogSheet, i, i)
	}
	data := []byte(text.String())
	var read, compiled []float64
	for run := range cfg.Runs + 1 { // the first one warms up
		began, err := processCPU(os.Getpid())
		if err != nil {
			return nil, err
		}
		offerings, err := sheet.Read("catalog.yaml", data, nil)
		if err != nil {
			return nil, fmt.Errorf("the bench's own sheet: %w", err)
		}
		between, err := processCPU(os.Getpid())
		if err != nil {
			return nil, err
		}
		env := rating.Env{Cache: &rating.Cache{}}
		for i := range offerings {
			offerings[i].Version = 1
			if _, err := rating.Compile(&offerings[i], env); err != nil {
				return nil, fmt.Errorf("the bench's own sheet: %w", err)
			}
		}
		ended, err := processCPU(os.Getpid())
		if err != nil {
			return nil, err
		}
		if run > 0 {
			read, compiled = append(read, (between-began).Seconds()*1e3), append(compiled, (ended-between).Seconds()*1e3)
		}
	}
	note := fmt.Sprintf("CPU time; %d offerings of 4 usage components, %.1f MiB of YAML; %d CPUs", n, float64(len(data))/(1<<20), runtime.NumCPU())
	return []Result{newResult("rate/catalog_yaml_ms", "ms", note, read), newResult("rate/catalog_compile_ms", "ms", note, compiled)}, nil
}
