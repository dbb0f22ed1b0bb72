package mschap

import (
	"encoding/binary"
	"math/bits"
)

// md4Block is the size of MD4's blocks in octets.
const md4Block = 64

// md4 is the digest of RFC 1320. The standard library has none, and for good
// reason: it is broken, and is here only because MS-CHAP is made of it.
func md4(in []byte) [16]byte {
	s := [4]uint32{0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476}
	length := uint64(len(in)) * 8
	for len(in) >= md4Block {
		md4Step(&s, in[:md4Block])
		in = in[md4Block:]
	}
	var tail [2 * md4Block]byte
	n := copy(tail[:], in)
	tail[n] = 0x80
	end := md4Block
	if n+9 > md4Block {
		end = 2 * md4Block
	}
	binary.LittleEndian.PutUint64(tail[end-8:], length)
	for at := 0; at < end; at += md4Block {
		md4Step(&s, tail[at:at+md4Block])
	}
	var out [16]byte
	for i, v := range s {
		binary.LittleEndian.PutUint32(out[4*i:], v)
	}
	return out
}

// md4Step takes in one block: three rounds of 16 operations (RFC 1320 section 3.4).
func md4Step(s *[4]uint32, block []byte) {
	var x [16]uint32
	for i := range x {
		x[i] = binary.LittleEndian.Uint32(block[4*i:])
	}
	a, b, c, d := s[0], s[1], s[2], s[3]
	turn := func(f, k uint32, by int) { a, b, c, d = d, bits.RotateLeft32(a+f+k, by), b, c }
	for i := range 16 {
		turn((b&c)|(^b&d), x[i], [4]int{3, 7, 11, 19}[i%4])
	}
	for i := range 16 {
		turn((b&c)|(b&d)|(c&d), x[i%4*4+i/4]+0x5a827999, [4]int{3, 5, 9, 13}[i%4])
	}
	for i := range 16 {
		turn(b^c^d, x[bits.Reverse8(uint8(i))>>4]+0x6ed9eba1, [4]int{3, 9, 11, 15}[i%4])
	}
	s[0], s[1], s[2], s[3] = s[0]+a, s[1]+b, s[2]+c, s[3]+d
}
