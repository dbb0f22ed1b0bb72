package edge

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"meridian/edge/store"
	"meridian/replication/seal"
)

// keysTimeout bounds a call that changes the data keys: key management has its own
// limit for each key.
const keysTimeout = 2 * time.Minute

// keyNames are the data keys that this node can open, with their fingerprints: nodes
// compare them, and a fingerprint tells nothing of its key.
func (n *Node) keyNames() []string { return keyNames(n.cfg.DataRing) }

func keyNames(ring *seal.Ring) []string {
	var out []string
	for _, id := range ring.IDs() {
		if print, ok := ring.Fingerprint(id); ok {
			out = append(out, keyName(id, print))
		}
	}
	return out
}

func keyName(id uint32, print seal.Fingerprint) string { return fmt.Sprintf("%d:%x", id, print) }

// LearnKeys reads the key file again: what it has opens from here on, what it lacks
// and nothing needs is forgotten. The key that seals stays.
func (n *Node) LearnKeys(ctx context.Context) error {
	if n.cfg.ReadDataRing == nil {
		return &refusal{http.StatusConflict, "no_key_file", "this node was given its data keys and no file to read them from again", "restart it with the new keys"}
	}
	file, err := n.cfg.ReadDataRing(ctx)
	if err == nil {
		err = n.store.LearnKeys(file)
	}
	switch {
	case err == nil:
		return nil
	case errors.Is(err, store.ErrKeyNeeded):
		return &refusal{http.StatusConflict, "key_needed", err.Error(), "see GET /v1/keys for what each part needs"}
	case errors.Is(err, seal.ErrOtherKey):
		return &refusal{http.StatusConflict, "other_key", err.Error(), "copy the key file from a node that has the right one"}
	case errors.Is(err, seal.ErrBadKeyFile):
		return &refusal{http.StatusConflict, "bad_key_file", err.Error(), "the keys in use stay; correct the file and call again"}
	case errors.Is(err, seal.ErrKeeper):
		return &refusal{http.StatusServiceUnavailable, "key_management", err.Error(), "the keys in use stay; call again when key management answers"}
	}
	return err
}

// RotateKey makes the newest key of the file the one that seals, once every member
// can open what it seals: a snapshot goes to the others as it lies here.
func (n *Node) RotateKey(ctx context.Context) error {
	if err := n.LearnKeys(ctx); err != nil {
		return err
	}
	ring := n.cfg.DataRing
	id := ring.Newest()
	if id == ring.Sealing() {
		return &refusal{http.StatusConflict, "no_new_key", fmt.Sprintf("the key file's newest key, %d, seals already", id),
			"add a key to the file (meridian keys add) and copy the file to every node first"}
	}
	print, _ := ring.Fingerprint(id)
	members, err := n.store.Raft().Servers()
	if err != nil {
		return err
	}
	seen := n.see(ctx, members)
	var without []string
	for _, m := range members {
		if st, ok := seen[m.ID]; !ok || !slices.Contains(st.DataKeys, keyName(id, print)) {
			without = append(without, m.ID)
		}
	}
	if len(without) > 0 {
		return &refusal{http.StatusConflict, "key_missing", fmt.Sprintf("key id %d is not known to have been read by %s", id, strings.Join(without, ", ")),
			"copy the key file to those nodes and have them read it (meridian ctl edge reload-keys); a node that is lost for good is to be removed first"}
	}
	id, err = n.store.RotateKey()
	if err == nil {
		n.logger.Info("another data key seals from here on", "key", id)
	}
	return err
}

func (n *Node) keySamples(a *adder) {
	k, err := n.store.Keys()
	if err != nil { // the disk's state says why
		k.Sealing, k.Oldest = n.cfg.DataRing.Sealing(), 0
	}
	a.add("data_key_sealing", float64(k.Sealing))
	a.add("data_key_oldest_needed", float64(k.Oldest))
	a.count("data_key_sealed_total", k.Sealed)
}

// KeysView is GET /v1/keys: no key is in it.
type KeysView struct {
	Node string `json:"node"`
	store.Keys
	Names []string `json:"names"` // "<id>:<fingerprint>" of those that are held
}

func (n *Node) getKeys(w http.ResponseWriter, _ *http.Request) {
	k, err := n.store.Keys()
	if err != nil {
		n.refuse(w, http.StatusServiceUnavailable, httpError{"unavailable", err.Error(), "look at the disk's state in GET /status"})
		return
	}
	n.answer(w, KeysView{Node: n.cfg.Node, Keys: k, Names: n.keyNames()})
}

func (n *Node) postReloadKeys(w http.ResponseWriter, r *http.Request) {
	n.changeKeys(w, r, n.LearnKeys)
}
func (n *Node) postRotateKey(w http.ResponseWriter, r *http.Request) { n.changeKeys(w, r, n.RotateKey) }

func (n *Node) changeKeys(w http.ResponseWriter, r *http.Request, change func(context.Context) error) {
	ctx, cancel := context.WithTimeout(r.Context(), keysTimeout)
	defer cancel()
	before := n.keyNames()
	err := change(ctx)
	n.audit(r, err, "before", before, "after", n.keyNames(), "sealing", n.cfg.DataRing.Sealing())
	var no *refusal
	switch {
	case err == nil:
		n.getKeys(w, r)
	case errors.As(err, &no):
		n.refuse(w, no.status, httpError{no.code, no.message, no.remedy})
	default:
		n.refuse(w, http.StatusServiceUnavailable, httpError{"unavailable", err.Error(), "look at GET /status of the nodes and try again"})
	}
}
