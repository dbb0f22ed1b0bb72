package verify

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	"meridian/internal/invariant"
)

// maxWitnessLine bounds a line of a witness, in octets.
const maxWitnessLine = 64 << 10

// ErrWitness is wrapped by every error about a witness's content.
var ErrWitness = errors.New("witness is not well formed")

// AppendRecord appends the record's line, its newline included. A record that
// Validate refuses is a programmer's error and panics.
func AppendRecord(dst []byte, r WitnessRecord) []byte {
	err := r.Validate()
	invariant.Check(err == nil, "%v", err)
	line, err := json.Marshal(r)
	invariant.Check(err == nil, "encode a witness record: %v", err)
	return append(append(dst, line...), '\n')
}

// Validate reports the first fault of a record.
func (r WitnessRecord) Validate() error {
	set := 0
	for _, is := range []bool{r.Phase != "", r.Sent != nil, r.Acked != nil, r.Timeout != nil, r.Auth != nil} {
		if is {
			set++
		}
	}
	if set != 1 {
		return fmt.Errorf("%w: %d of phase, sent, acked, timeout, auth are set: write exactly one", ErrWitness, set)
	}
	for _, a := range []*WitnessAcct{r.Sent, r.Acked, r.Timeout} {
		if a == nil {
			continue
		}
		switch a.Status {
		case StatusStart, StatusInterim, StatusStop, StatusOn, StatusOff:
		default:
			return fmt.Errorf("%w: status is %q: use start, interim, stop, on or off", ErrWitness, a.Status)
		}
		if a.NAS == "" || a.N < 0 || a.Seconds < -1 {
			return fmt.Errorf("%w: nas %q, n %d, seconds %d: name the NAS; n is not negative, seconds is -1 when absent", ErrWitness, a.NAS, a.N, a.Seconds)
		}
	}
	if r.Auth != nil && r.Auth.Result != AuthAccept && r.Auth.Result != AuthReject && r.Auth.Result != AuthTimeout {
		return fmt.Errorf("%w: result is %q: use accept, reject or timeout", ErrWitness, r.Auth.Result)
	}
	return nil
}

// ReadWitness reads and folds a witness. A last line without a newline was torn
// by a crash: it says nothing that was relied on, and is left out. Every other
// fault is an error that wraps ErrWitness and names the line.
func ReadWitness(r io.Reader) (*Witness, error) {
	w := &Witness{}
	lines := bufio.NewReaderSize(r, maxWitnessLine)
	for number := int64(1); ; number++ {
		line, err := lines.ReadSlice('\n')
		switch {
		case errors.Is(err, io.EOF):
			w.Torn = len(line) > 0
			return w, nil
		case errors.Is(err, bufio.ErrBufferFull):
			return nil, fmt.Errorf("%w: line %d is longer than %d octets: this is not a witness, or it is damaged there", ErrWitness, number, maxWitnessLine)
		case err != nil:
			return nil, fmt.Errorf("read line %d of the witness: %w", number, err)
		}
		if line = bytes.TrimSpace(line); len(line) == 0 {
			continue
		}
		rec, err := decodeRecord(line)
		if err != nil {
			return nil, fmt.Errorf("line %d: %w; restore the file from a copy, or give the part before this line", number, err)
		}
		w.Lines++
		w.Add(rec)
	}
}

func decodeRecord(line []byte) (WitnessRecord, error) {
	var rec WitnessRecord
	d := json.NewDecoder(bytes.NewReader(line))
	d.DisallowUnknownFields()
	if err := d.Decode(&rec); err != nil {
		return rec, fmt.Errorf("%w: %s", ErrWitness, strings.TrimPrefix(err.Error(), "json: "))
	}
	if d.InputOffset() != int64(len(line)) {
		return rec, fmt.Errorf("%w: more than one object on the line", ErrWitness)
	}
	return rec, rec.Validate()
}
