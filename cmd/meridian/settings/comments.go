package settings

import (
	"fmt"

	"github.com/goccy/go-yaml"
)

// comments say what the fields mean, by YAML path.
type comments map[string]string

// Describe is the settings as YAML with a comment to each field.
func (e Edge) Describe() ([]byte, error) {
	return describe(e, comments{
		"$.region": "name of the region, 1 to 63 of a-z, 0-9 and hyphen", "$.node": "name of this node, one of peers",
		"$.dir":         "data directory, from this file's folder; all paths are",
		"$.radius_auth": "Access-Requests come in here, address:port", "$.radius_acct": "Accounting-Requests come in here, address:port",
		"$.http": "status, metrics and the node's API, host:port", "$.raft": "between nodes, mutual TLS, host:port",
		"$.forward": "between nodes, mutual TLS, host:port", "$.gossip": "between nodes, encrypted, host:port",
		"$.centre":           "link servers of the centre, host:port, at least one",
		"$.peers":            "all nodes that found the region, this one included: id, raft, forward, gossip of each",
		"$.identity":         "PEM files of this node's certificate, its key and the authority",
		"$.data_ring_file":   "keys that seal log, segments and snapshots; the same on all nodes",
		"$.region_ring_file": "keys with which the centre seals the region's credentials",
		"$.gossip_key_file":  "32 octets in hexadecimal, the same on all nodes",
		"$.policy":           "given to the region once, when it is founded; whole seconds",
		"$.policy.cut_age":   "usage is cut into the ledger at this age", "$.policy.stale_after": "a session that was silent for so long is closed",
		"$.policy.tombstone_life":      "closed sessions are remembered for so long",
		"$.policy.reservation_ttl":     "a reservation that no Start adopts ends after this",
		"$.policy.max_backlog_entries": "unacknowledged entries at which new sessions are refused",
		"$.policy.due_per_tick":        "due items that one tick handles",
		"$.tick_each":                  "how often region time moves",
		"$.isolated_after":             "how long the link may be away before the region calls itself isolated",
		"$.stale_after":                "how long a node may hear no leader before it accepts only what needs no exactness",
		"$.cut_per_tick":               "sessions that each tick cuts after an outage",
		"$.snapshot_entries":           "log entries after which a snapshot is due",
		"$.log":                        "level debug, info, warn or error; format text or json",
	})
}

// Describe is the settings as YAML with a comment to each field.
func (c Central) Describe() ([]byte, error) {
	return describe(c, comments{
		"$.store_url":            "database, CockroachDB or PostgreSQL: postgresql://user@host:port/database",
		"$.store_url_file":       "or a file of mode 0600 that holds the URL; all paths are from this file's folder",
		"$.migrate":              "bring the schema up to date at the start",
		"$.http":                 "the API, host:port",
		"$.http_cert_file":       "certificate of the API; may be empty on a loopback address only",
		"$.http_key_file":        "its key",
		"$.link":                 "regions connect here, mutual TLS, host:port",
		"$.identity":             "PEM files of the centre's certificate, its key and the authority of the regions'",
		"$.region_ring_files":    "key file of each region, by name: credentials are sealed with it",
		"$.bootstrap_login":      "the first admin",
		"$.bootstrap_token_file": "file of mode 0600 with the first admin's token; empty makes none",
		"$.request_timeout":      "bounds one request of the API",
		"$.shutdown_timeout":     "how long running requests are waited for at the end",
		"$.log":                  "level debug, info, warn or error; format text or json",
	})
}

func describe(s any, c comments) ([]byte, error) {
	m := yaml.CommentMap{}
	for path, text := range c {
		m[path] = []*yaml.Comment{yaml.HeadComment(" " + text)}
	}
	data, err := yaml.MarshalWithOptions(s, yaml.WithComment(m))
	if err != nil {
		return nil, fmt.Errorf("describe the settings: %w", err)
	}
	return data, nil
}
