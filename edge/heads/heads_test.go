package heads

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"meridian/internal/journal"
)

func head(node string, index uint64, change ...func(*journal.Head)) journal.Head {
	h := journal.Head{Region: "north", Node: node, Epoch: 1, Seq: index / 2, Hash: journal.Hash{byte(index)}, Index: index, At: int64(index) * 1_000_000}
	if index%10 == 0 {
		h.StateForm, h.StateParts, h.State = 3, 1, journal.Hash{byte(index), 1}
	}
	for _, fn := range change {
		fn(&h)
	}
	return h
}

func otherHash(h *journal.Head)  { h.Hash[5] ^= 1 }
func otherState(h *journal.Head) { h.State[5] ^= 1 }
func ahead(h *journal.Head)      { h.Seq++ }

// Who differs, by what each node says of the log indexes 8 to 30.
func TestJudge(t *testing.T) {
	node := func(name string, from uint64, change ...func(*journal.Head)) map[uint64]journal.Head {
		out := map[uint64]journal.Head{}
		for i := uint64(8); i <= 30; i++ {
			if i >= from {
				out[i] = head(name, i, change...)
			} else {
				out[i] = head(name, i)
			}
		}
		return out
	}
	none := map[uint64]journal.Head{}
	for _, c := range []struct {
		name    string
		others  map[string]map[uint64]journal.Head
		members int
		want    Finding
		index   uint64
		nodes   string
		detail  string
	}{
		{"three agree", map[string]map[uint64]journal.Head{"b": node("b", 99), "c": node("c", 99)}, 3, Agreed, 0, "", ""},
		{"two agree, one is silent", map[string]map[uint64]journal.Head{"b": node("b", 99), "c": none}, 3, Agreed, 0, "", ""},
		{"alone", map[string]map[uint64]journal.Head{}, 1, Agreed, 0, "", ""},
		{"one of the others rewrote an entry", map[string]map[uint64]journal.Head{"b": node("b", 12, otherHash), "c": node("c", 99)}, 3, OtherParted, 12, "b", "entry 1/6 has hash"},
		{"this node differs from both", map[string]map[uint64]journal.Head{"b": node("b", 12, otherHash), "c": node("c", 12, otherHash)}, 3, Parted, 12, "b and c", "an entry at or before it differs"},
		{"this node's state differs from both", map[string]map[uint64]journal.Head{"b": node("b", 11, otherState), "c": node("c", 11, otherState)}, 3, Parted, 20, "b and c", "part 0 of 1 of the state"},
		{"this node lacks an entry", map[string]map[uint64]journal.Head{"b": node("b", 12, ahead), "c": node("c", 12, ahead)}, 3, Parted, 12, "b and c", "has written entries up to 1/6, node b up to 1/7"},
		{"the other of two differs", map[string]map[uint64]journal.Head{"b": node("b", 12, otherHash)}, 2, NoMajority, 12, "b", ""},
		{"one differs, one is silent", map[string]map[uint64]journal.Head{"b": node("b", 12, otherHash), "c": none}, 3, NoMajority, 12, "b", ""},
		{"all three differ", map[string]map[uint64]journal.Head{"b": node("b", 12, otherHash), "c": node("c", 12, ahead)}, 3, NoMajority, 12, "b and c", ""},
		{"two of five lie together", map[string]map[uint64]journal.Head{"b": node("b", 12, otherHash), "c": node("c", 12, otherHash), "d": node("d", 99), "e": node("e", 99)}, 5, OtherParted, 12, "b and c", ""},
		{"one liar cannot stop a node", map[string]map[uint64]journal.Head{"b": node("b", 8, otherHash), "c": none}, 3, NoMajority, 8, "b", ""},
	} {
		var own []journal.Head
		for i := uint64(8); i <= 30; i++ {
			own = append(own, head("a", i))
		}
		got := Judge(own, c.others, c.members)
		if got.Finding != c.want || got.Index != c.index || List(got.Nodes) != c.nodes || !strings.Contains(got.Detail, c.detail) {
			t.Errorf("%s: %+v", c.name, got)
		}
	}
}

func signed(node string, index uint64, change ...func(*journal.Head)) journal.SignedHead {
	return journal.SignedHead{Head: head(node, index, change...), Certificate: []byte("certificate of " + node), Signature: fmt.Append(nil, "signature ", index)}
}

// faulty is a disk whose writes or syncs fail while it is told so.
type faulty struct{ writes, syncs error }

func (f *faulty) Write(_ string, do func() error) error {
	if f.writes != nil {
		return f.writes
	}
	return do()
}

func (f *faulty) Sync(_ string, do func() error) error {
	if f.syncs != nil {
		return f.syncs
	}
	return do()
}

// A disk that is full, or whose sync fails, loses nothing of the book: it is kept in
// memory, and the first write that works puts all of it into a new file.
func TestBookOnAFailingDisk(t *testing.T) {
	for name, fail := range map[string]func(*faulty, error){
		"full":         func(f *faulty, err error) { f.writes = err },
		"failing sync": func(f *faulty, err error) { f.syncs = err },
	} {
		path, d := filepath.Join(t.TempDir(), File), &faulty{}
		b, err := OpenBook(path, d)
		if err != nil {
			t.Fatal(err)
		}
		if err := b.Add(signed("n1", 10)); err != nil {
			t.Fatal(err)
		}
		fail(d, syscall.ENOSPC)
		for _, index := range []uint64{20, 30} {
			if err := b.Add(signed("n1", index)); !errors.Is(err, syscall.ENOSPC) {
				t.Fatalf("%s: %v", name, err)
			}
		}
		if k, ok := b.Newest("n1"); !ok || k.Index != 30 {
			t.Errorf("%s: the newest in memory is at %d", name, k.Index)
		}
		fail(d, nil)
		if err := errors.Join(b.Add(signed("n2", 5)), b.Close()); err != nil {
			t.Fatalf("%s: once the disk works: %v", name, err)
		}
		raw, err := ReadBook(path)
		if err != nil || len(raw) != 4 {
			t.Errorf("%s: %d heads are in the file: %v", name, len(raw), err)
		}
	}
}

func open(t *testing.T, path string) *Book {
	t.Helper()
	b, err := OpenBook(path, &faulty{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { b.Close() })
	return b
}

func TestBookKeepsHeadsOverARestart(t *testing.T) {
	path := filepath.Join(t.TempDir(), "heads.book")
	b := open(t, path)
	changed := b.Changed()
	if err := b.Add(signed("n1", 10), signed("n2", 10)); err != nil {
		t.Fatal(err)
	}
	<-changed
	if err := b.Add(signed("n1", 20), signed("n1", 10)); err != nil {
		t.Fatal(err)
	}
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	b = open(t, path)
	if k, ok := b.Newest("n1"); !ok || k.Index != 20 || b.Count() != 3 || b.Damage() != nil {
		t.Errorf("newest %+v, %d kept, damage %v", k.Head, b.Count(), b.Damage())
	}
	if _, ok := b.Newest("n3"); ok {
		t.Error("a head of a node that signed nothing")
	}
	if got := b.After("n1", 10, 9); len(got) != 1 || got[0].Index != 20 {
		t.Errorf("after 10: %d", len(got))
	}
	if got := b.UpTo(10); len(got) != 2 {
		t.Errorf("up to 10: %d", len(got))
	}
	raws, err := ReadBook(path)
	if err != nil || len(raws) != 3 {
		t.Errorf("read from a stopped node: %d, %v", len(raws), err)
	}
	if raws, err := ReadBook(path + ".none"); err != nil || raws != nil {
		t.Errorf("no file: %v, %v", raws, err)
	}
}

func TestNodeThatSignsTwoLedgersIsNamed(t *testing.T) {
	b := open(t, filepath.Join(t.TempDir(), "heads.book"))
	if err := b.Add(signed("n1", 10)); err != nil {
		t.Fatal(err)
	}
	err := b.Add(signed("n1", 10, otherHash), signed("n2", 10))
	if !errors.Is(err, ErrTwoLedgers) || !strings.Contains(err.Error(), "node n1 of region north at entry 1/5, log index 10") {
		t.Errorf("%v", err)
	}
	if k, _ := b.Newest("n1"); k.Hash != head("n1", 10).Hash || b.Count() != 2 {
		t.Errorf("the first is not kept, or the others are not: %d", b.Count())
	}
}

// A torn end and a flipped bit cost what lies behind them, and are said; the next
// write makes the file whole.
func TestBookDamage(t *testing.T) {
	for name, harm := range map[string]func(b []byte) []byte{
		"torn":    func(b []byte) []byte { return b[:len(b)-3] },
		"flipped": func(b []byte) []byte { b[len(b)-20] ^= 1; return b },
		"tail":    func(b []byte) []byte { return append(b, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0, 1) },
		"foreign": func([]byte) []byte { return []byte("something else") },
	} {
		path := filepath.Join(t.TempDir(), "heads.book")
		b := open(t, path)
		if err := b.Add(signed("n1", 10), signed("n1", 20)); err != nil {
			t.Fatal(err)
		}
		b.Close()
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, harm(data), 0o600); err != nil {
			t.Fatal(err)
		}
		if got, err := ReadBook(path); errors.Is(err, ErrBook) == (name == "torn") || name == "torn" && len(got) != 1 {
			t.Errorf("%s: read %d heads: %v", name, len(got), err)
		}
		b = open(t, path)
		want := map[string]int{"torn": 1, "flipped": 1, "tail": 2, "foreign": 0}[name]
		if b.Count() != want || !errors.Is(b.Damage(), ErrBook) {
			t.Errorf("%s: %d kept, damage %v", name, b.Count(), b.Damage())
		}
		if err := b.Add(signed("n1", 30)); err != nil {
			t.Fatal(err)
		}
		b.Close()
		if b = open(t, path); b.Count() != want+1 || b.Damage() != nil {
			t.Errorf("%s: after a write %d kept, damage %v", name, b.Count(), b.Damage())
		}
	}
}

func TestBookIsBounded(t *testing.T) {
	path := filepath.Join(t.TempDir(), "heads.book")
	b := open(t, path)
	const n = 2000
	var list []journal.SignedHead
	for i := uint64(1); i <= n; i++ {
		list = append(list, signed("n1", 10*i))
	}
	for part := range slices.Chunk(list, 50) {
		if err := b.Add(part...); err != nil {
			t.Fatal(err)
		}
	}
	got := b.After("n1", 0, n)
	if len(got) > PerNode || got[len(got)-1].Index != 10*n || got[0].Index > 10*n/50 {
		t.Errorf("%d kept, from %d to %d", len(got), got[0].Index, got[len(got)-1].Index)
	}
	info, err := os.Stat(path)
	if err != nil || info.Size() > 200*3*PerNode {
		t.Errorf("the file has %d octets, %v", info.Size(), err)
	}
	for i := range 2 * maxNodes {
		if err := b.Add(signed(fmt.Sprint("node-", i), 10)); err != nil {
			t.Fatal(err)
		}
	}
	if len(b.nodes) != maxNodes {
		t.Errorf("heads of %d nodes are kept", len(b.nodes))
	}
}

// A new stream carries what may not have arrived: all beyond what is acknowledged,
// and each node's newest.
func TestUnsent(t *testing.T) {
	b := open(t, filepath.Join(t.TempDir(), "heads.book"))
	for i := uint64(1); i <= 5; i++ {
		if err := b.Add(signed("n1", 20*i), signed("n2", 20*i)); err != nil {
			t.Fatal(err)
		}
	}
	indexes := func(raws [][]byte) (out []uint64) {
		for _, r := range raws {
			h, err := journal.DecodeSignedHead(r)
			if err != nil {
				t.Fatal(err)
			}
			out = append(out, h.Index)
		}
		return out
	}
	first, last := b.Unsent(0, 30, 3) // entries up to 30: heads up to log index 60
	if got := indexes(first); !slices.Equal(got, []uint64{80, 80, 100}) {
		t.Errorf("first %v", got)
	}
	rest, last := b.Unsent(last, 30, 3)
	if got := indexes(rest); !slices.Equal(got, []uint64{100}) {
		t.Errorf("rest %v", got)
	}
	if more, again := b.Unsent(last, 30, 3); len(more) != 0 || again != last {
		t.Errorf("nothing new: %v", indexes(more))
	}
	all, _ := b.Unsent(0, 50, 9)
	if got := indexes(all); !slices.Equal(got, []uint64{100, 100}) {
		t.Errorf("all acknowledged: %v", got)
	}
}

func FuzzReadBook(f *testing.F) {
	s := signed("n1", 10)
	f.Add(append([]byte(bookMagic), frame(s.Encode())...))
	f.Add([]byte(bookMagic + "\x00\x00\x00\x00\x00\x00\x00\x00"))
	f.Fuzz(func(t *testing.T, data []byte) {
		list, whole, err := readBook(data)
		if err == nil && whole != int64(len(data)) {
			t.Fatalf("%d of %d octets were read without a word", whole, len(data))
		}
		again := []byte(bookMagic)
		for _, k := range list {
			again = append(again, frame(k.Raw)...)
		}
		if len(list) > 0 && !bytes.HasPrefix(data, again) {
			t.Fatal("what was read is not what is there")
		}
	})
}
