package chaos

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"meridian/internal/verify"
)

const (
	nodes       = 3
	subscribers = 240
	storePort   = "26300"
	smallDisk   = 3 // the node whose data lie on a file system of their own
	smallMiB    = 384
	lowMiB      = 176
	reserveMiB  = 144 // two files of the log, each of 64 MiB, must fit in
)

// world is the whole system: centre with its database, three nodes and the NAS'
// network, each on a machine of its own.
type world struct {
	t      *testing.T
	dir    string // everything of the run
	plant  string // what `meridian demo` made in it
	binary string
	began  time.Time

	centreM machine
	nodeM   [nodes + 1]machine // from 1
	link    *relay             // between nodes and centre
	radius  *relay             // between NAS and nodes
	http    *client

	mu     sync.Mutex
	store  *process
	centre *process
	node   [nodes + 1]*process
	faults *os.File
	frozen int // the node that is stopped, 0 when none is
}

// log writes a line of the run's story, with the time since its beginning.
func (w *world) log(format string, args ...any) {
	line := fmt.Sprintf("%7.2f s  ", time.Since(w.began).Seconds()) + fmt.Sprintf(format, args...)
	w.mu.Lock()
	defer w.mu.Unlock()
	fmt.Fprintln(w.faults, line)
	fmt.Println(line)
}

// newWorld sets a system up by `meridian demo` on one machine, then takes it apart
// and starts its processes on machines of their own.
func newWorld(t *testing.T, dir string, seed uint64) *world {
	t.Helper()
	w := &world{t: t, dir: dir, plant: filepath.Join(dir, "plant"), binary: filepath.Join(os.Getenv(binaryVar), "meridian-chaos"), began: time.Now()}
	var err error
	if w.faults, err = os.Create(filepath.Join(dir, "faults.log")); err != nil {
		t.Fatal(err)
	}
	w.must(w.provision())
	w.must(w.wire(seed))
	w.must(w.smallFileSystem())
	w.must(w.startStore())
	w.must(w.startCentre())
	for n := 1; n <= nodes; n++ {
		w.must(w.startNode(n))
	}
	return w
}

func (w *world) must(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

// provision lets the demo make keys, files, offerings, NAS and subscribers, on a
// machine that is thrown away.
func (w *world) provision() error {
	if err := script("ip netns add plant\nip netns exec plant ip link set lo up"); err != nil {
		return err
	}
	p, err := start(machine{name: "plant"}, "demo", filepath.Join(w.dir, "plant.log"), nil, w.binary,
		"demo", "--once", "--no-story", "--dir", w.plant, "--network", network, "--subscribers", fmt.Sprint(subscribers))
	if err != nil {
		return err
	}
	p.expected.Store(true)
	select {
	case <-p.done:
	case <-time.After(3 * time.Minute):
		return errors.Join(errors.New("the set-up does not end"), p.kill())
	}
	if p.err != nil {
		return fmt.Errorf("set-up: %w:\n%s", p.err, tail(p.log, 30))
	}
	if err := run("ip", "netns", "del", "plant"); err != nil {
		return err
	}
	for n := 1; n <= nodes; n++ {
		changes := [][2]string{{centreAddr + ":7100", linkRelay}}
		if n == smallDisk {
			changes = append(changes, [2]string{"low_mib: 512", fmt.Sprintf("low_mib: %d", lowMiB)}, [2]string{"reserve_mib: 256", fmt.Sprintf("reserve_mib: %d", reserveMiB)})
		}
		if err := rewrite(filepath.Join(w.plant, fmt.Sprintf("north-%d.yaml", n)), changes); err != nil {
			return err
		}
	}
	return nil
}

// rewrite replaces texts in a file, each of which must be there.
func rewrite(file string, changes [][2]string) error {
	data, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	text := string(data)
	for _, c := range changes {
		if !strings.Contains(text, c[0]) {
			return fmt.Errorf("%s has no %q", file, c[0])
		}
		text = strings.ReplaceAll(text, c[0], c[1])
	}
	return os.WriteFile(file, []byte(text), 0o600)
}

// wire makes the machines and the relays between them.
func (w *world) wire(seed uint64) error {
	addrs := []string{harness}
	for m := 1; m <= nodes; m++ {
		addrs = append(addrs, nasAddr(m))
		for n := 1; n <= nodes; n++ {
			addrs = append(addrs, nasRelay(m, n))
		}
	}
	if err := newSwitch(addrs...); err != nil {
		return err
	}
	var err error
	if w.centreM, err = newMachine("centre", centreAddr); err != nil {
		return err
	}
	for n := 1; n <= nodes; n++ {
		if w.nodeM[n], err = newMachine(fmt.Sprintf("north-%d", n), nodeAddr(n)); err != nil {
			return err
		}
	}
	w.link, w.radius = newRelay(seed), newRelay(seed+1)
	if err := w.link.tcp(linkRelay, centreAddr+":7000"); err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(context.Background())
	w.radius.onClose(func() error { cancel(); return nil })
	for m := 1; m <= nodes; m++ {
		for n := 1; n <= nodes; n++ {
			for _, port := range []uint16{1812, 1813} {
				at := func(addr string, port uint16) netip.AddrPort {
					return netip.AddrPortFrom(netip.MustParseAddr(addr), port)
				}
				if err := w.radius.udp(ctx, at(nasRelay(m, n), port), at(nasAddr(m), 0), at(nodeAddr(n), port)); err != nil {
					return err
				}
			}
		}
	}
	token, err := os.ReadFile(filepath.Join(w.plant, "keys", "admin.token"))
	w.http = newClient(strings.TrimSpace(string(token)))
	return err
}

// smallFileSystem moves one node's data onto a small file system.
func (w *world) smallFileSystem() error {
	dir := w.nodeDir(smallDisk)
	if err := os.Rename(dir, dir+".was"); err != nil {
		return err
	}
	if err := os.Mkdir(dir, 0o700); err != nil {
		return err
	}
	if err := unix.Mount("chaos", dir, "tmpfs", 0, fmt.Sprintf("size=%dm,mode=0700", smallMiB)); err != nil {
		return err
	}
	return script(fmt.Sprintf("cp -a %[1]s.was/. %[1]s/ && rm -rf %[1]s.was", dir))
}

func (w *world) nodeDir(n int) string {
	return filepath.Join(w.plant, "data", fmt.Sprintf("north-%d", n))
}

func (w *world) logFile(name string) string { return filepath.Join(w.plant, "logs", name+".log") }

func (w *world) socket(n int) string { return filepath.Join(w.dir, fmt.Sprintf("control-%d", n)) }

func (w *world) startNode(n int) error {
	name := fmt.Sprintf("north-%d", n)
	p, err := start(w.nodeM[n], name, w.logFile(name), []string{"CHAOS_CONTROL_SOCKET=" + w.socket(n)},
		w.binary, "edge", "--config", filepath.Join(w.plant, name+".yaml"))
	w.mu.Lock()
	w.node[n] = p
	w.mu.Unlock()
	return err
}

func (w *world) startCentre() error {
	p, err := start(w.centreM, "centre", w.logFile("centre"), nil, w.binary, "central", "--config", filepath.Join(w.plant, "centre.yaml"))
	w.mu.Lock()
	w.centre = p
	w.mu.Unlock()
	if err != nil {
		return err
	}
	return w.eventually(60*time.Second, func(ctx context.Context) error {
		if err := p.crashed(); err != nil {
			return err
		}
		return w.http.get(ctx, centreAddr+":8080", "/readyz", nil)
	})
}

// startStore starts the database, by this program, on the centre's machine.
func (w *world) startStore() error {
	url := filepath.Join(w.plant, "keys", "store.url")
	if err := os.Remove(url); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	p, err := start(w.centreM, "store", w.logFile("store"), []string{stageVar + "=" + stageStore, storeDirVar + "=" + filepath.Join(w.plant, "store"), storeURLVar + "=" + url}, self)
	w.mu.Lock()
	w.store = p
	w.mu.Unlock()
	if err != nil {
		return err
	}
	return w.eventually(2*time.Minute, func(context.Context) error {
		if err := p.crashed(); err != nil {
			return err
		}
		_, err := os.Stat(url)
		return err
	})
}

// eventually tries until try returns nil.
func (w *world) eventually(within time.Duration, try func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(context.Background(), within)
	defer cancel()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	var last error
	for {
		err := try(ctx)
		if err == nil {
			return nil
		}
		if ctx.Err() == nil || last == nil { // else the time ended in mid-question
			last = err
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return fmt.Errorf("not within %s: %w", within, last)
		}
	}
}

// crashed tells of a process that ended by itself.
func (w *world) crashed() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, p := range append([]*process{w.store, w.centre}, w.node[1:]...) {
		if err := p.crashed(); err != nil {
			return err
		}
	}
	return nil
}

// verify runs `meridian verify` where both database and nodes can be reached, and
// returns what is broken.
func (w *world) verify(witness string) ([]verify.Finding, error) {
	keys := filepath.Join(w.plant, "keys")
	url, err := os.ReadFile(filepath.Join(keys, "store.url"))
	if err != nil {
		return nil, err
	}
	var edges []string
	for n := 1; n <= nodes; n++ {
		edges = append(edges, nodeAddr(n)+":8090")
	}
	cmd := exec.Command("nsenter", "--net=/run/netns/centre", w.binary, "verify", "--json", "--store-url", strings.TrimSpace(string(url)),
		"--edge", strings.Join(edges, ","), "--token-file", filepath.Join(keys, "admin.token"), "--ca", filepath.Join(keys, "ca", "ca.crt"), "--witness", witness)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	runErr := cmd.Run()
	var list []verify.Finding
	if err := json.Unmarshal(out.Bytes(), &list); err != nil {
		return nil, fmt.Errorf("verify: %w: %s%s", errors.Join(runErr, err), &out, &errs)
	}
	return list, nil
}

// close ends everything in order.
func (w *world) close() error {
	var faults []error
	for n := 1; n <= nodes; n++ {
		if p := w.node[n]; p != nil {
			faults = append(faults, p.stop(20*time.Second))
		}
	}
	for _, p := range []*process{w.centre, w.store} {
		if p != nil {
			faults = append(faults, p.stop(30*time.Second))
		}
	}
	return errors.Join(append(faults, w.link.close(), w.radius.close(), w.faults.Close())...)
}
