package uplink

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"time"

	"meridian/edge/command"
	"meridian/edge/fsm"
	"meridian/internal/feed"
	"meridian/internal/journal"
	"meridian/internal/tariff"
	"meridian/internal/verify"
	"meridian/replication/link"
)

// memory is a Log over one state machine.
type memory struct {
	state   *fsm.State
	entries []verify.RawEntry
	changed chan struct{}
}

func newMemory(t *testing.T) *memory {
	t.Helper()
	m := &memory{state: fsm.New(), changed: make(chan struct{})}
	m.state.Apply(&command.Configure{Region: "north", Policy: command.DefaultPolicy()})
	m.state.Apply(&command.Tick{Clocks: []int64{1_799_999_000_000_000}})
	return m
}

func (m *memory) Do(_ context.Context, c command.Command) (command.Result, error) {
	r := m.state.Apply(c)
	m.entries = append(m.entries, m.state.TakeEntries()...)
	close(m.changed)
	m.changed = make(chan struct{})
	return r, nil
}

func (m *memory) View(fn func(*fsm.State)) { fn(m.state) }
func (m *memory) Changed() <-chan struct{} { return m.changed }

func (m *memory) Entries(after uint64, hash journal.Hash, most, _ int) ([]verify.RawEntry, journal.Hash, error) {
	var out []verify.RawEntry
	for _, e := range m.entries {
		if e.Seq > after && len(out) < most {
			out, hash = append(out, e), journal.Chain(hash, e.Raw)
		}
	}
	return out, hash, nil
}

func (m *memory) HashAt(seq uint64) (journal.Hash, error) {
	if seq > m.state.Seq {
		return journal.Hash{}, errors.New("beyond the ledger")
	}
	_, h, err := m.Entries(0, journal.Hash{}, int(seq), 0)
	return h, err
}

func newUplink(m *memory) *Uplink {
	return New("north", "north-1", "test", m, func() uint64 { return 3 }, func() time.Time { return time.Unix(1_800_000_000, 0) }, slog.New(slog.DiscardHandler))
}

func TestFirstWelcomeOpensTheEpochAndSendsIt(t *testing.T) {
	m := newMemory(t)
	u := newUplink(m)
	if err := u.Welcome(t.Context(), link.Welcome{Epoch: 4}); err != nil {
		t.Fatal(err)
	}
	if m.state.Epoch != 4 || m.state.Mode != command.Connected || m.state.Seq != 1 {
		t.Fatalf("epoch %d, mode %s, seq %d", m.state.Epoch, m.state.Mode, m.state.Seq)
	}
	b, err := u.Entries(t.Context(), 0, 100, 1<<20)
	if err != nil || b.Epoch != 4 || b.FirstSeq != 1 || len(b.Entries) != 1 || hashOf(b.HeadHash) != m.state.Head {
		t.Fatalf("%+v %v", b, err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := u.Entries(ctx, 1, 100, 1<<20); !errors.Is(err, context.Canceled) {
		t.Fatalf("with nothing to send: %v", err)
	}
	if err := u.Acked(t.Context(), link.Ack{Epoch: 4, Seq: 1, Hash: m.state.Head[:]}); err != nil || m.state.Acked != 1 {
		t.Fatalf("acked %d: %v", m.state.Acked, err)
	}
}

func TestWelcomeThatContradictsTheLedgerIsRefused(t *testing.T) {
	const forked = "another hash of what was never acknowledged" // restored, and gone on since
	for name, change := range map[string]func(*link.Welcome){
		"another epoch":            func(w *link.Welcome) { w.Epoch = 2 },
		"another hash":             func(w *link.Welcome) { w.CursorHash = make([]byte, 32) },
		forked:                     func(w *link.Welcome) { w.CursorHash = make([]byte, 32) },
		"entries we do not have":   func(w *link.Welcome) { w.CursorSeq = 99 },
		"behind what it had taken": func(w *link.Welcome) { w.CursorSeq = 0 },
	} {
		m := newMemory(t)
		u := newUplink(m)
		if err := u.Welcome(t.Context(), link.Welcome{Epoch: 1}); err != nil {
			t.Fatal(err)
		}
		head := m.state.Head
		w := link.Welcome{Epoch: 1, CursorSeq: 1, CursorHash: head[:]}
		if name != forked {
			if err := u.Welcome(t.Context(), w); err != nil {
				t.Fatalf("%s: the true one: %v", name, err)
			}
		}
		change(&w)
		if err := u.Welcome(t.Context(), w); !errors.Is(err, ErrDiverged) {
			t.Errorf("%s: got %v", name, err)
		}
		m.state.Apply(&command.Tick{Clocks: []int64{1_800_000_000_000_000}})
		if err := u.Fence(t.Context()); err != nil || m.state.Fenced != (name == forked) {
			t.Errorf("%s: fenced %t, %v", name, m.state.Fenced, err)
		}
	}
}

func TestUnreadableRowNeverEntersTheLog(t *testing.T) {
	m := newMemory(t)
	u := newUplink(m)
	if err := u.Welcome(t.Context(), link.Welcome{Epoch: 1}); err != nil {
		t.Fatal(err)
	}
	good := link.Row{Number: 1, EntityKind: "operator", EntityID: "o", EntityVersion: 1, Body: []byte(`{"id":"o"}`)}
	bad := link.Row{Number: 2, EntityKind: "weather", EntityID: "x", EntityVersion: 1, Body: []byte("{}")}
	after := link.Row{Number: 3, EntityKind: "operator", EntityID: "p", EntityVersion: 1, Body: []byte(`{"id":"p"}`)}
	for _, rows := range [][]link.Row{{good, bad}, {after}} {
		if err := u.Feed(t.Context(), rows); err != nil {
			t.Fatalf("the stream ends, and the ledger with it: %v", err)
		}
	}
	if m.state.FeedVersion != 1 || u.FeedBlocked() == nil {
		t.Fatalf("feed version %d, blocked %v", m.state.FeedVersion, u.FeedBlocked())
	}
	if err := u.Welcome(t.Context(), link.Welcome{Epoch: 1}); err != nil || u.FeedBlocked() != nil {
		t.Fatalf("a new stream tries again: %v, %v", err, u.FeedBlocked())
	}
	u.Refused(link.Refused{Code: link.CodeRevoked})
	if u.Refusal() == nil {
		t.Fatal("the refusal is not told")
	}
}

// A region whose ledger ends before the centre's cursor spends nothing any more; one
// whose leader had only not caught up when it said hello goes on.
// An offering whose table is not here never enters the log; one whose table comes
// before it does.
func TestAnOfferingWaitsForItsTable(t *testing.T) {
	m := newMemory(t)
	u := newUplink(m)
	welcome := func() {
		t.Helper()
		if err := u.Welcome(t.Context(), link.Welcome{Epoch: 1}); err != nil {
			t.Fatal(err)
		}
	}
	table := &tariff.Table{ID: "world", Version: 1, Destinations: []tariff.Destination{{Zone: "home", Prefixes: []string{"+49"}}}}
	o := &tariff.Offering{ID: "v", Version: 1, Name: "V", Currency: "EUR", Service: "voice", Overrun: tariff.Owed,
		Usage:       []tariff.Usage{{Name: "calls", Unit: tariff.Seconds, Table: "world", TableVersion: 1, TableHash: table.Content(), Rates: []tariff.Rate{{Zone: "home", Price: tariff.Price{Amount: 1, Per: 1}}}}},
		Reservation: tariff.Reservation{Quota: 60, TTLSeconds: 300}, Profile: tariff.Profile{SessionLimit: 1, InterimSeconds: 60}}
	row := func(number uint64, kind feed.Kind, id string, entity any) link.Row {
		body, err := feed.Encode(entity)
		if err != nil {
			t.Fatal(err)
		}
		return link.Row{Number: number, EntityKind: string(kind), EntityID: id, EntityVersion: 1, Body: body}
	}
	welcome()
	if err := u.Feed(t.Context(), []link.Row{row(1, feed.KindOffering, "v@1", o)}); err != nil || m.state.FeedVersion != 0 {
		t.Fatalf("%v, feed version %d", err, m.state.FeedVersion)
	}
	if err := u.FeedBlocked(); err == nil || !strings.Contains(err.Error(), "tables [world@1] are not here") {
		t.Fatalf("blocked: %v", err)
	}
	welcome()
	if err := u.Feed(t.Context(), []link.Row{row(1, feed.KindTable, "world@1", table), row(2, feed.KindOffering, "v@1", o)}); err != nil || u.FeedBlocked() != nil || m.state.FeedVersion != 2 {
		t.Fatalf("%v, %v, feed version %d", err, u.FeedBlocked(), m.state.FeedVersion)
	}
}

func TestRegionBehindTheCentreIsFenced(t *testing.T) {
	for _, c := range []struct {
		name   string
		code   link.Code
		caught bool // the leader catches up between hello and refusal
		damage bool // the leader's segments are not the region's ledger
		fenced bool
	}{
		{"restored from a backup", link.CodeStaleEpoch, false, false, true},
		{"a leader that had not caught up", link.CodeStaleEpoch, true, false, false},
		{"restored, and gone on since", link.CodeBadHash, true, false, true},
		{"one node whose segments were rewritten", link.CodeBadHash, false, true, false},
		{"an older term", link.CodeStaleTerm, false, false, false},
		{"revoked", link.CodeRevoked, false, false, false},
	} {
		m := newMemory(t)
		u := newUplink(m)
		if err := u.Welcome(t.Context(), link.Welcome{Epoch: 1}); err != nil {
			t.Fatal(err)
		}
		u.Hello()
		if c.caught {
			_, _ = m.Do(t.Context(), &command.Tick{Clocks: []int64{1_800_000_000_000_000}})
			_, _ = m.Do(t.Context(), &command.Feed{Rows: []feed.Row{{Number: 1, Kind: feed.KindOrder, ID: "o", Version: 1, Body: []byte(`{"id":"o","subscription":"none","action":"bar"}`)}}})
		}
		if c.damage {
			m.entries[0].Raw = append([]byte{1}, m.entries[0].Raw...)
			other := journal.Hash{7}
			if err := u.Welcome(t.Context(), link.Welcome{Epoch: 1, CursorSeq: 1, CursorHash: other[:]}); !errors.Is(err, ErrDiverged) {
				t.Errorf("%s: %v", c.name, err)
			}
		}
		u.Refused(link.Refused{Code: c.code})
		for range 2 {
			if err := u.Fence(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		if m.state.Fenced != c.fenced {
			t.Errorf("%s: fenced %t", c.name, m.state.Fenced)
		}
	}
}

// The centre gives a new epoch to the ledger that a hello told of: the region leaves
// the old one and begins; a ledger that went on since keeps what it has.
func TestWelcomeOfANewEpoch(t *testing.T) {
	for _, goesOn := range []bool{false, true} {
		m := newMemory(t)
		u := newUplink(m)
		if err := u.Welcome(t.Context(), link.Welcome{Epoch: 1}); err != nil {
			t.Fatal(err)
		}
		u.Hello()
		before := journal.Hash{4, 5}
		if goesOn {
			m.state.Apply(&command.Feed{Rows: []feed.Row{{Number: 1, Kind: feed.KindOrder, ID: "o", Version: 1, Body: []byte(`{"id":"o","subscription":"none","action":"bar"}`)}}})
		}
		err := u.Welcome(t.Context(), link.Welcome{Epoch: 2, EpochPrevHash: before[:]})
		if (err != nil) != goesOn {
			t.Errorf("goes on %t: %v", goesOn, err)
		}
		if s := m.state; goesOn && (s.Epoch != 1 || s.Fenced) || !goesOn && (s.Epoch != 2 || s.Fenced || !s.Gathering || s.Seq != 1) {
			t.Errorf("goes on %t: epoch %d, seq %d, fenced %t, gathering %t", goesOn, s.Epoch, s.Seq, s.Fenced, s.Gathering)
		}
	}
}
