package forward

import (
	"bytes"
	"testing"
)

// Who asks and who answers is known by certificate, not by what they say.
func TestHeadsBetweenNodes(t *testing.T) {
	ca := testCA(t)
	cfg := testConfig(t, ca, "north", "n1")
	srv := serve(t, cfg, &fakeLeader{}, "127.0.0.1:0")
	asking := pool(t, testConfig(t, ca, "north", "n2"))
	if _, err := asking.Heads(t.Context(), srv.addr, HeadsQuery{}); err == nil {
		t.Error("a node that compares nothing answered")
	}
	var asker string
	var query HeadsQuery
	comparing, err := NewServer(cfg, &fakeLeader{}, func() Status { return Status{} })
	if err != nil {
		t.Fatal(err)
	}
	comparing.AnswerHeads(func(who string, q HeadsQuery) Heads {
		asker, query = who, q
		return Heads{From: "ignored", Points: [][]byte{{1}, {2}}, Signed: [][]byte{{3}}, Yours: []byte{4}}
	})
	got, err := asking.Heads(t.Context(), listen(t, cfg, comparing, "127.0.0.1:0").addr, HeadsQuery{AfterIndex: 7, AfterSigned: 5})
	if err != nil {
		t.Fatal(err)
	}
	if asker != "n2" || query != (HeadsQuery{AfterIndex: 7, AfterSigned: 5}) {
		t.Errorf("asked by %q with %+v", asker, query)
	}
	if got.From != "n1" || len(got.Points) != 2 || !bytes.Equal(got.Signed[0], []byte{3}) || !bytes.Equal(got.Yours, []byte{4}) {
		t.Errorf("answer is %+v", got)
	}
	if _, err := pool(t, testConfig(t, ca, "south", "n2")).Heads(t.Context(), srv.addr, HeadsQuery{}); err == nil {
		t.Error("heads for a node of another region")
	}
}
