package storetest

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"testing"
	"time"

	"meridian/central/access"
	"meridian/central/approvals"
	"meridian/central/catalog"
	"meridian/central/fault"
	"meridian/central/store"
	"meridian/internal/tariff"
)

// A version's place in each feed is told, before and after it has a number.
func testCatalogStatus(t *testing.T, open Opener) {
	w := NewWorld(t, open)
	w.Region("south")
	w.Drain()
	if _, err := w.Catalog.Publish(w.Ctx, []tariff.Offering{Offering("prepaid"), Offering("other")}); err != nil {
		t.Fatal(err)
	}
	rows := func(tx store.Tx) catalog.FeedRows { return w.Backend.Feed(tx) }
	places := func() string {
		list, err := w.Catalog.Status(w.Ctx, rows, "", 0, 10)
		w.must(err)
		if len(list) != 3 || list[0].Offering.ID != "other" || list[2].Offering.Version != 2 {
			t.Fatalf("versions %+v", list)
		}
		out := ""
		for _, s := range list {
			for _, d := range s.Deliveries {
				out += fmt.Sprint(d.Region, d.Number, " ")
			}
		}
		return out
	}
	if got, want := places(), "north0 south0 north1 south1 north0 south0 "; got != want {
		t.Errorf("before they have numbers: %s, want %s", got, want)
	}
	w.Drain()
	if got, want := places(), "north2 south2 north1 south1 north3 south3 "; got != want {
		t.Errorf("with numbers: %s, want %s", got, want)
	}
	w.must(w.Backend.View(w.Ctx, "test", func(ctx context.Context, tx store.Tx) error {
		got, err := w.Backend.Feed(tx).Numbers(ctx, "lease", []string{"other@1"})
		if len(got) != 0 {
			t.Errorf("numbers of another kind: %v", got)
		}
		return err
	}))
}

// A proposal is decided once, by another person, while it is young.
func testProposals(t *testing.T, open Opener) {
	w := bare(t, open)
	ann, bob := access.Operator{ID: "ann", Login: "ann@desk"}, access.Operator{ID: "bob", Login: "bob@desk"}
	propose := func() (p approvals.Proposal) {
		w.must(w.Backend.Do(w.Ctx, "propose", func(ctx context.Context, tx store.Tx) (err error) {
			p, err = w.Approvals.ProposeTx(ctx, tx, ann, approvals.Publish, []byte("id: x"), "the minister comes", []string{"x: is new"})
			return err
		}))
		return p
	}
	decide := func(by access.Operator, id string, outcome approvals.Outcome) (p approvals.Proposal, err error) {
		err = w.Backend.Do(w.Ctx, "decide", func(ctx context.Context, tx store.Tx) (err error) {
			p, err = w.Approvals.DecideTx(ctx, tx, by, id, outcome)
			return err
		})
		return p, err
	}
	first, second, third := propose(), propose(), propose()
	list, err := w.Approvals.Open(w.Ctx, 10)
	if err != nil || len(list) != 3 || !reflect.DeepEqual(list[0], first) || !reflect.DeepEqual(list[2], third) {
		t.Errorf("open %+v, %v", list, err)
	}
	if _, err := decide(ann, first.ID, approvals.Approved); !fault.Is(err, fault.Forbidden) {
		t.Errorf("one's own: %v", err)
	}
	if _, err := decide(bob, "none", approvals.Approved); !fault.Is(err, fault.NotFound) {
		t.Errorf("one that is not there: %v", err)
	}
	p, err := decide(bob, first.ID, approvals.Approved)
	if err != nil || p.DecidedBy != "bob@desk" || p.Outcome != approvals.Approved || string(p.Body) != "id: x" || p.DecidedAt <= p.ProposedAt {
		t.Errorf("approved: %+v, %v", p, err)
	}
	for _, outcome := range []approvals.Outcome{approvals.Approved, approvals.Rejected} {
		if _, err := decide(bob, first.ID, outcome); !fault.Is(err, fault.Conflict) {
			t.Errorf("%s again: %v", outcome, err)
		}
	}
	if _, err := decide(ann, second.ID, approvals.Rejected); err != nil {
		t.Errorf("taken back: %v", err)
	}
	w.must(w.Backend.Do(w.Ctx, "decide again", func(ctx context.Context, tx store.Tx) error {
		p.Outcome = approvals.Rejected
		if err := w.Backend.Approvals(tx).Decide(ctx, p); !errors.Is(err, store.ErrConflict) {
			t.Errorf("decided twice at one moment: %v", err)
		}
		return nil
	}))
	w.clock.Add((approvals.Life + time.Second).Microseconds())
	if _, err := decide(bob, third.ID, approvals.Approved); !fault.Is(err, fault.Conflict) {
		t.Errorf("one that is too old: %v", err)
	}
	if _, err := decide(bob, third.ID, approvals.Rejected); err != nil {
		t.Errorf("an old one rejected: %v", err)
	}
	if list, err := w.Approvals.Open(w.Ctx, 10); err != nil || len(list) != 0 {
		t.Errorf("open at the end %+v, %v", list, err)
	}
}
