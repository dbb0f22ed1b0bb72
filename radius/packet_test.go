package radius_test

import (
	"bytes"
	"crypto/hmac"
	"crypto/md5"
	"errors"
	"testing"

	"meridian/radius"
	"meridian/radius/attr"
)

// golden are the exchanges of RFC 2865 §7 and RFC 5997 §6.
var golden = []struct{ name, request, reply string }{
	{"RFC 2865 §7.1 PAP", "010000380f403f9473978057bd83d5cb98f4227a01066e656d6f02120dbe708d93d413ce3196e43f782a0aee0406c0a80110050600000003",
		"0200002686fe220e7624ba2a1005f6bf9b55e0b20606000000010f06000000000e06c0a80103"},
	{"RFC 2865 §7.2 CHAP", "010100472aee86f08d0d55969ca5978e0d3367a20108666c6f707379031316e97557c316185895f293ff63440772750406c0a80110050600000014060600000002070600000001",
		"0201003815efbc7dab26cfa3dc34d9c03c8601a40606000000020706000000010806fffffffe0a06000000020d06000000010c06000005dc"},
	{"RFC 2865 §7.3 challenge", "01020039f3a47a1f6a6d76710b947ab93041a03901076d6f707379021233657573778289b570885e15084825c50406c0a80110050600000007",
		"0b02004e36f3c8764ae8c71157403c0c71ff9c4512304368616c6c656e67652033323736393433302e2020456e74657220726573706f6e73652061742070726f6d70742e180a3332373639343330"},
	{"RFC 2865 §7.3 reject", "01030043b122556d428a13d0d6253807c457ecf001076d6f7073790212692c1f205fc081b919b95195f561a5810406c0a80110050600000007180a3332373639343330",
		"03030014a42f4fca45916c4e09c8340f9e746aa0"},
	{"RFC 5997 §6.1", "0cda00268a54f4686fb394c52866e302185d062350125a665e2e1e8411f3e243822097c84fa3", "02da0014ef0d552a4bf2d693ec2b6fe8b5411d66"},
	{"RFC 5997 §6.2", "0cb30026925f6b66dd5fed571fcb1db7ad3882605012e8d6eabda910875cd91fdade26367858", "05b300140f6f92145f107e2f504e860a4860669c"},
}

func TestGoldenPackets(t *testing.T) {
	for _, g := range golden {
		t.Run(g.name, func(t *testing.T) {
			req, err := radius.Parse(unhex(t, g.request))
			if err != nil {
				t.Fatal(err)
			}
			want := unhex(t, g.reply)
			reply, err := radius.Parse(want)
			if err != nil {
				t.Fatal(err)
			}
			if err := reply.VerifyResponse(secret, req.Authenticator()); err != nil {
				t.Errorf("the RFC's reply: %v", err)
			}
			if err := reply.VerifyResponse([]byte("another"), req.Authenticator()); !errors.Is(err, radius.ErrAuthenticator) {
				t.Errorf("with another secret: %v", err)
			}
			got, err := radius.AppendResponse(nil, req, reply.Code(), reply.Attributes(), secret, false)
			if err != nil || !bytes.Equal(got, want) {
				t.Errorf("reply\n got %x, %v\nwant %x", got, err, want)
			}
			if req.Code() != radius.CodeStatusServer {
				return
			}
			if err := req.VerifyMessageAuthenticator(secret, req.Authenticator()); err != nil {
				t.Errorf("Message-Authenticator: %v", err)
			}
			again, err := radius.AppendRequest(nil, radius.CodeStatusServer, req.Identifier(), req.Authenticator(), nil, secret, true)
			if err != nil || !bytes.Equal(again, req.Bytes()) {
				t.Errorf("request\n got %x, %v\nwant %x", again, err, req.Bytes())
			}
		})
	}
}

func TestParse(t *testing.T) {
	good := unhex(t, golden[0].request)
	long := make([]byte, 4097)
	for _, c := range []struct {
		name   string
		packet []byte
		want   error
	}{
		{"empty", nil, radius.ErrPacket},
		{"19 octets", good[:19], radius.ErrPacket},
		{"length 19", append([]byte{1, 0, 0, 19}, good[4:]...), radius.ErrPacket},
		{"length beyond the datagram", good[:len(good)-1], radius.ErrPacket},
		{"length 4097", append([]byte{1, 0, 0x10, 0x01}, long...), radius.ErrPacket},
		{"attribute past the end", append([]byte{1, 0, 0, 22}, append(append([]byte{}, good[4:20]...), 1, 9)...), attr.ErrMalformed},
		{"as it should be", good, nil},
		{"padding", append(append([]byte{}, good...), 0xde, 0xad), nil},
		{"bare header", append([]byte{1, 0, 0, 20}, good[4:20]...), nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			p, err := radius.Parse(c.packet)
			if !errors.Is(err, c.want) {
				t.Fatalf("error %v, want %v", err, c.want)
			}
			if err == nil && len(p.Bytes()) != int(c.packet[2])<<8|int(c.packet[3]) {
				t.Errorf("%d octets kept", len(p.Bytes()))
			}
		})
	}
}

func TestMessageAuthenticatorIsHMAC(t *testing.T) {
	for _, key := range [][]byte{[]byte("s"), bytes.Repeat([]byte("k"), 64), bytes.Repeat([]byte("long"), 40)} {
		for _, size := range []int{0, 5, 240} {
			p := request(t, radius.CodeAccessRequest, 9, key, true, func(b *attr.Builder, _ [16]byte) {
				for range 5 {
					b.Bytes(attr.Class, make([]byte, size))
				}
			})
			got := append([]byte(nil), p[22:38]...)
			clear(p[22:38])
			mac := hmac.New(md5.New, key)
			mac.Write(p)
			if want := mac.Sum(nil); !bytes.Equal(got, want) {
				t.Errorf("secret of %d, packet of %d octets: %x, want %x", len(key), len(p), got, want)
			}
		}
	}
}

func TestVerifyMessageAuthenticator(t *testing.T) {
	good := request(t, radius.CodeAccessRequest, 1, secret, true, pap(secret))
	twice := append(append([]byte(nil), good...), good[20:38]...)
	twice[3] += 18
	short := append([]byte(nil), good[:20]...)
	short = append(short, 80, 3, 0)
	short[3] = byte(len(short))
	changed := append([]byte(nil), good...)
	changed[len(changed)-1] ^= 1
	for _, c := range []struct {
		name   string
		packet []byte
		want   error
	}{
		{"right", good, nil},
		{"one octet changed", changed, radius.ErrMA},
		{"two of them", twice, radius.ErrMAMultiple},
		{"of 1 octet", short, radius.ErrMA},
		{"none", request(t, radius.CodeAccessRequest, 1, secret, false, pap(secret)), radius.ErrMAMissing},
	} {
		p, err := radius.Parse(c.packet)
		if err != nil {
			t.Fatalf("%s: %v", c.name, err)
		}
		if err := p.VerifyMessageAuthenticator(secret, p.Authenticator()); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", c.name, err, c.want)
		}
	}
}

func TestAppendRefuses(t *testing.T) {
	req, err := radius.Parse(request(t, radius.CodeAccessRequest, 1, secret, false, func(b *attr.Builder, _ [16]byte) {
		for range 10 {
			b.Bytes(attr.ProxyState, make([]byte, 253))
		}
	}))
	if err != nil {
		t.Fatal(err)
	}
	var long attr.Builder
	for range 10 {
		long.Bytes(attr.Class, make([]byte, 253))
	}
	tooLong, _ := long.List()
	for _, c := range []struct {
		name  string
		attrs attr.List
		want  error
	}{
		{"own Message-Authenticator", append(attr.List{80, 18}, make([]byte, 16)...), radius.ErrAttributesOwned},
		{"own Proxy-State", attr.List{33, 3, 1}, radius.ErrAttributesOwned},
		{"malformed", attr.List{1}, attr.ErrMalformed},
		{"no room beside the Proxy-States", tooLong, radius.ErrAttributesLong},
	} {
		if out, err := radius.AppendResponse([]byte("kept"), req, radius.CodeAccessAccept, c.attrs, secret, true); !errors.Is(err, c.want) || string(out) != "kept" {
			t.Errorf("%s: %q, %v, want %v", c.name, out, err, c.want)
		}
	}
}

// FuzzParse: no datagram may panic; what is accepted keeps to RFC 2865 §3, and a reply to it can be made and verified.
func FuzzParse(f *testing.F) {
	for _, g := range golden {
		f.Add(unhex(f, g.request))
		f.Add(unhex(f, g.reply))
	}
	f.Add([]byte{})
	f.Add(bytes.Repeat([]byte{0xff}, 64))
	f.Add(append([]byte{1, 0, 0x10, 0}, make([]byte, 4092)...))
	f.Add(request(f, radius.CodeAccountingRequest, 3, secret, false, acct(attr.AcctInterim)))
	f.Fuzz(func(t *testing.T, datagram []byte) {
		p, err := radius.Parse(datagram)
		if err != nil {
			return
		}
		if n := len(p.Bytes()); n < 20 || n > 4096 || n > len(datagram) {
			t.Fatalf("accepted %d octets of %d", n, len(datagram))
		}
		_ = p.VerifyRequest(secret)
		_ = p.VerifyMessageAuthenticator(secret, p.Authenticator())
		out, err := radius.AppendResponse(nil, p, radius.CodeAccessAccept, nil, secret, true)
		if err != nil {
			if !errors.Is(err, radius.ErrAttributesLong) {
				t.Fatal(err)
			}
			return
		}
		r, err := radius.Parse(out)
		if err != nil {
			t.Fatal(err)
		}
		if err := r.VerifyResponse(secret, p.Authenticator()); err != nil {
			t.Fatal(err)
		}
		if got, want := r.Attributes().Count(attr.ProxyState), p.Attributes().Count(attr.ProxyState); got != want {
			t.Fatalf("%d Proxy-States of %d came back", got, want)
		}
	})
}
