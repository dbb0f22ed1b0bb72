package tariff

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"meridian/internal/canon"
	"meridian/internal/invariant"
)

// Bounds of a shared table: what one row of the feed and one value of the database
// carry well.
const (
	MaxTablePrefixes = 50_000
	MaxTableOctets   = 1_000_000 // of its JSON
)

// Table is a version of a table of destinations that offerings share. A version never
// changes: publishing an offering takes the newest and says so, by version and hash.
type Table struct {
	ID           string        `json:"id"`
	Version      uint32        `json:"version"`
	Destinations []Destination `json:"destinations"`
}

// Validate reports every fault, each a *Fault.
func (t *Table) Validate() error {
	var faults []error
	c := check{faults: &faults}
	c.need(t.ID != "" && len(t.ID) <= maxName && !strings.ContainsAny(t.ID, "/@"), "id", t.ID, "give 1 to 64 characters without / and @")
	c.need(t.Version > 0, "version", t.Version, "versions are numbered from 1")
	n := 0
	for i := range t.Destinations {
		n += len(t.Destinations[i].Prefixes)
	}
	c.need(n > 0, "destinations", "absent", "give at least one prefix")
	c.need(n <= MaxTablePrefixes, "destinations", n, "use at most %d prefixes: leave out those whose shorter prefix is of the same zone", MaxTablePrefixes)
	validateZones(c, t.Destinations, map[string]bool{}, map[string]bool{})
	if n <= MaxTablePrefixes {
		size := len(t.json())
		c.need(size <= MaxTableOctets, "destinations", size, "use at most %d octets of JSON: shorten the zones' names", MaxTableOctets)
	}
	return errors.Join(faults...)
}

func (t *Table) json() []byte {
	b, err := json.Marshal(t)
	invariant.Check(err == nil, "table %s: %v", t.ID, err) // the types hold nothing that JSON lacks
	return b
}

// Hash is the SHA-256 of the version's canonical content.
func (t *Table) Hash() [32]byte {
	var w canon.Writer
	t.AppendCanonical(&w)
	return sha256.Sum256(w.B)
}

// Content is Hash as offerings name it, in hex.
func (t *Table) Content() string {
	h := t.Hash()
	return hex.EncodeToString(h[:])
}

const tableFormat = 1

// AppendCanonical writes the table in canonical form: JSON of the fields in the order
// of their declaration.
func (t *Table) AppendCanonical(w *canon.Writer) {
	w.Byte(tableFormat)
	w.Bytes(t.json())
}

// ReadTable reads what AppendCanonical wrote.
func ReadTable(r *canon.Reader) *Table {
	if v := r.Byte(); v != tableFormat {
		r.Fail("table format %d is not known", v)
	}
	t := &Table{}
	d := json.NewDecoder(bytes.NewReader(r.Bytes()))
	d.DisallowUnknownFields()
	if r.Err() != nil {
		return t
	}
	if err := d.Decode(t); err != nil {
		r.Fail("table: %v", err)
	}
	return t
}

// TableKey names a version of a table, "id@version".
func TableKey(id string, version uint32) string { return fmt.Sprintf("%s@%d", id, version) }

// TableKey names the table that the component's destinations are in: a version, once
// published; "" = none.
func (u *Usage) TableKey() string {
	if u.Table == "" || u.TableVersion == 0 {
		return u.Table
	}
	return TableKey(u.Table, u.TableVersion)
}
