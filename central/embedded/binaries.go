package embedded

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sort"
	"strconv"
)

// debianPostgres is where Debian and its relatives keep each major version's
// programs. It is looked at before PATH, which may hold a wrapper of the same
// name.
const debianPostgres = "/usr/lib/postgresql"

// installRemedy is the last part of every 'not installed' error.
const installRemedy = "run `make setup` (or `apt-get install postgresql` as root), or name a cockroach binary in COCKROACH_BINARY"

// findCockroach returns the cockroach binary to use, or "" if there is none. A
// binary that is named and missing is an error: silently running another
// server would hide the mistake.
func findCockroach(named string) (string, error) {
	source := "CockroachBinary"
	if named == "" {
		named, source = os.Getenv("COCKROACH_BINARY"), "COCKROACH_BINARY"
	}
	if named == "" {
		path, err := exec.LookPath("cockroach")
		if err != nil {
			return "", nil // not in PATH is an answer, not a fault
		}
		return path, nil
	}
	path, err := exec.LookPath(named)
	if err != nil {
		return "", fmt.Errorf("%w: %s names %q: %w; correct it or unset it", ErrNotInstalled, source, named, err)
	}
	return filepath.Abs(path)
}

// findPostgres returns the directory that holds initdb and postgres of the
// wanted major version ("15"), or of the newest one if version is empty. It
// returns "" if there is none.
func findPostgres(root, version string) string {
	for _, dir := range postgresDirs(root) {
		if version != "" && filepath.Base(filepath.Dir(dir)) != version {
			continue
		}
		if hasPostgres(dir) {
			return dir
		}
	}
	path, err := exec.LookPath("initdb")
	if err != nil {
		return ""
	}
	// A link leads to the version's own directory, where all programs are.
	if real, err := filepath.EvalSymlinks(path); err == nil {
		path = real
	}
	dir := filepath.Dir(path)
	if !hasPostgres(dir) {
		return ""
	}
	if version != "" && postgresMajor(dir) != version {
		return ""
	}
	return dir
}

// postgresDirs lists root/*/bin, newest version first.
func postgresDirs(root string) []string {
	dirs, err := filepath.Glob(filepath.Join(root, "*", "bin"))
	if err != nil {
		return nil // only a malformed pattern can fail, and then there is nothing to find
	}
	major := func(dir string) float64 {
		v, err := strconv.ParseFloat(filepath.Base(filepath.Dir(dir)), 64)
		if err != nil {
			return -1
		}
		return v
	}
	sort.SliceStable(dirs, func(i, j int) bool { return major(dirs[i]) > major(dirs[j]) })
	return dirs
}

func hasPostgres(dir string) bool {
	for _, name := range []string{"initdb", "postgres"} {
		info, err := os.Stat(filepath.Join(dir, name))
		if err != nil || info.IsDir() || info.Mode()&0o111 == 0 {
			return false
		}
	}
	return true
}

// postgresMajor asks the server for its major version, "15" of
// `postgres (PostgreSQL) 15.18 (Debian 15.18-0)`.
func postgresMajor(dir string) string {
	out, err := exec.Command(filepath.Join(dir, "postgres"), "--version").Output()
	if err != nil {
		return ""
	}
	return parseMajor(string(out))
}

func parseMajor(version string) string {
	start := -1
	for i, r := range version {
		digit := r >= '0' && r <= '9'
		switch {
		case digit && start < 0:
			start = i
		case !digit && start >= 0:
			return version[start:i]
		}
	}
	if start < 0 {
		return ""
	}
	return version[start:]
}
