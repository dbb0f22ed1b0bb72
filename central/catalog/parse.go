package catalog

import (
	"errors"
	"fmt"
	"strconv"

	"meridian/central/fault"
	"meridian/internal/sheet"
	"meridian/internal/tariff"
)

// maxOfferings bounds how many offerings one request may publish.
const maxOfferings = 200

// Parse reads the offerings of a request, in the language of internal/sheet. It
// reports every fault at once, each with file, line, column, path and remedy.
// Prefix files cannot be read here: the destinations are in the request. Versions
// are 0: publishing numbers them.
func Parse(name string, data []byte) ([]tariff.Offering, error) {
	out, err := sheet.Read(name, data, nil)
	var list sheet.Faults
	if errors.As(err, &list) {
		var faults fault.Collector
		for _, f := range list {
			faults.Add(fault.Bad(f.Where(), f.Value, f.What, f.Remedy))
		}
		return nil, faults.Err()
	}
	if err != nil {
		return nil, err
	}
	if len(out) > maxOfferings {
		return nil, fault.Bad(name, strconv.Itoa(len(out)), "the request holds too many offerings",
			fmt.Sprintf("publish at most %d at once", maxOfferings))
	}
	return out, nil
}
