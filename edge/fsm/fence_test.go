package fsm

import (
	"testing"

	"meridian/edge/command"
	"meridian/internal/feed"
)

// Drill: a region was restored from a backup that is behind the centre's cursor. It
// spends nothing: no login, no report, no fee, no order; its ledger stands still.
func TestFencedRegionSpendsNothing(t *testing.T) {
	r := newRegion(t, 50*eur, perGigabyte(), flat())
	r.login("s1")
	r.acct(command.Start, "s1", t0, 0, 0)
	r.acct(command.Interim, "s1", t0, 60, 10_000_000)
	if res := r.apply(&command.Fence{Epoch: 1, LastSeq: r.s.Seq - 1}); res.Code != command.OutOfOrder || r.s.Fenced {
		t.Fatalf("a ledger that went on is fenced: code %d", res.Code)
	}
	if res := r.apply(&command.Fence{Epoch: 2, LastSeq: r.s.Seq}); res.Code != command.OutOfOrder || r.s.Fenced {
		t.Fatalf("another epoch's fence: code %d", res.Code)
	}
	r.ok(&command.Fence{Epoch: 1, LastSeq: r.s.Seq})
	seq, head, bucket := r.s.Seq, r.s.Head, *r.s.buckets.get("a/cash")
	r.want("login", r.login("s2").Code, command.NotConfigured)
	r.want("the replica's answer", r.s.FindLogin("u").Reason, command.ReasonFenced)
	r.want("report", r.acct(command.Stop, "s1", t0, 120, 90_000_000).Code, command.NotConfigured)
	r.want("cut", r.apply(&command.CutAll{Limit: 9}).Code, command.NotConfigured)
	r.want("order", r.feed(feed.KindOrder, "o", &feed.Order{ID: "o", Subscription: "sub", Action: feed.ActionDebit, Bucket: "a/cash", Amount: 5}).Code, command.NotConfigured)
	r.tick(40 * 86400) // everything would be due
	r.want("mode", r.apply(&command.SetMode{Mode: command.Isolated}).Code, command.OK)
	r.want("fenced again", r.apply(&command.Fence{Epoch: 1, LastSeq: seq}).Code, command.Repeated)
	if r.s.Seq != seq || r.s.Head != head || *r.s.buckets.get("a/cash") != bucket {
		t.Errorf("the ledger went from %d to %d, the bucket from %+v to %+v", seq, r.s.Seq, bucket, *r.s.buckets.get("a/cash"))
	}
	r.want("region time goes on", r.s.Now/1_000_000, r.now)
	restored, err := Load(r.s.Dump())
	if err != nil || !restored.Fenced || restored.Hash() != r.s.Hash() {
		t.Errorf("a restored replica: %v, fenced %t", err, restored.Fenced)
	}
}
