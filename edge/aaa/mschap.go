package aaa

import (
	"crypto/rand"
	"encoding/binary"

	"meridian/internal/mschap"
	"meridian/radius"
	"meridian/radius/attr"
)

// proof is what an accepted MS-CHAPv2 peer is owed: that the server knows its
// password too, and the keys that follow from the exchange.
type proof struct {
	identifier    uint8
	success       [mschap.SuccessSize]byte
	send, receive [16]byte
}

// verifyMSCHAP2 checks an MS-CHAPv2 response against the subscription's NT hash;
// results as of verify.
func (h *Handler) verifyMSCHAP2(req *radius.Request, v *candidate) (Reject, error) {
	m, err := req.Attributes.MSCHAP2()
	if err != nil {
		return RejectMalformed, nil
	}
	if len(v.found.NTHash) == 0 {
		return RejectNoHash, nil
	}
	a, err := h.credentials.hashes.open(v.found.Subscription, v.found.NTHash)
	if err != nil {
		return 0, err
	}
	challenge := mschap.NewChallenge(m.PeerChallenge, m.Challenge, req.Attributes.Bytes(attr.UserName))
	if !a.Verify(challenge, m.Response) {
		return RejectPassword, nil
	}
	v.proof = &proof{identifier: m.Identifier, success: a.Success(challenge, m.Response)}
	v.proof.send, v.proof.receive = a.Keys(m.Response)
	return verified, nil
}

// append writes the proof into an Access-Accept.
func (p *proof) append(b *attr.Builder, req *radius.Request) {
	var salt [2]byte
	random(salt[:])
	b.MSCHAP2Success(p.identifier, p.success[:])
	b.MPPEKeys(p.send, p.receive, binary.BigEndian.Uint16(salt[:]), req.Secret(), req.Authenticator)
}

// Error codes of RFC 2759 section 6.
const (
	msAccountDisabled = 647
	msNoPermission    = 649
	msWrongPassword   = 691
)

// mschapCode is what the peer is told by number.
func (r Reject) mschapCode() int {
	switch r {
	case RejectUnknown, RejectPassword, RejectNoHash, RejectMalformed:
		return msWrongPassword
	case RejectTerminated, RejectBarred:
		return msAccountDisabled
	}
	return msNoPermission
}

// appendMSCHAPError writes the failure into the rejection of an MS-CHAPv2 login.
// The peer must not try again on the same challenge (R=0).
func appendMSCHAPError(b *attr.Builder, req *radius.Request, why Reject) {
	m, _ := req.Attributes.MSCHAP2() // of a malformed response the identifier is enough
	var challenge [16]byte
	random(challenge[:])
	b.MSCHAPError(m.Identifier, why.mschapCode(), challenge)
}

// random fills b. crypto/rand does not fail: the program ends instead.
func random(b []byte) { _, _ = rand.Read(b) }
