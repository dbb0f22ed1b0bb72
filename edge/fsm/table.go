package fsm

import (
	"meridian/internal/canon"
	"meridian/internal/invariant"
	"meridian/internal/rating"
	"meridian/internal/tariff"
)

// table is a version of a shared table of destinations. It never changes and is kept
// for good, as offerings are.
type table struct {
	content   string // hash, as offerings name it
	canonical []byte
}

// addTable keeps a table that feed.Row.Decode, or the dump's reader, has checked.
func (s *State) addTable(t *tariff.Table) {
	p, err := rating.NewTable(t)
	invariant.Check(err == nil, "table %s version %d: %v", t.ID, t.Version, err)
	var w canon.Writer
	t.AppendCanonical(&w)
	key := tariff.TableKey(t.ID, t.Version)
	s.tables[key], s.prefixes[key] = &table{content: t.Content(), canonical: w.B}, p
}

// Lacks names the tables that an offering is priced by and that are not here, with the
// content that it says.
func (s *State) Lacks(o *tariff.Offering) (keys []string) {
	for i := range o.Usage {
		if u := &o.Usage[i]; u.Table != "" {
			if t := s.tables[u.TableKey()]; t == nil || t.content != u.TableHash {
				keys = append(keys, u.TableKey())
			}
		}
	}
	return keys
}

// env is what compiling an offering needs.
func (s *State) env() rating.Env { return rating.Env{Tables: s.prefixes} }

func (s *State) dumpTables(w *canon.Writer) {
	w.Uvarint(uint64(len(s.tables)))
	for _, key := range sortedKeys(s.tables) {
		w.Bytes(s.tables[key].canonical)
	}
}

func (s *State) loadTables(r *canon.Reader) {
	for n := r.Count(1); n > 0; n-- {
		inner := canon.NewReader(r.Bytes())
		t := tariff.ReadTable(inner)
		err := inner.Close()
		if err == nil {
			err = t.Validate()
		}
		if err != nil {
			r.Fail("%v", err)
			return
		}
		s.addTable(t)
	}
}
