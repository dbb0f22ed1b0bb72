package radius_test

import (
	"context"
	"net/netip"
	"os/exec"
	"strings"
	"testing"
	"time"

	"meridian/radius"
)

// radclient runs FreeRADIUS's client, a real peer that checks every reply itself; it gives its output and whether it was satisfied.
func radclient(t *testing.T, to netip.AddrPort, command, key, input string) (out string, satisfied bool) {
	t.Helper()
	path, err := exec.LookPath("radclient")
	if err != nil {
		t.Fatal("radclient is missing: apt-get install -y freeradius-utils")
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, path, "-x", "-r", "1", "-t", "2", to.String(), command, key)
	cmd.Stdin = strings.NewReader(input)
	b, err := cmd.CombinedOutput()
	return string(b), err == nil
}

func TestRadclient(t *testing.T) {
	s := serve(t, testConfig(), table(t, client()), radius.HandlerFunc(login))
	for _, c := range []struct {
		name    string
		acct    bool
		command string
		key     string
		input   string
		want    string // in the output of radclient; "" = no reply
	}{
		{"PAP with Message-Authenticator", false, "auth", string(secret), "User-Name=nemo,User-Password=arctangent,Message-Authenticator=0x00", "Received Access-Accept"},
		{"PAP, wrong password", false, "auth", string(secret), "User-Name=nemo,User-Password=other,Message-Authenticator=0x00", "Received Access-Reject"},
		{"PAP, long password", false, "auth", string(secret), "User-Name=nemo,User-Password=" + strings.Repeat("long", 25) + ",Message-Authenticator=0x00", "Received Access-Reject"},
		{"CHAP", false, "auth", string(secret), "User-Name=flopsy,CHAP-Password=arctangent,Message-Authenticator=0x00", "Received Access-Accept"},
		{"CHAP, wrong password", false, "auth", string(secret), "User-Name=flopsy,CHAP-Password=other,Message-Authenticator=0x00", "Received Access-Reject"},
		{"PAP with another secret", false, "auth", "wrong", "User-Name=nemo,User-Password=arctangent,Message-Authenticator=0x00", ""},
		{"Status-Server", false, "status", string(secret), "Message-Authenticator=0x00", "Received Access-Accept"},
		{"Status-Server, accounting", true, "status", string(secret), "Message-Authenticator=0x00", "Received Accounting-Response"},
		{"Start", true, "acct", string(secret), "Acct-Status-Type=Start,Acct-Session-Id=s1,User-Name=nemo,NAS-IP-Address=127.0.0.1", "Received Accounting-Response"},
		{"Interim", true, "acct", string(secret), "Acct-Status-Type=Interim-Update,Acct-Session-Id=s1,Acct-Input-Octets=5,Acct-Input-Gigawords=1", "Received Accounting-Response"},
		{"Stop with Proxy-State", true, "acct", string(secret), "Acct-Status-Type=Stop,Acct-Session-Id=s1,Proxy-State=0x616263", "Proxy-State = 0x616263"},
		{"Accounting-On", true, "acct", string(secret), "Acct-Status-Type=Accounting-On", "Received Accounting-Response"},
		{"accounting with another secret", true, "acct", "wrong", "Acct-Status-Type=Start,Acct-Session-Id=s1", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			to := s.AuthAddr()
			if c.acct {
				to = s.AcctAddr()
			}
			out, satisfied := radclient(t, to, c.command, c.key, c.input)
			if c.want == "" {
				if satisfied || strings.Contains(out, "Received") {
					t.Errorf("there was a reply:\n%s", out)
				}
				return
			}
			rejected := strings.Contains(c.want, "Reject") // radclient's exit code is 1 then
			if satisfied == rejected || !strings.Contains(out, c.want) {
				t.Errorf("want %q, satisfied %v:\n%s", c.want, satisfied, out)
			}
		})
	}
	st := s.Stats()
	if st.Auth.Drops[radius.DropMA] == 0 || st.Acct.Drops[radius.DropAuthenticator] == 0 {
		t.Errorf("the wrong secrets were not counted: %v %v", st.Auth.Drops, st.Acct.Drops)
	}
}
