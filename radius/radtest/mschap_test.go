package radtest_test

import (
	"errors"
	"testing"

	"layeh.com/radius/rfc2759"
	"layeh.com/radius/rfc3079"

	"meridian/radius"
	"meridian/radius/attr"
	"meridian/radius/radtest"
)

// A NAS must not take an Accept for good that does not prove the password.
func TestMSCHAP2AcceptMustProveThePassword(t *testing.T) {
	type reply struct {
		success       []byte
		send, receive [16]byte
		secret        []byte
	}
	for _, c := range []struct {
		name  string
		spoil func(*reply)
		keys  bool
		want  error
	}{
		{"as it should be", func(*reply) {}, true, nil},
		{"no keys", func(*reply) {}, false, radtest.ErrMSCHAP},
		{"proof of another password", func(r *reply) { r.success[10] ^= 1 }, true, radtest.ErrMSCHAP},
		{"other send key", func(r *reply) { r.send[0] ^= 1 }, true, radtest.ErrMSCHAP},
		{"other receive key", func(r *reply) { r.receive[15] ^= 1 }, true, radtest.ErrMSCHAP},
		{"keys the wrong way round", func(r *reply) { r.send, r.receive = r.receive, r.send }, true, radtest.ErrMSCHAP},
		{"keys under another secret", func(r *reply) { r.secret = []byte("another") }, true, radtest.ErrMSCHAP},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := serve(t, radius.HandlerFunc(func(req *radius.Request, w *radius.Responder) {
				m, err := req.Attributes.MSCHAP2()
				if err != nil {
					t.Error(err)
				}
				password, user := []byte("pw-ann"), []byte("ann")
				proof, _ := rfc2759.GenerateAuthenticatorResponse(m.Challenge[:], m.PeerChallenge[:], m.Response[:], user, password)
				send, _ := rfc3079.MakeKey(m.Response[:], password, true)
				receive, _ := rfc3079.MakeKey(m.Response[:], password, false)
				r := reply{success: []byte(proof), send: [16]byte(send), receive: [16]byte(receive), secret: req.Secret()}
				c.spoil(&r)
				var b attr.Builder
				b.MSCHAP2Success(m.Identifier, r.success)
				if c.keys {
					b.MPPEKeys(r.send, r.receive, 5, r.secret, req.Authenticator)
				}
				l, err := b.List()
				if err != nil {
					t.Error(err)
				}
				_ = w.Reply(radius.CodeAccessAccept, l)
			}))
			n := newNAS(t, nil, s)
			if _, err := n.Login(t.Context(), radtest.Login{User: `REALM\ann`, Password: "pw-ann", Method: radtest.MSCHAP2}); !errors.Is(err, c.want) {
				t.Errorf("got %v, want %v", err, c.want)
			}
		})
	}
}
