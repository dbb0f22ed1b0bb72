package chaos

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// fault is one kind of harm. Two of the same group are never there at once, since
// one's healing would heal the other's.
type fault struct {
	name, group string
	do          func(w *world, rng *rand.Rand) (what string, heal func() error, err error)
}

// faults are all kinds, in the order of their declaration.
func faults() []fault {
	return []fault{
		{"kill the leader", "node", func(w *world, _ *rand.Rand) (string, func() error, error) { return w.killNode(w.aLeader()) }},
		{"kill a follower", "node", func(w *world, rng *rand.Rand) (string, func() error, error) { return w.killNode(w.aFollower(rng)) }},
		{"kill all nodes", "node", func(w *world, _ *rand.Rand) (string, func() error, error) { return w.killNodes() }},
		{"stop the leader", "node", func(w *world, _ *rand.Rand) (string, func() error, error) { return w.freeze(w.aLeader()) }},
		{"stop a follower", "node", func(w *world, rng *rand.Rand) (string, func() error, error) { return w.freeze(w.aFollower(rng)) }},
		{"kill the centre", "centre", func(w *world, _ *rand.Rand) (string, func() error, error) { return w.killCentre() }},
		{"kill the database", "centre", func(w *world, _ *rand.Rand) (string, func() error, error) { return w.killStore() }},
		{"isolate the leader", "net", func(w *world, _ *rand.Rand) (string, func() error, error) { return w.isolate(w.aLeader()) }},
		{"deafen a node to one other", "net", func(w *world, rng *rand.Rand) (string, func() error, error) { return w.oneWay(rng) }},
		{"unplug a node", "net", func(w *world, rng *rand.Rand) (string, func() error, error) { return w.unplug(1 + rng.IntN(nodes)) }},
		{"cut the centre off", "net", func(w *world, _ *rand.Rand) (string, func() error, error) { return w.cutCentre() }},
		{"a node's packets trickle", "net", func(w *world, rng *rand.Rand) (string, func() error, error) { return w.trickle(1 + rng.IntN(nodes)) }},
		{"the link is slow", "link", func(w *world, _ *rand.Rand) (string, func() error, error) { return w.slowLink() }},
		{"the link is a black hole", "link", func(w *world, _ *rand.Rand) (string, func() error, error) { return w.blackLink() }},
		{"RADIUS is lost, late and doubled", "radius", func(w *world, _ *rand.Rand) (string, func() error, error) { return w.badRADIUS() }},
		{"fill a small disk", "space", func(w *world, _ *rand.Rand) (string, func() error, error) { return w.fill() }},
		{"fsync fails", "disk", func(w *world, rng *rand.Rand) (string, func() error, error) { return w.badDisk(w.either(rng), "fail") }},
		{"fsync hangs", "disk", func(w *world, rng *rand.Rand) (string, func() error, error) { return w.badDisk(w.either(rng), "hang") }},
		{"a clock is ahead", "clock", func(w *world, rng *rand.Rand) (string, func() error, error) {
			return w.wrongClock(w.either(rng), 400*24*time.Hour)
		}},
		{"a clock is behind", "clock", func(w *world, rng *rand.Rand) (string, func() error, error) {
			return w.wrongClock(w.either(rng), -24*time.Hour)
		}},
	}
}

// aLeader is the node that leads, or the first when none does.
func (w *world) aLeader() int {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	n, _ := w.leader(ctx)
	return max(n, 1)
}

func (w *world) aFollower(rng *rand.Rand) int {
	return (w.aLeader()+rng.IntN(nodes-1))%nodes + 1
}

// either is the leader half of the time.
func (w *world) either(rng *rand.Rand) int {
	if rng.IntN(2) == 0 {
		return w.aLeader()
	}
	return w.aFollower(rng)
}

func name(n int) string { return fmt.Sprintf("north-%d", n) }

func (w *world) proc(n int) *process {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.node[n]
}

func (w *world) killNode(n int) (string, func() error, error) {
	return name(n), func() error { return w.startNode(n) }, w.proc(n).kill()
}

// killNodes ends all nodes at one instant.
func (w *world) killNodes() (string, func() error, error) {
	var err error
	for n := 1; n <= nodes; n++ {
		w.proc(n).expected.Store(true)
		err = errors.Join(err, w.proc(n).signal(syscall.SIGKILL))
	}
	heal := func() error {
		var err error
		for n := 1; n <= nodes; n++ {
			<-w.proc(n).done
			err = errors.Join(err, w.startNode(n))
		}
		return err
	}
	return "all of them", heal, err
}

func (w *world) freeze(n int) (string, func() error, error) {
	p := w.proc(n)
	w.frozen = n
	return name(n), func() error { w.frozen = 0; return p.signal(syscall.SIGCONT) }, p.signal(syscall.SIGSTOP)
}

func (w *world) killCentre() (string, func() error, error) {
	return "centre", w.startCentre, w.centre.kill()
}

// killStore kills all processes of the database; the centre stays and has to find
// it again.
func (w *world) killStore() (string, func() error, error) {
	p := w.store
	p.expected.Store(true)
	err := p.signal(syscall.SIGUSR1)
	<-p.done
	return "database", w.startStore, err
}

// isolate parts a node from the other nodes and the centre; its NAS still reach it.
func (w *world) isolate(n int) (string, func() error, error) {
	var err error
	heal := func() error {
		var err error
		for o := 1; o <= nodes; o++ {
			if o != n {
				err = errors.Join(err, w.nodeM[n].hear(nodeAddr(o)), w.nodeM[o].hear(nodeAddr(n)))
			}
		}
		return errors.Join(err, w.nodeM[n].hear(harness))
	}
	for o := 1; o <= nodes; o++ {
		if o != n {
			err = errors.Join(err, w.nodeM[n].deafen(nodeAddr(o)), w.nodeM[o].deafen(nodeAddr(n)))
		}
	}
	return name(n), heal, errors.Join(err, w.nodeM[n].deafen(harness))
}

// oneWay lets one node hear nothing from another, which hears it.
func (w *world) oneWay(rng *rand.Rand) (string, func() error, error) {
	from := 1 + rng.IntN(nodes)
	to := (from+rng.IntN(nodes-1))%nodes + 1
	return fmt.Sprintf("%s does not hear %s", name(to), name(from)), func() error { return w.nodeM[to].hear(nodeAddr(from)) }, w.nodeM[to].deafen(nodeAddr(from))
}

func (w *world) unplug(n int) (string, func() error, error) {
	return name(n), w.nodeM[n].plug, w.nodeM[n].unplug()
}

// cutCentre parts the centre from the line that all nodes use; its clients still
// reach it.
func (w *world) cutCentre() (string, func() error, error) {
	return "centre", func() error {
			var err error
			for n := 1; n <= nodes; n++ {
				err = errors.Join(err, w.nodeM[n].hear(harness))
			}
			return err
		}, func() error {
			var err error
			for n := 1; n <= nodes; n++ {
				err = errors.Join(err, w.nodeM[n].deafen(harness))
			}
			return err
		}()
}

func (w *world) trickle(n int) (string, func() error, error) {
	return name(n) + " sends at 1 Mbit/s", w.nodeM[n].fast, w.nodeM[n].slow("1mbit")
}

func (w *world) slowLink() (string, func() error, error) {
	w.link.delay.Store(int64(400 * time.Millisecond))
	return "400 ms each way", func() error { w.link.reset(); return nil }, nil
}

func (w *world) blackLink() (string, func() error, error) {
	w.link.black.Store(true)
	return "nothing passes", func() error { w.link.reset(); return nil }, nil
}

func (w *world) badRADIUS() (string, func() error, error) {
	w.radius.loss.Store(80)
	w.radius.twice.Store(80)
	w.radius.delay.Store(int64(30 * time.Millisecond))
	return "8 % lost, 8 % doubled, 30 to 60 ms late, each way", func() error { w.radius.reset(); return nil }, nil
}

// fill leaves less than the reserve, or nothing at all, on the small disk.
func (w *world) fill() (string, func() error, error) {
	file := filepath.Join(w.nodeDir(smallDisk), "filler")
	heal := func() error { return os.Remove(file) }
	f, err := os.Create(file)
	if err != nil {
		return "", heal, err
	}
	var free unix.Statfs_t
	if err := unix.Fstatfs(int(f.Fd()), &free); err != nil {
		return "", heal, errors.Join(err, f.Close())
	}
	most := int64(free.Bavail) * free.Bsize
	if err := unix.Fallocate(int(f.Fd()), 0, 0, most); err != nil && !errors.Is(err, syscall.ENOSPC) {
		return "", heal, errors.Join(err, f.Close())
	}
	if _, err := f.Seek(0, io.SeekEnd); err != nil {
		return "", heal, errors.Join(err, f.Close())
	}
	block := make([]byte, 64<<10)
	for { // what a snapshot gave free meanwhile
		if _, err = f.Write(block); err != nil {
			break
		}
	}
	if errors.Is(err, syscall.ENOSPC) {
		err = nil
	}
	return name(smallDisk) + " to the last octet", heal, errors.Join(err, f.Close())
}

// tell gives a node's control an order.
func (w *world) tell(n int, order string) error {
	c, err := net.DialTimeout("unix", w.socket(n), 2*time.Second)
	if err != nil {
		return err
	}
	defer c.Close()
	if err := c.SetDeadline(time.Now().Add(2 * time.Second)); err != nil {
		return err
	}
	if _, err := fmt.Fprintln(c, order); err != nil {
		return err
	}
	answer, err := bufio.NewReader(c).ReadString('\n')
	if err == nil && answer != "ok\n" {
		err = fmt.Errorf("%s: %s: %s", name(n), order, answer)
	}
	return err
}

// told gives an order now and another one at the healing. A process that was
// killed meanwhile forgot the first, and one that cannot answer is asked again.
func (w *world) told(n int, what, now, later string) (string, func() error, error) {
	heal := func() error {
		return w.eventually(20*time.Second, func(context.Context) error {
			if w.proc(n).ended() {
				return nil
			}
			return w.tell(n, later)
		})
	}
	if w.frozen == n || w.proc(n).ended() { // it would obey when it lives again
		return name(n) + " cannot be told: nothing", func() error { return nil }, nil
	}
	return name(n) + what, heal, w.eventually(20*time.Second, func(context.Context) error { return w.tell(n, now) })
}

func (w *world) badDisk(n int, how string) (string, func() error, error) {
	return w.told(n, "", "disk "+how, "disk ok")
}

func (w *world) wrongClock(n int, by time.Duration) (string, func() error, error) {
	return w.told(n, fmt.Sprintf(" by %.0f h", by.Hours()), "clock "+by.String(), "clock 0s")
}
