package vendor_test

import (
	"encoding/hex"
	"errors"
	"math"
	"net/netip"
	"reflect"
	"strings"
	"testing"
	"unicode/utf8"

	"meridian/radius/attr"
	"meridian/radius/vendor"
)

func encode(t *testing.T, name string, p vendor.Profile) attr.List {
	t.Helper()
	var b attr.Builder
	if err := vendor.Encode(&b, name, p); err != nil {
		t.Fatal(err)
	}
	l, err := b.List()
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func TestEncode(t *testing.T) {
	speed := vendor.Profile{UpBps: 10_000_000, DownBps: 50_000_000}
	for _, c := range []struct {
		name   string
		vendor string
		p      vendor.Profile
		want   string // hex, attribute by attribute
	}{
		{"nothing", vendor.Generic, vendor.Profile{}, ""},
		{"standard", vendor.Generic, vendor.Profile{Pool: "p1", FramedIP: netip.MustParseAddr("10.0.0.9"), SessionTimeoutS: 3600, IdleTimeoutS: 60, InterimS: 600,
			Class: []byte{0xc1}, ReplyMessage: "hi"}, "08060a000009 58047031 1b0600000e10 1c060000003c 550600000258 1903c1 12046869"},
		{"generic speed", vendor.Generic, speed, "1a0c0000372a070600989680 1a0c0000372a080602faf080"},
		{"generic 10 Gbit/s is the largest that fits", vendor.Generic, vendor.Profile{DownBps: 10_000_000_000}, "1a0c0000372a0806ffffffff"},
		{"generic volume", vendor.Generic, vendor.Profile{VolumeLimitBytes: 1000}, "1a0c000038df0306000003e8"},
		{"generic volume of 5 GiB", vendor.Generic, vendor.Profile{VolumeLimitBytes: 5 << 30}, "1a0c000038df030640000000 1a0c000038df170600000001"},
		{"mikrotik speed, up first", vendor.Mikrotik, speed, "1a0f00003a8c0809" + hex.EncodeToString([]byte("10M/50M"))},
		{"mikrotik odd speed", vendor.Mikrotik, vendor.Profile{UpBps: 1500, DownBps: 64_000}, "1a1000003a8c080a" + hex.EncodeToString([]byte("1500/64k"))},
		{"mikrotik volume of 5 GiB", vendor.Mikrotik, vendor.Profile{VolumeLimitBytes: 5 << 30}, "1a0c00003a8c110640000000 1a0c00003a8c120600000001"},
		{"accel-ppp speed, down first, kbit", vendor.AccelPPP, speed, "0b0d" + hex.EncodeToString([]byte("50000/10000"))},
		{"accel-ppp slow is not unlimited", vendor.AccelPPP, vendor.Profile{DownBps: 100}, "0b05" + hex.EncodeToString([]byte("1/0"))},
		{"accel-ppp volume of 5 GiB ends earlier", vendor.AccelPPP, vendor.Profile{VolumeLimitBytes: 5 << 30}, "e306ffffffff e40600000000"},
		{"endless session", vendor.Generic, vendor.Profile{SessionTimeoutS: math.MaxInt64}, "1b06ffffffff"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got, want := hex.EncodeToString(encode(t, c.vendor, c.p)), strings.Join(strings.Fields(c.want), ""); got != want {
				t.Errorf("\n got %s\nwant %s", got, want)
			}
		})
	}
}

func TestRoundTrip(t *testing.T) {
	for _, name := range vendor.Names() {
		p := vendor.Profile{
			UpBps: 2_000_000, DownBps: 7_500_000, Pool: "pool-a", FramedIP: netip.MustParseAddr("100.64.1.2"), SessionTimeoutS: 86_400,
			VolumeLimitBytes: 3_000_000_000, IdleTimeoutS: 900, InterimS: 660, Class: []byte("sub-17"), ReplyMessage: "willkommen",
		}
		if name != vendor.AccelPPP {
			p.VolumeLimitBytes = 123_456_789_012
		}
		got, err := vendor.Decode(name, encode(t, name, p))
		if err != nil || !reflect.DeepEqual(got, p) {
			t.Errorf("%s:\n got %+v, %v\nwant %+v", name, got, err, p)
		}
	}
}

func TestFaults(t *testing.T) {
	var b attr.Builder
	err := vendor.Encode(&b, "cisco", vendor.Profile{})
	if !errors.Is(err, vendor.ErrUnknown) || !strings.Contains(err.Error(), "accel-ppp, generic, mikrotik") {
		t.Errorf("unknown vendor: %v", err)
	}
	if _, err := vendor.Decode("cisco", nil); !errors.Is(err, vendor.ErrUnknown) {
		t.Errorf("unknown vendor: %v", err)
	}
	err = vendor.Encode(&b, vendor.Generic, vendor.Profile{UpBps: -1, InterimS: -5, FramedIP: netip.MustParseAddr("::1")})
	for _, field := range []string{"UpBps", "InterimS", "FramedIP"} {
		if !errors.Is(err, vendor.ErrProfile) || !strings.Contains(err.Error(), field) {
			t.Errorf("%s is missing in: %v", field, err)
		}
	}
	if b.Len() != 0 {
		t.Errorf("%d octets written in spite of the faults", b.Len())
	}
}

func TestMessageIsCutBetweenCharacters(t *testing.T) {
	text := strings.Repeat("Баланс исчерпан. ", 40)
	var b attr.Builder
	vendor.Message(&b, text)
	l, err := b.List()
	if err != nil {
		t.Fatal(err)
	}
	var joined strings.Builder
	for v := range l.Values(attr.ReplyMessage) {
		if !utf8.Valid(v) || len(v) == 0 {
			t.Errorf("piece %q", v)
		}
		joined.Write(v)
	}
	if joined.String() != text || l.Count(attr.ReplyMessage) < 4 {
		t.Errorf("%d pieces make %q", l.Count(attr.ReplyMessage), joined.String())
	}
}

func TestDecodeOfOthersForms(t *testing.T) {
	var b attr.Builder
	b.VSAString(attr.VendorMikrotik, 8, "5M/10M 6M/12M 4M/8M 10/10 8")
	l, _ := b.List()
	if p, _ := vendor.Decode(vendor.Mikrotik, l); p.UpBps != 5_000_000 || p.DownBps != 10_000_000 {
		t.Errorf("with bursts: %+v", p)
	}
	b.Reset()
	b.VSAString(attr.VendorMikrotik, 8, "512k")
	l, _ = b.List()
	if p, _ := vendor.Decode(vendor.Mikrotik, l); p.UpBps != 512_000 || p.DownBps != 512_000 {
		t.Errorf("one for both: %+v", p)
	}
	b.Reset()
	b.String(attr.FilterID, "rubbish")
	l, _ = b.List()
	if p, _ := vendor.Decode(vendor.AccelPPP, l); p.UpBps != 0 || p.DownBps != 0 {
		t.Errorf("rubbish: %+v", p)
	}
}

// FuzzDecode: an Access-Accept of any octets is read by every make of NAS; what is read can be sent again.
func FuzzDecode(f *testing.F) {
	f.Add([]byte{26, 12, 0, 0, 58, 140, 8, 6, '1', 'M', '/', '2'})
	f.Add([]byte{11, 9, '1', '0', '0', '0', '/', '5', 'k'})
	f.Add([]byte{26, 12, 0, 0, 55, 42, 7, 6, 255, 255, 255, 255})
	f.Add([]byte{26, 12, 0, 0, 56, 223, 3, 6, 0, 0, 0, 1, 26, 12, 0, 0, 56, 223, 23, 6, 255, 255, 255, 255})
	f.Add([]byte{227, 6, 255, 255, 255, 255, 27, 6, 255, 255, 255, 255, 8, 6, 1, 2, 3, 4, 18, 4, 208, 145})
	f.Fuzz(func(t *testing.T, octets []byte) {
		for _, name := range vendor.Names() {
			p, err := vendor.Decode(name, octets)
			if err != nil {
				t.Fatal(err)
			}
			var b attr.Builder
			if err := vendor.Encode(&b, name, p); err != nil {
				t.Fatalf("%s: %+v: %v", name, p, err)
			}
		}
	})
}
