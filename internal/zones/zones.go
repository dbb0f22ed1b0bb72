// Package zones is the time zone data that tariffs are counted by: copies of the
// IANA database inside the binary, never the machine's.
//
// An offering names the version that it was published by, which is part of its
// content hash. A binary keeps each version that an offering may name, so that
// after an upgrade a published price still means what it meant; data of a version
// that it does not have is an error, and never another version's answer. The
// package owns no calendar rule.
package zones

import (
	_ "embed" // the copies
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"time"
)

// Latest is the version of the IANA data that offerings are published by.
const Latest = "2025c"

// data2025c is lib/time/zoneinfo.zip of Go 1.26: IANA 2025c, public domain, not
// compressed.
//
//go:embed zoneinfo-2025c.zip
var data2025c string

// Errors of Load.
var (
	// ErrVersion: the binary has no data of this version.
	ErrVersion = errors.New("zone data of this version is not in this binary")
	// ErrZone: the data knows no zone of this name.
	ErrZone = errors.New("the zone is not known")
)

// Versions are the versions that the binary has, oldest first.
func Versions() []string { return []string{Latest} }

// archive is the data of a version; "" = it is not here.
func archive(version string) string {
	switch version {
	case "", Latest:
		return data2025c
	}
	return ""
}

// Load gives a zone by IANA name, from the data of a version ("" = Latest). The
// names "" and "UTC" are UTC in every version. Errors wrap ErrVersion or ErrZone
// and say what to do.
func Load(version, name string) (*time.Location, error) {
	data := archive(version)
	switch {
	case data == "":
		return nil, fmt.Errorf("%w: %s is asked for, %s are here: upgrade this node", ErrVersion, version, strings.Join(Versions(), ", "))
	case name == "" || name == "UTC":
		return time.UTC, nil
	}
	file, ok := find(data, name)
	if !ok {
		return nil, fmt.Errorf("%w: %q: name an IANA zone, e.g. Europe/Berlin", ErrZone, name)
	}
	return time.LoadLocationFromTZData(name, []byte(file))
}

// Sizes and signatures of a zip archive's records (APPNOTE.TXT 4.3).
const (
	endSize, endMark       = 22, 0x06054b50
	centralSize, dirMark   = 46, 0x02014b50
	headerSize, headerMark = 30, 0x04034b50
)

// find is the content of a stored file of an archive without comment.
func find(zip, name string) (string, bool) {
	u16 := func(at int) int { return int(binary.LittleEndian.Uint16([]byte(zip[at : at+2]))) }
	u32 := func(at int) int { return int(binary.LittleEndian.Uint32([]byte(zip[at : at+4]))) }
	end := len(zip) - endSize
	if end < 0 || u32(end) != endMark {
		return "", false
	}
	at := u32(end + 16)
	for range u16(end + 10) {
		if u32(at) != dirMark {
			return "", false
		}
		n := u16(at + 28)
		if n != len(name) || zip[at+centralSize:at+centralSize+n] != name {
			at += centralSize + n + u16(at+30) + u16(at+32)
			continue
		}
		header, size := u32(at+42), u32(at+20)
		if u32(header) != headerMark || u16(header+8) != 0 { // stored
			return "", false
		}
		from := header + headerSize + u16(header+26) + u16(header+28)
		return zip[from : from+size], true
	}
	return "", false
}
