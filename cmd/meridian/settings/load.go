// Package settings reads the configuration files of the processes and turns them
// into the Config of their composition root; the demo writes such files.
//
// It owns names, defaults, limits and documentation of the files' fields, and the
// environment variables that override them. A fault names file and line, field,
// value and remedy, and all faults of a configuration are told at once. It does
// not own what the fields mean to the parts: each Config validates itself again.
package settings

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"

	"meridian/ops/logging"
	"meridian/replication/identity"
)

// maxFile bounds a configuration file, in octets.
const maxFile = 1 << 20

// Identity names the PEM files of a process's certificate.
type Identity struct {
	Cert string `yaml:"cert" doc:"certificate of this process, PEM" is:"file" need:"keys/own.crt"`
	Key  string `yaml:"key" doc:"its key, PEM, mode 0600" is:"secret file" need:"keys/own.key"`
	CA   string `yaml:"ca" doc:"certificate of the authority that both sides trust, PEM" is:"file" need:"keys/ca.crt"`
}

// Log says how the process logs.
type Log struct {
	Level  string `yaml:"level" doc:"least level that is logged" is:"debug|info|warn|error"`
	Format string `yaml:"format" doc:"text for people, json for machines" is:"text|json"`
}

func defaultLog() Log {
	d := logging.DefaultConfig()
	return Log{Level: d.Level, Format: d.Format}
}

func (s Log) config() logging.Config { return logging.Config{Level: s.Level, Format: s.Format} }

// loader collects the faults of one configuration.
type loader struct {
	reader
	dir    string // the file's own folder
	prefix string // of the environment's variables
}

// load reads the file and the environment over the defaults that into, a pointer
// to a settings struct, holds, and checks every value by itself. The error is
// final: no value can be relied on.
func load(path string, environ []string, prefix string, into any) (*loader, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("read configuration: %w: name the file by --config, --print-defaults shows its fields", err)
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err != nil {
		return nil, fmt.Errorf("read configuration %s: %w", path, err)
	}
	if len(data) > maxFile {
		return nil, fmt.Errorf("configuration %s has more than %d octets: this is not a configuration file", path, maxFile)
	}
	abs, err := filepath.Abs(path)
	if err != nil {
		return nil, fmt.Errorf("configuration %s: %w", path, err)
	}
	l := &loader{reader: newReader(path), dir: filepath.Dir(abs), prefix: prefix}
	v := reflect.ValueOf(into).Elem()
	if !l.parse(data, v) {
		return nil, l.err()
	}
	l.override(environ, v)
	l.check(v, "")
	return l, nil
}

// fault tells what is wrong with a field, with its place and its value.
func (l *loader) fault(path, format string, args ...any) {
	l.faultOf(path, l.places[path].value, format, args...)
}

// faultOf is fault with the value given; empty shows none.
func (l *loader) faultOf(path, value, format string, args ...any) {
	p := l.places[path]
	f := Fault{File: l.file, Line: p.line, Field: path, Value: value, Problem: fmt.Sprintf(format, args...)}
	if p.env != "" {
		f.File, f.Line, f.Field, f.path = "", 0, p.env, path
	}
	if f.Line == 0 && p.env == "" {
		f.Line = l.above(path)
	}
	l.add(f)
}

// above is the line of the list element or group that a missing field belongs to.
func (l *loader) above(path string) int {
	for {
		i := strings.LastIndexByte(path, '.')
		if i < 0 {
			return 0
		}
		path = path[:i]
		if p, ok := l.places[path]; ok {
			return p.line
		}
	}
}

// faulty tells whether a field has a fault already.
func (l *loader) faulty(path string) bool {
	return slices.ContainsFunc(l.found, func(f *Fault) bool { return f.Field == path || f.path == path })
}

func (l *loader) forget(path string) {
	l.found = slices.DeleteFunc(l.found, func(f *Fault) bool { return f.Field == path })
}

// read reads a file that the configuration names, unless its field is faulty
// already.
func read[T any](l *loader, field, path string, from func(string) (T, error)) T {
	var zero T
	if path == "" || l.faulty(field) {
		return zero
	}
	v, err := from(l.path(path))
	if err != nil {
		l.fault(field, "%v", err)
		return zero
	}
	return v
}

func (l *loader) bundle(field string, id Identity) *identity.Bundle {
	for _, name := range []string{".cert", ".key", ".ca"} {
		if l.faulty(field + name) {
			return nil
		}
	}
	b, err := identity.LoadBundle(l.path(id.Cert), l.path(id.Key), l.path(id.CA))
	if err != nil {
		l.fault(field+".cert", "%v", err)
		return nil
	}
	if _, err := b.TLS(identity.TheCentre()); err != nil {
		l.fault(field+".key", "%v: give the key that belongs to the certificate, and the authority's certificate", err)
		return nil
	}
	return b
}

// secret reads a file with one line in it.
func secret(path string) (string, error) {
	info, err := os.Stat(path)
	if err != nil {
		return "", fmt.Errorf("%w: create it with mode 0600", err)
	}
	if info.Size() > 4096 {
		return "", fmt.Errorf("%s has %d octets: it should hold one line", path, info.Size())
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return "", err
	}
	line := strings.TrimSpace(string(data))
	if line == "" || strings.ContainsAny(line, "\r\n") {
		return "", fmt.Errorf("%s should hold exactly one line", path)
	}
	return line, nil
}
