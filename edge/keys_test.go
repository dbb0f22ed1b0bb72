package edge

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"meridian/replication/seal"
)

// withKeyFiles gives each node of a bare region its copy of a key file.
func (r *region) withKeyFiles() (files []string) {
	r.t.Helper()
	first := filepath.Join(r.t.TempDir(), "data.ring")
	if _, err := seal.Generate(first); err != nil {
		r.t.Fatal(err)
	}
	for i := range r.cfgs {
		file := filepath.Join(r.t.TempDir(), "data.ring")
		files = append(files, file)
		r.copyFile(first, file)
		r.cfgs[i].ReadDataRing = func(context.Context) (*seal.Ring, error) { return seal.LoadRing(file) }
		var err error
		if r.cfgs[i].DataRing, err = seal.LoadRing(file); err != nil {
			r.t.Fatal(err)
		}
	}
	return files
}

func (r *region) copyFile(from, to string) {
	r.t.Helper()
	data, err := os.ReadFile(from)
	if err == nil {
		err = os.WriteFile(to, data, 0o600)
	}
	if err != nil {
		r.t.Fatal(err)
	}
}

// refusedAs wants a refusal by its code that says something.
func refusedAs(t *testing.T, err error, code, says string) {
	t.Helper()
	var no *refusal
	if !errors.As(err, &no) || no.code != code || !strings.Contains(no.Error(), says) {
		t.Fatalf("%v, want a refusal %s that says %q", err, code, says)
	}
}

// A region's key is rotated while traffic runs: no node seals with a key that another
// could not open, a file that is wrong changes nothing, and what was acknowledged is
// there afterwards, also at a node that joins by a snapshot of the new key.
func TestRegionRotatesItsKey(t *testing.T) {
	r := bareRegion(t, 3)
	files := r.withKeyFiles()
	r.begin()
	tr := r.traffic(4)
	r.goesOn(tr, "the start")
	if _, err := seal.Rotate(files[0]); err != nil {
		t.Fatal(err)
	}
	n := r.nodes[0]
	refusedAs(t, n.RotateKey(t.Context()), "key_missing", "north-2, north-3")
	if got := n.cfg.DataRing; got.Sealing() != 1 || got.Newest() != 2 {
		t.Fatalf("sealing %d, newest %d after a refusal", got.Sealing(), got.Newest())
	}

	r.copyFile(files[0], files[1])
	if err := os.WriteFile(files[2], []byte("2 this is no key\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := r.nodes[1].LearnKeys(t.Context()); err != nil {
		t.Fatal(err)
	}
	refusedAs(t, r.nodes[2].LearnKeys(t.Context()), "bad_key_file", "line 1")
	refusedAs(t, r.nodes[1].RotateKey(t.Context()), "key_missing", "north-3")
	r.cfgs[2].ReadDataRing, n = nil, r.nodes[2]
	n.cfg.ReadDataRing = func(context.Context) (*seal.Ring, error) { return nil, fmt.Errorf("%w: no answer", seal.ErrKeeper) }
	refusedAs(t, n.LearnKeys(t.Context()), "key_management", "call again when key management answers")
	n.cfg.ReadDataRing = func(context.Context) (*seal.Ring, error) { return seal.LoadRing(files[0]) }
	if err := n.LearnKeys(t.Context()); err != nil {
		t.Fatal(err)
	}
	r.goesOn(tr, "refused rotations")
	for _, n := range r.nodes {
		if err := n.RotateKey(t.Context()); err != nil {
			t.Fatalf("%s: %v", n.cfg.Node, err)
		}
	}
	r.goesOn(tr, "the rotation")
	refusedAs(t, r.nodes[0].RotateKey(t.Context()), "no_new_key", "key, 2, seals already")

	if s := r.nodes[0].Status(); s.DataKey != 2 || s.OldestDataKey < 1 {
		t.Fatalf("status: seals with %d, needs %d", s.DataKey, s.OldestDataKey)
	}
	if err := r.leader().store.Snapshot(t.Context()); err != nil {
		t.Fatal(err)
	}
	i := len(r.cfgs)
	r.configure(i)
	r.cfgs[i].Start = Join
	var err error
	if r.cfgs[i].DataRing, err = seal.LoadRing(files[0]); err != nil {
		t.Fatal(err)
	}
	r.start(i)
	r.add(i)
	r.goesOn(tr, "a node that joined")
	r.check(tr)
}
