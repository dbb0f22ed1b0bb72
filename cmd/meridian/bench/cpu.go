package bench

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// clockTicks are those of /proc/PID/stat in a second, on every Linux.
const clockTicks = 100

// Fields of proc(5)'s stat, counted from the one after the name in parentheses.
const (
	statParent = 1
	statUser   = 11 // user and system time, then both of the children that were reaped
	statReaped = 13
	statEnd    = 15
)

// processCPU is what a process has used so far, without its children.
func processCPU(pid int) (time.Duration, error) {
	stat, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "stat"))
	if err != nil {
		return 0, err
	}
	return parseStat(string(stat))
}

// familyCPU is what a process, its live children, and those that it has reaped
// have used so far.
func familyCPU(pid int) (time.Duration, error) {
	stat, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "stat"))
	if err != nil {
		return 0, fmt.Errorf("CPU of process %d: %w", pid, err)
	}
	sum, err := sumTicks(string(stat), statUser, statEnd)
	if err != nil {
		return 0, err
	}
	stats, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		return 0, err
	}
	for _, path := range stats {
		stat, err := os.ReadFile(path)
		if err != nil {
			continue // it ended meanwhile, and is counted by its parent
		}
		fields := statFields(string(stat))
		if len(fields) <= statParent || fields[statParent] != strconv.Itoa(pid) {
			continue
		}
		used, err := parseStat(string(stat))
		if err != nil {
			return 0, err
		}
		sum += used
	}
	return sum, nil
}

// statFields are the fields after the second, a name in parentheses that may hold
// anything.
func statFields(stat string) []string {
	return strings.Fields(stat[strings.LastIndexByte(stat, ')')+1:])
}

// parseStat reads a process's own user and system time.
func parseStat(stat string) (time.Duration, error) { return sumTicks(stat, statUser, statReaped) }

func sumTicks(stat string, from, to int) (time.Duration, error) {
	fields := statFields(stat)
	if len(fields) < to {
		return 0, fmt.Errorf("process status %q has too few fields", stat)
	}
	var ticks int64
	for _, f := range fields[from:to] {
		n, err := strconv.ParseInt(f, 10, 64)
		if err != nil {
			return 0, fmt.Errorf("process status %q: %w", stat, err)
		}
		ticks += n
	}
	return time.Duration(ticks) * (time.Second / clockTicks), nil
}
