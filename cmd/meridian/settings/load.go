// Package settings reads the configuration files of the processes and turns them
// into the Config of their composition root; the demo writes such files.
//
// It owns names, defaults and the places of the files' fields. It does not own
// what they mean: each Config validates itself.
package settings

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/goccy/go-yaml"

	"meridian/ops/logging"
	"meridian/replication/identity"
)

// maxFile bounds a configuration file, in octets.
const maxFile = 1 << 20

// Identity names the PEM files of a process's certificate.
type Identity struct {
	Cert string `yaml:"cert"`
	Key  string `yaml:"key"`
	CA   string `yaml:"ca"`
}

// Log says how the process logs: level debug, info, warn or error; format text
// or json.
type Log struct {
	Level  string `yaml:"level"`
	Format string `yaml:"format"`
}

func defaultLog() Log {
	d := logging.DefaultConfig()
	return Log{Level: d.Level, Format: d.Format}
}

// loader collects the faults of one file.
type loader struct {
	file   string
	dir    string
	faults []error
}

// load reads the file strictly over the defaults that into holds.
func load(path string, into any) (*loader, error) {
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
	err = yaml.NewDecoder(bytes.NewReader(data), yaml.Strict()).Decode(into)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("configuration %s: %s\ncorrect it; --print-defaults shows all fields", path, yaml.FormatError(err, false, true))
	}
	abs, err := filepath.Abs(path)
	if err != nil {
		return nil, fmt.Errorf("configuration %s: %w", path, err)
	}
	return &loader{file: path, dir: filepath.Dir(abs)}, nil
}

func (l *loader) fault(field, format string, args ...any) {
	l.faults = append(l.faults, fmt.Errorf("%s: %s: %s", l.file, field, fmt.Sprintf(format, args...)))
}

func (l *loader) err() error { return errors.Join(l.faults...) }

// path takes a relative path from the file's own folder.
func (l *loader) path(p string) string {
	if p == "" || filepath.IsAbs(p) {
		return p
	}
	return filepath.Join(l.dir, p)
}

// read reads a file that the configuration names.
func read[T any](l *loader, field, path string, from func(string) (T, error)) T {
	var zero T
	if path == "" {
		l.fault(field, "is empty: name the file")
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
	if id.Cert == "" || id.Key == "" || id.CA == "" {
		l.fault(field, "cert %q, key %q, ca %q: name all three PEM files", id.Cert, id.Key, id.CA)
		return nil
	}
	b, err := identity.LoadBundle(l.path(id.Cert), l.path(id.Key), l.path(id.CA))
	if err != nil {
		l.fault(field, "%v", err)
		return nil
	}
	return b
}

func (l *loader) log(s Log) logging.Config {
	cfg := logging.Config{Level: s.Level, Format: s.Format}
	if err := cfg.Validate(); err != nil {
		l.fault("log", "%v", err)
	}
	return cfg
}

// secret reads a one-line file that nobody else may read.
func secret(path string) (string, error) {
	info, err := os.Stat(path)
	if err != nil {
		return "", fmt.Errorf("%w: create it with mode 0600", err)
	}
	if perm := info.Mode().Perm(); perm&0o077 != 0 {
		return "", fmt.Errorf("%s has mode %#o: run chmod 600 %s", path, perm, path)
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

// Write writes settings as a file that its owner alone may read.
func Write(path string, s any) error {
	data, err := yaml.Marshal(s)
	if err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	if err := os.WriteFile(path, data, 0o600); err != nil {
		return fmt.Errorf("write configuration: %w", err)
	}
	return nil
}
