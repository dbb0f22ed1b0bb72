package traffic

import (
	"errors"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"meridian/cmd/meridian/witness"
	"meridian/internal/mschap"
	"meridian/internal/verify"
	"meridian/radius"
	"meridian/radius/attr"
	"meridian/radius/vendor"
)

// server accepts everybody but "poor", grants a volume and counts.
type server struct {
	volume        int64
	mu            sync.Mutex
	most          map[string]uint64 // octets by session
	stops, others atomic.Int64
}

func (s *server) Client(netip.Addr) (*radius.Client, bool) {
	return &radius.Client{ID: "nas-1", Vendor: vendor.Generic, Secret: []byte("secret-12")}, true
}

func (s *server) ServeRADIUS(req *radius.Request, w *radius.Responder) {
	var b attr.Builder
	if req.Code == radius.CodeAccountingRequest {
		a, err := req.Attributes.Accounting()
		if err != nil {
			w.Drop(radius.DropBadReply)
			return
		}
		s.mu.Lock()
		id := string(a.SessionID)
		s.most[id] = max(s.most[id], a.InputOctets+a.OutputOctets)
		s.mu.Unlock()
		if a.Status == attr.AcctStop {
			s.stops.Add(1)
		} else {
			s.others.Add(1)
		}
		w.Reply(radius.CodeAccountingResponse, nil)
		return
	}
	if req.Attributes.Text(attr.UserName) == "poor" {
		w.Reply(radius.CodeAccessReject, nil)
		return
	}
	if err := vendor.Encode(&b, vendor.Generic, vendor.Profile{VolumeLimitBytes: s.volume}); err != nil {
		w.Drop(radius.DropBadReply)
		return
	}
	if req.Attributes.Credential() == attr.CredentialMSCHAP2 {
		prove(&b, req)
	}
	l, err := b.List()
	if err != nil {
		w.Drop(radius.DropBadReply)
		return
	}
	w.Reply(radius.CodeAccessAccept, l)
}

// prove answers an MS-CHAPv2 login of the password "pw".
func prove(b *attr.Builder, req *radius.Request) {
	m, err := req.Attributes.MSCHAP2()
	hash, hashErr := mschap.NTHash("pw")
	if err != nil || hashErr != nil {
		return // the NAS will say that there is no proof
	}
	a, c := mschap.New(hash), mschap.NewChallenge(m.PeerChallenge, m.Challenge, req.Attributes.Bytes(attr.UserName))
	success := a.Success(c, m.Response)
	b.MSCHAP2Success(m.Identifier, success[:])
	send, receive := a.Keys(m.Response)
	b.MPPEKeys(send, receive, 0, req.Secret(), req.Authenticator)
}

func serve(t *testing.T, s *server) *radius.Server {
	t.Helper()
	cfg := radius.DefaultConfig()
	any := netip.MustParseAddrPort("127.0.0.1:0")
	cfg.AuthAddr, cfg.AcctAddr = any, any
	r, err := radius.New(cfg, s, s, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := r.Close(); err != nil {
			t.Error(err)
		}
	})
	return r
}

func TestTrafficIsWitnessed(t *testing.T) {
	s := &server{volume: 3000, most: map[string]uint64{}}
	r := serve(t, s)
	file := filepath.Join(t.TempDir(), "witness.jsonl")
	w, err := witness.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	c := DefaultConfig()
	c.NAS = []NAS{{ID: "nas-1", CoA: netip.MustParseAddrPort("127.0.0.1:0"), Auth: []netip.AddrPort{r.AuthAddr()}, Acct: []netip.AddrPort{r.AcctAddr()}}}
	c.Secret, c.Run, c.Witness, c.Logger = []byte("secret-12"), "test", w, slog.New(slog.DiscardHandler)
	c.Sessions, c.Interval, c.Disobey = 8, 5*time.Millisecond, 0
	for _, login := range []string{"ann", "bob", "cid", "dan", "eve", "poor"} {
		c.Subscribers = append(c.Subscribers, Subscriber{Login: login, Password: "pw", UpBps: 400_000, DownBps: 400_000, Eager: login == "ann"})
	}
	tr, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	if err := tr.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := tr.Phase("online"); err != nil {
		t.Fatal(err)
	}
	tr.WatchAck()
	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		n := tr.Counters()
		_, acked := tr.FirstAck()
		if n.LimitStops > 2 && n.AuthReject > 0 && n.Reordered > 0 && n.Duplicates > 0 && n.Everywhere > 0 && acked {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("not everything happened: %+v, acknowledged %v", n, acked)
		}
	}
	if err := errors.Join(tr.Stop(), tr.Stop(), w.Close()); err != nil {
		t.Fatal(err)
	}
	compareWitness(t, file, s, tr.Counters())
}

// compareWitness wants every acknowledged report in the witness, every session
// stopped, and none beyond its limit.
func compareWitness(t *testing.T, file string, s *server, n Counters) {
	t.Helper()
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	got, err := verify.ReadWitness(f)
	if err != nil {
		t.Fatal(err)
	}
	var acked, accepts int64
	for _, p := range got.Phases {
		acked += p.Acked
		accepts += p.Accepts
	}
	if acked != n.AcctAcked || accepts != n.AuthOK || n.AcctTimeouts != 0 || n.AuthTimeouts != 0 {
		t.Errorf("witness: %d acknowledged, %d accepted; counters %+v", acked, accepts, n)
	}
	if int64(len(got.Sessions)) != n.AuthOK {
		t.Errorf("%d sessions for %d logins", len(got.Sessions), n.AuthOK)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, ses := range got.Sessions {
		if !ses.Stopped {
			t.Errorf("session %v was not stopped", ses.Key)
		}
		sum := ses.Acked.In + ses.Acked.Out
		if sum > uint64(s.volume) || s.most[ses.Key.ID] != sum {
			t.Errorf("session %v: %d octets acknowledged, %d arrived, the limit is %d", ses.Key, sum, s.most[ses.Key.ID], s.volume)
		}
	}
}

func TestConfigValidate(t *testing.T) {
	err := (&Config{Sessions: -1, MinReports: 2, MaxReports: 1}).Validate()
	for _, part := range []string{"no NAS", "no subscribers", "sessions is -1", "interval", "reports from 2 to 1", "give up", "run is empty", "logger"} {
		if err == nil || !strings.Contains(err.Error(), part) {
			t.Errorf("%q is missing in %v", part, err)
		}
	}
}
