// Package catalog holds the offerings that come with Meridian, as the YAML files
// that a marketer would write. It holds data only; internal/sheet reads it.
package catalog

import "embed"

// Demo is the demo's offerings, one file each.
//
//go:embed demo/*.yaml
var Demo embed.FS

// Library is offerings of real life, each NAME.yaml with usage to try it on,
// NAME.usage.csv, a subscription's life, NAME.life.csv, and for some starting balances, NAME.balances.csv.
//
//go:embed library/*
var Library embed.FS
