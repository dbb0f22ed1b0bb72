package trial

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"meridian/internal/sheet"
)

// MaxRows bounds a file of usage or balances.
const MaxRows = 2_000_000

// Event is a row of usage.
type Event struct {
	Line         int    `json:"-"`
	Subscription string `json:"subscription"` // who; rows of one share balances
	Offering     string `json:"offering"`     // id; may be left out when the sheet has one
	Usage        string `json:"usage"`        // component; may be left out when the service has one
	Service      string `json:"service"`      // may be left out: the main one
	Session      string `json:"session"`      // rows of one go on with it; left out = a session of its own
	Start        string `json:"start"`        // RFC 3339
	End          string `json:"end"`          // RFC 3339; time: start + quantity
	Quantity     string `json:"quantity"`     // 500MB, 65s, 3, 12.50; time: end − start
	Destination  string `json:"destination"`  // number
	Zone         string `json:"zone"`         // instead of a destination
	Weight       string `json:"weight"`       // weighted units: parts of the component's scale
	Charged      string `json:"charged"`      // what it cost when it happened; for a simulation
	Event        string `json:"event"`        // left out = usage; activate, renew, change, cancel, pause, resume, top-up, referral
	Born         string `json:"born"`         // activate: the customer's day of birth, 1990-12-31
	Since        string `json:"since"`        // activate: a customer since, RFC 3339; left out = since the activation
	Holds        string `json:"holds"`        // activate: ids of the customer's other offerings, separated by spaces
}

// Balance is a row of starting balances.
type Balance struct {
	Line         int    `json:"-"`
	Subscription string `json:"subscription"`
	Balance      string `json:"balance"` // an allowance of the offering, or money
	Value        string `json:"value"`   // in the balance's unit
	Expires      string `json:"expires"` // RFC 3339; left out = as the allowance has it
}

// Input is what a trial rates.
type Input struct {
	Usage    []Event   `json:"usage"`
	Balances []Balance `json:"balances"`
}

func (e *Event) columns() map[string]*string {
	return map[string]*string{"subscription": &e.Subscription, "offering": &e.Offering, "usage": &e.Usage, "service": &e.Service,
		"session": &e.Session, "start": &e.Start, "end": &e.End, "quantity": &e.Quantity, "destination": &e.Destination,
		"zone": &e.Zone, "weight": &e.Weight, "charged": &e.Charged,
		"event": &e.Event, "born": &e.Born, "since": &e.Since, "holds": &e.Holds}
}

func (b *Balance) columns() map[string]*string {
	return map[string]*string{"subscription": &b.Subscription, "balance": &b.Balance, "value": &b.Value, "expires": &b.Expires}
}

// ReadUsage reads a usage file: CSV with the columns of Event in its first line,
// or JSON: a list of events, or an object with the lists usage and balances. The
// error is sheet.Faults, all of them.
func ReadUsage(name string, data []byte) (*Input, error) {
	f := &faults{file: name}
	in := &Input{}
	if isJSON(data) {
		readJSON(f, data, in)
	} else {
		readCSV(f, data, func() (map[string]*string, *int) {
			in.Usage = append(in.Usage, Event{})
			e := &in.Usage[len(in.Usage)-1]
			return e.columns(), &e.Line
		})
	}
	if len(in.Usage) == 0 && len(f.list) == 0 {
		f.add(1, "", "", "the file holds no usage", "write a line for each event")
	}
	return in, f.err()
}

// ReadBalances reads a file of starting balances: CSV with the columns of Balance,
// or a JSON list of them.
func ReadBalances(name string, data []byte) ([]Balance, error) {
	f := &faults{file: name}
	in := &Input{}
	if isJSON(data) {
		in.Balances = jsonList[Balance](f, data, "", data, func(b *Balance) *int { return &b.Line })
	} else {
		readCSV(f, data, func() (map[string]*string, *int) {
			in.Balances = append(in.Balances, Balance{})
			b := &in.Balances[len(in.Balances)-1]
			return b.columns(), &b.Line
		})
	}
	return in.Balances, f.err()
}

type faults struct {
	file string
	list sheet.Faults
}

const maxFaults = 1000

func (f *faults) add(line int, path, value, what, remedy string) {
	if len(f.list) < maxFaults {
		f.list = append(f.list, &sheet.Fault{File: f.file, Line: line, Column: 1, Path: path, Value: value, What: what, Remedy: remedy})
	}
}

func (f *faults) err() error {
	if len(f.list) == 0 {
		return nil
	}
	return f.list
}

func isJSON(data []byte) bool {
	t := bytes.TrimLeft(data, " \t\r\n")
	return len(t) > 0 && (t[0] == '[' || t[0] == '{')
}

// readCSV reads rows into what next gives: fields by column, and the row's line.
func readCSV(f *faults, data []byte, next func() (map[string]*string, *int)) {
	r := csv.NewReader(bytes.NewReader(bytes.TrimPrefix(data, []byte("\ufeff"))))
	r.FieldsPerRecord, r.TrimLeadingSpace, r.Comment = -1, true, '#'
	var header []string
	for rows := 0; ; rows++ {
		row, err := r.Read()
		if errors.Is(err, io.EOF) {
			return
		}
		var bad *csv.ParseError
		if errors.As(err, &bad) {
			f.add(bad.Line, "", "", "this is not CSV: "+bad.Err.Error(), "correct the quotes of this line")
			return
		}
		line, _ := r.FieldPos(0)
		if rows == 0 {
			header = row
			continue
		}
		if rows > MaxRows {
			f.add(line, "", "", "the file has too many rows", fmt.Sprintf("split it into files of at most %d", MaxRows))
			return
		}
		columns, at := next()
		*at = line
		if len(row) > len(header) {
			f.add(line, "", row[len(header)], "has no column", "name the column in the first line")
		}
		for i, name := range header {
			to, known := columns[strings.TrimSpace(name)]
			if !known {
				if rows == 1 {
					f.add(1, strings.TrimSpace(name), "", "is not a column", "use "+strings.Join(names(columns), ", "))
				}
				continue
			}
			if i < len(row) {
				*to = strings.TrimSpace(row[i])
			}
		}
	}
}

func names(columns map[string]*string) []string {
	var out []string
	for _, name := range []string{"subscription", "offering", "usage", "service", "session", "start", "end", "quantity", "destination", "zone", "weight", "charged", "event", "born", "since", "holds", "balance", "value", "expires"} {
		if columns[name] != nil {
			out = append(out, name)
		}
	}
	return out
}

func readJSON(f *faults, data []byte, in *Input) {
	usage, balances := json.RawMessage(data), json.RawMessage(nil)
	if bytes.TrimLeft(data, " \t\r\n")[0] == '{' {
		var object struct{ Usage, Balances json.RawMessage }
		if !decode(f, data, "", &object, data) {
			return
		}
		usage, balances = object.Usage, object.Balances
	}
	if len(usage) > 0 {
		in.Usage = jsonList[Event](f, data, "usage", usage, func(e *Event) *int { return &e.Line })
	}
	if len(balances) > 0 {
		in.Balances = jsonList[Balance](f, data, "balances", balances, func(b *Balance) *int { return &b.Line })
	}
}

// jsonList decodes a list element by element, so that each tells its faults.
func jsonList[T any](f *faults, data []byte, path string, raw json.RawMessage, line func(*T) *int) []T {
	var parts []json.RawMessage
	if !decode(f, data, path, &parts, raw) {
		return nil
	}
	if len(parts) > MaxRows {
		f.add(1, path, "", "the file has too many rows", fmt.Sprintf("split it into files of at most %d", MaxRows))
		return nil
	}
	out := make([]T, len(parts))
	base := max(bytes.Index(data, raw), 0)
	at, lines := base, 1+bytes.Count(data[:base], []byte("\n"))
	for i, p := range parts {
		if next := bytes.Index(data[at:], p); next >= 0 {
			lines += bytes.Count(data[at:at+next], []byte("\n"))
			at += next
		}
		*line(&out[i]) = lines
		d := json.NewDecoder(bytes.NewReader(p))
		d.DisallowUnknownFields()
		if err := d.Decode(&out[i]); err != nil {
			f.add(lines, fmt.Sprintf("%s[%d]", path, i), "", jsonSays(err), "write the columns of deploy/catalog/README.md, every value in quotes")
		}
	}
	return out
}

func decode(f *faults, data []byte, path string, into any, raw []byte) bool {
	d := json.NewDecoder(bytes.NewReader(raw))
	d.DisallowUnknownFields()
	err := d.Decode(into)
	if err == nil {
		return true
	}
	line := 1
	var bad *json.SyntaxError
	if errors.As(err, &bad) && bad.Offset <= int64(len(data)) {
		line += bytes.Count(data[:bad.Offset], []byte("\n"))
	}
	f.add(line, path, "", jsonSays(err), "write a list of events, or an object with the lists usage and balances")
	return false
}

func jsonSays(err error) string { return strings.TrimPrefix(err.Error(), "json: ") }

func instant(s string) (int64, error) {
	t, err := time.Parse(time.RFC3339, s)
	if err != nil {
		return 0, errors.New("is not an instant")
	}
	if t.Unix() < 0 || t.Year() > 2200 {
		return 0, errors.New("is out of range")
	}
	return t.Unix(), nil
}
