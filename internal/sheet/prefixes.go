package sheet

import (
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"

	"meridian/internal/tariff"
)

// maxTable bounds a prefix file.
const maxTable = 4 << 20

// prefixes adds the rows of a CSV file beside the sheet to a component's
// destinations, zones in the order of their first row.
func (r *reader) prefixes(n *node, path string, u *tariff.Usage) {
	if n != nil && !r.destinations(n, path, u) {
		u.Table = n.text // its zones are not known: what refers to them is not at fault
	}
}

func (r *reader) destinations(n *node, path string, u *tariff.Usage) bool {
	const remedy = "name a CSV file that lies beside the sheet, e.g. zones.csv"
	if n.kind != text || strings.ContainsAny(n.text, `/\`) || !fs.ValidPath(n.text) || n.text == "." {
		r.fault(n, path, "is not the name of a file beside the sheet", remedy)
		return false
	}
	if r.beside == nil {
		r.fault(n, path, "no file can be read here", "write the destinations into the sheet")
		return false
	}
	rows, seen := r.csv[n.text]
	if !seen {
		data, err := readTable(r.beside, n.text)
		if err != nil {
			r.fault(n, path, "cannot be read: "+err.Error(), remedy)
			return false
		}
		var faults Faults
		if rows, faults = ReadPrefixes(n.text, data); len(faults) > 0 {
			r.wrong = append(r.wrong, path)
			r.faults.list = append(r.faults.list, faults[:min(len(faults), maxFaults-min(len(r.faults.list), maxFaults))]...)
			return false
		}
		if r.csv == nil {
			r.csv = map[string][]tariff.Destination{}
		}
		r.csv[n.text] = rows
	}
	at := map[string]int{}
	for i, d := range u.Destinations {
		at[d.Zone] = i
	}
	for _, d := range rows {
		if i, has := at[d.Zone]; has {
			u.Destinations[i].Prefixes = append(u.Destinations[i].Prefixes, d.Prefixes...)
			continue
		}
		at[d.Zone] = len(u.Destinations)
		u.Destinations = append(u.Destinations, tariff.Destination{Zone: d.Zone, Prefixes: append([]string(nil), d.Prefixes...)})
	}
	return true
}

func readTable(files fs.FS, name string) ([]byte, error) {
	f, err := files.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxTable+1))
	if err == nil && len(data) > maxTable {
		err = fmt.Errorf("it has more than %d octets", maxTable)
	}
	return data, err
}

// ReadPrefixes reads a prefix table: CSV with the columns prefix and zone, named
// in the first line. Zones come in the order of their first row.
func ReadPrefixes(name string, data []byte) ([]tariff.Destination, Faults) {
	faults := &sink{file: name}
	rows := csv.NewReader(strings.NewReader(string(data)))
	rows.FieldsPerRecord, rows.TrimLeadingSpace, rows.Comment = -1, true, '#'
	var out []tariff.Destination
	prefixAt, zoneAt := -1, -1
	zones, lines := map[string]int{}, map[string]int{}
	for first := true; ; first = false {
		row, err := rows.Read()
		if errors.Is(err, io.EOF) {
			break
		}
		var bad *csv.ParseError
		if errors.As(err, &bad) {
			faults.add(bad.Line, bad.Column, "", "", "this is not CSV: "+bad.Err.Error(), "correct the quotes of this line")
			break
		}
		line, _ := rows.FieldPos(0)
		if first {
			for i, c := range row {
				switch strings.TrimPrefix(strings.TrimSpace(c), "\ufeff") {
				case "prefix":
					prefixAt = i
				case "zone":
					zoneAt = i
				}
			}
			if prefixAt < 0 || zoneAt < 0 {
				faults.add(line, 1, "", strings.Join(row, ","), "does not name the columns", "write prefix,zone in the first line")
				break
			}
			continue
		}
		if len(row) <= max(prefixAt, zoneAt) {
			faults.add(line, 1, "", strings.Join(row, ","), "has too few columns", "write a prefix and its zone")
			continue
		}
		prefix, zone := strings.TrimSpace(row[prefixAt]), strings.TrimSpace(row[zoneAt])
		if !tariff.ValidPrefix(prefix) {
			faults.add(line, 1, "prefix", prefix, "is not a prefix", "write 1 to 15 digits, + before them for an international number")
		}
		if zone == "" {
			faults.add(line, 1, "zone", "", "is missing", "name the prefix's zone")
		}
		if before, twice := lines[prefix]; twice {
			faults.add(line, 1, "prefix", prefix, fmt.Sprintf("stands in line %d too", before), "keep one of them")
		}
		lines[prefix] = line
		i, has := zones[zone]
		if !has {
			i = len(out)
			zones[zone] = i
			out = append(out, tariff.Destination{Zone: zone})
		}
		out[i].Prefixes = append(out[i].Prefixes, prefix)
	}
	if len(out) == 0 && len(faults.list) == 0 {
		faults.add(1, 1, "", "", "the table holds no prefix", "write prefix,zone and a line for each prefix")
	}
	if len(faults.list) > 0 {
		return nil, faults.list
	}
	return out, nil
}
