package acceptance

import (
	"bytes"
	"errors"
	"fmt"
	"net/http"
	"os/exec"
	"strings"
	"testing"
	"time"

	"meridian/internal/mschap"
)

const secret = "demo-secret"

// radclient sends one request and returns what it printed and whether it got the
// answer that it hoped for.
func radclient(t *testing.T, addr, command, secret string, attributes ...string) (string, bool) {
	t.Helper()
	if _, err := exec.LookPath("radclient"); err != nil {
		t.Fatalf("%v: run `apt-get install freeradius-utils` as root, or `make setup`", err)
	}
	cmd := exec.CommandContext(t.Context(), "radclient", "-x", "-r", "2", "-t", "3", addr, command, secret)
	cmd.Stdin = strings.NewReader(strings.Join(attributes, "\n") + "\n")
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatalf("radclient: %v", err)
	}
	return out.String(), err == nil
}

// usage is one accounting request of a session, as radclient writes it. start is
// in Unix seconds.
func usage(user, session, status string, start int64, seconds, in, out int) []string {
	return []string{
		fmt.Sprintf("User-Name = %q", user), fmt.Sprintf("Acct-Session-Id = %q", session), "Acct-Status-Type = " + status,
		fmt.Sprintf("Event-Timestamp = %d", start+int64(seconds)), fmt.Sprintf("Acct-Session-Time = %d", seconds),
		fmt.Sprintf("Acct-Input-Octets = %d", in), fmt.Sprintf("Acct-Output-Octets = %d", out),
		"NAS-IP-Address = 127.0.0.1", "NAS-Port = 7", "Framed-IP-Address = 100.64.0.9",
	}
}

func TestRadclientThreeNodes(t *testing.T) {
	net, dir := network(0), t.TempDir()
	demo := start(t, "demo", "--no-story", "--dir", dir, "--network", net, "--subscribers", "20")
	demo.prints(t, "goes on running", 2*time.Minute)
	auth := func(n int) string { return fmt.Sprintf("%s.1.%d:1812", net, n) }
	acct := func(n int) string { return fmt.Sprintf("%s.1.%d:1813", net, n) }
	token := readFile(t, dir, "keys", "admin.token")

	t.Run("status", func(t *testing.T) {
		for n := 1; n <= 3; n++ {
			for _, addr := range []string{auth(n), acct(n)} {
				if out, ok := radclient(t, addr, "status", secret, "Message-Authenticator = 0x00"); !ok {
					t.Errorf("%s: %s", addr, out)
				}
			}
		}
	})
	t.Run("login", func(t *testing.T) { logins(t, auth) })
	t.Run("money", func(t *testing.T) { money(t, net, token, acct) })
	t.Run("token", func(t *testing.T) { refusals(t, net, token) })
	for id, f := range findings(t, 0, "--dir", dir) {
		if !f.OK {
			t.Errorf("%s: %s", id, f.Detail)
		}
	}
	demo.stop(t, 30*time.Second)
}

// msCHAP2 is what a NAS sends for a peer that answers a challenge with the password, and the proof that the server owes it.
func msCHAP2(t *testing.T, user, password string) (sent, proof string) {
	t.Helper()
	hash, err := mschap.NTHash(password)
	if err != nil {
		t.Fatal(err)
	}
	challenge, peer := [16]byte{1, 2, 3}, [16]byte{4, 5, 6}
	a, c := mschap.New(hash), mschap.NewChallenge(peer, challenge, []byte(user))
	r := a.Expect(c)
	success := a.Success(c, r)
	return fmt.Sprintf("MS-CHAP-Challenge = 0x%x, MS-CHAP2-Response = 0x0700%x%016x%x", challenge, peer, 0, r), fmt.Sprintf("MS-CHAP2-Success = 0x07%x", success)
}

func logins(t *testing.T, auth func(int) string) {
	sent, proof := msCHAP2(t, "user000006", "pw-user000006")
	wrong, _ := msCHAP2(t, "user000006", "pw-user000007")
	for _, c := range []struct {
		name, addr, secret, credential, user string
		want                                 string // what must be printed
		ok                                   bool
	}{
		{"pap", auth(1), secret, `User-Password = "pw-user000001"`, "user000001", "Received Access-Accept", true},
		{"chap", auth(2), secret, `CHAP-Password = "pw-user000002"`, "user000002", "Received Access-Accept", true},
		{"ms-chapv2", auth(1), secret, sent, "user000006", proof, true},
		{"wrong ms-chapv2", auth(2), secret, wrong, "user000006", "E=691 R=0 C=", false},
		{"flat rate", auth(3), secret, `User-Password = "pw-user000003"`, "user000003", "Received Access-Accept", true},
		{"wrong password", auth(1), secret, `User-Password = "pw-user000002"`, "user000001", "Received Access-Reject", false},
		{"wrong chap", auth(1), secret, `CHAP-Password = "pw-user000002"`, "user000001", "Received Access-Reject", false},
		{"unknown", auth(2), secret, `User-Password = "pw"`, "nobody", "Received Access-Reject", false},
		{"wrong secret", auth(3), "other-secret", `User-Password = "pw-user000001"`, "user000001", "No reply", false},
	} {
		out, ok := radclient(t, c.addr, "auth", c.secret, fmt.Sprintf("User-Name = %q", c.user), c.credential,
			"NAS-IP-Address = 127.0.0.1", "NAS-Port = 7", fmt.Sprintf("Acct-Session-Id = \"login-%s\"", strings.ReplaceAll(c.name, " ", "-")), "Message-Authenticator = 0x00")
		if ok != c.ok || !strings.Contains(out, c.want) {
			t.Errorf("%s: accepted %v, want %v and %q in:\n%s", c.name, ok, c.ok, c.want, out)
		}
	}
}

// statement is what the test reads of an account's statement.
type statement struct {
	Opening, Credits, Charges, Closing, Overrun string
	Lines                                       []struct{ Kind, Amount string }
}

// money sends usage, most of it twice and to several nodes, and wants exact
// charges at the centre: 2.00 for 10^9 octets, rounded down to a micro-unit.
func money(t *testing.T, net, token string, acct func(int) string) {
	start := time.Now().Add(-time.Minute).Unix()
	send := func(node int, user, session, status string, seconds, in, out int) {
		t.Helper()
		if printed, ok := radclient(t, acct(node), "acct", secret, usage(user, session, status, start, seconds, in, out)...); !ok {
			t.Fatalf("%s of %s at node %d: %s", status, session, node, printed)
		}
	}
	// 10^9 octets in all; duplicates to two nodes, a late interim after the Stop.
	send(1, "user000001", "money-1", "Start", 0, 0, 0)
	send(2, "user000001", "money-1", "Interim-Update", 20, 100_000_000, 300_000_000)
	send(3, "user000001", "money-1", "Interim-Update", 20, 100_000_000, 300_000_000)
	send(1, "user000001", "money-1", "Stop", 50, 200_000_000, 800_000_000)
	send(2, "user000001", "money-1", "Stop", 50, 200_000_000, 800_000_000)
	send(3, "user000001", "money-1", "Interim-Update", 30, 150_000_000, 500_000_000)
	// A Stop whose Start was lost: 123456789 octets cost 0.246913578.
	send(3, "user000002", "money-2", "Stop", 40, 23_456_789, 100_000_000)
	send(1, "user000002", "money-2", "Stop", 40, 23_456_789, 100_000_000)
	// A flat rate: the fee was taken once, usage is free.
	send(2, "user000003", "money-3", "Stop", 40, 1_000_000, 1_000_000)

	for _, c := range []struct{ account, credits, charges, closing string }{
		{"acc000001", "20.00", "2.00", "18.00"},
		{"acc000002", "20.00", "0.246913", "19.753087"},
		{"acc000003", "25.00", "20.00", "5.00"},
	} {
		eventually(t, 30*time.Second, func() error {
			var s statement
			status, err := ask(t, http.MethodGet, "http://"+net+".0.1:8080/v1/accounts/"+c.account+"/statement", token, "", &s)
			if err != nil || status != http.StatusOK {
				return fmt.Errorf("statement of %s: %d %w", c.account, status, err)
			}
			usage := 0
			for _, l := range s.Lines {
				if l.Kind == "usage" {
					usage++
				}
			}
			if s.Credits != c.credits || s.Charges != c.charges || s.Closing != c.closing || usage == 0 || (s.Overrun != "0" && s.Overrun != "0.00") {
				return fmt.Errorf("%s: %+v, want credits %s, charges %s, closing %s and usage", c.account, s, c.credits, c.charges, c.closing)
			}
			return nil
		})
	}
}

// refusals: nothing is written without a token, and with a wrong one.
func refusals(t *testing.T, net, token string) {
	centre, edge := "http://"+net+".0.1:8080", "http://"+net+".1.1:8090"
	for _, url := range []string{centre + "/v1/customers", centre + "/v1/deposits", centre + "/v1/orders", centre + "/v1/nas", centre + "/v1/offerings",
		centre + "/v1/subscribers", centre + "/v1/regions", edge + "/v1/audit", edge + "/v1/cut"} {
		for _, wrong := range []string{"", "0123456789012345678901234567890123456789"} {
			if status, err := ask(t, http.MethodPost, url, wrong, "{}", nil); err != nil || status != http.StatusUnauthorized {
				t.Errorf("POST %s with token %q: status %d, %v; want 401", url, wrong, status, err)
			}
		}
	}
	for _, url := range []string{centre + "/v1/accounts/acc000001", edge + "/v1/accounts/acc000001"} {
		if status, err := ask(t, http.MethodGet, url, "", "", nil); err != nil || status != http.StatusUnauthorized {
			t.Errorf("GET %s without token: status %d, %v; want 401", url, status, err)
		}
		if status, err := ask(t, http.MethodGet, url, token, "", nil); err != nil || status != http.StatusOK {
			t.Errorf("GET %s with the token: status %d, %v; want 200", url, status, err)
		}
	}
}
