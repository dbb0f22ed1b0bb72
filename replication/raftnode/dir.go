package raftnode

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"meridian/replication/disk"
	"meridian/replication/seal"
)

const (
	dirFormat = 1
	nodeFile  = "node.json"
	lockFile  = "LOCK"
	logDir    = "log"
)

// nodeInfo is node.json: whose directory this is. Check is a sealed constant
// that proves, before any entry is read, that the ring is the right one.
type nodeInfo struct {
	Format  int    `json:"format"`
	Cluster string `json:"cluster,omitempty"` // absent in directories of before: the first to open one names it
	Region  string `json:"region"`
	Log     string `json:"log,omitempty"` // what keeps the log; absent: EngineWAL
	Node    string `json:"node"`
	Check   []byte `json:"check"`
}

func (i nodeInfo) additional() []byte {
	out := fmt.Appendf(nil, "raftnode/%d/%s/%s", i.Format, i.Region, i.Node)
	if i.Cluster != "" {
		out = fmt.Appendf(out, "/%s", i.Cluster)
	}
	if i.Log != "" {
		out = fmt.Appendf(out, "//%s", i.Log)
	}
	return out
}

// engine is what keeps the directory's log.
func (i nodeInfo) engine() Engine {
	if i.Log == "" {
		return EngineWAL
	}
	return Engine(i.Log)
}

// logName is how node.json names an engine.
func logName(e Engine) string {
	if e == EngineWAL {
		return ""
	}
	return string(e)
}

// lockDir takes the directory for this process. Closing the file, or the end of
// the process however it comes, releases it.
func lockDir(dir string) (*os.File, error) {
	f, err := os.OpenFile(filepath.Join(dir, lockFile), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("raftnode: lock %s: %w", dir, err)
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		f.Close()
		if errors.Is(err, unix.EWOULDBLOCK) {
			return nil, fmt.Errorf("%w: %s; stop the other process first", ErrInUse, dir)
		}
		return nil, fmt.Errorf("raftnode: lock %s: %w", dir, err)
	}
	return f, nil
}

// readInfo reads node.json and proves the ring against it.
func readInfo(dir string, ring *seal.Ring) (nodeInfo, error) {
	path := filepath.Join(dir, nodeFile)
	data, err := os.ReadFile(path)
	if err != nil {
		return nodeInfo{}, err
	}
	var info nodeInfo
	if err := json.Unmarshal(data, &info); err != nil {
		return nodeInfo{}, fmt.Errorf("%w: %s: %w; restore the directory from another copy", ErrWrongDir, path, err)
	}
	if info.Format != dirFormat {
		return nodeInfo{}, fmt.Errorf("%w: %s has format %d, this program knows %d; use the program that wrote it",
			ErrWrongDir, path, info.Format, dirFormat)
	}
	if _, err := ring.Open(nil, info.Check, info.additional()); err != nil {
		return nodeInfo{}, fmt.Errorf("%w: %s of node %s, region %s: %w", ErrWrongKeys, dir, info.Node, info.Region, err)
	}
	return info, nil
}

// claimDir makes node.json for a new directory, or checks that an existing one
// is this node's. It seals the check anew when another key seals now, so
// that old keys can be retired with the data that they sealed.
func claimDir(dir string, own nodeInfo, ring *seal.Ring, layer *disk.Layer) error {
	info, err := readInfo(dir, ring)
	switch {
	case errors.Is(err, os.ErrNotExist):
		if _, err := os.Stat(filepath.Join(dir, logDir)); err == nil {
			return fmt.Errorf("%w: %s has a log but no %s; restore it from another copy, or empty the directory and join as a new node",
				ErrWrongDir, dir, nodeFile)
		}
		info = own
	case err != nil:
		return err
	case info.Region != own.Region || info.Node != own.Node || info.Cluster != "" && info.Cluster != own.Cluster:
		return fmt.Errorf("%w: %s belongs to node %q of region %q, cluster %q; this is node %q of region %q, cluster %q; give each node its own directory",
			ErrWrongDir, dir, info.Node, info.Region, info.Cluster, own.Node, own.Region, own.Cluster)
	}
	if info.Log != own.Log {
		return fmt.Errorf("%w: the log in %s is kept by %s, the configuration says %s; set raft_log to %s, or let the node join anew with an empty directory",
			ErrWrongDir, dir, info.engine(), own.engine(), info.engine())
	}
	if id, ok := seal.KeyID(info.Check); ok && id == ring.Sealing() && info.Cluster == own.Cluster {
		return nil
	}
	info.Format, info.Cluster = own.Format, own.Cluster
	info.Check = ring.Seal(nil, []byte("meridian"), info.additional())
	return writeInfo(dir, info, layer)
}

func writeInfo(dir string, info nodeInfo, layer *disk.Layer) error {
	data, err := json.Marshal(info)
	if err == nil {
		err = layer.Replace(filepath.Join(dir, nodeFile), append(data, '\n'))
	}
	if err != nil {
		return fmt.Errorf("raftnode: write %s: %w", nodeFile, err)
	}
	return nil
}
