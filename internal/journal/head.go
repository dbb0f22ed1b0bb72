package journal

import (
	"errors"
	"fmt"

	"meridian/internal/canon"
)

// ErrHead is wrapped by every error about a head's content.
var ErrHead = errors.New("journal: head")

const (
	headFormat   = 1 // first octet of an encoded head
	signedFormat = 1 // first octet of an encoded signed head

	// Limits of a signed head, in octets.
	maxHeadName    = 63
	maxCertificate = 4096
	maxSignature   = 512

	// headDomain keeps a node's signature of a head from being taken for one of
	// anything else.
	headDomain = "meridian/signed-head/1\x00"
)

// Head is where the ledger and the state of one node stand at one entry of the
// raft log. Nodes of a region that applied the same log have the same heads.
type Head struct {
	Region string
	Node   string
	Epoch  uint64
	Seq    uint64 // last ledger entry, and its chained hash
	Hash   Hash
	Index  uint64 // raft log index
	At     int64  // region time, Unix microseconds

	// StateForm is the format of the state that State is the hash of; 0 says that
	// this head has none. State covers part StatePart of StateParts of the state:
	// a large state is hashed piece by piece, each in its turn.
	StateForm  uint8
	StatePart  uint32
	StateParts uint32
	State      Hash
}

// Validate says what is wrong with a head.
func (h *Head) Validate() error {
	switch {
	case h.Region == "" || len(h.Region) > maxHeadName:
		return fmt.Errorf("%w: region %.80q: must be 1 to %d octets", ErrHead, h.Region, maxHeadName)
	case h.Node == "" || len(h.Node) > maxHeadName:
		return fmt.Errorf("%w: node %.80q: must be 1 to %d octets", ErrHead, h.Node, maxHeadName)
	case h.Epoch == 0 || h.Epoch > 1<<62 || h.Seq == 0 || h.Seq > 1<<62 || h.Index == 0 || h.Index > 1<<62:
		return fmt.Errorf("%w: stands at %d/%d, log index %d: each counts from 1 to 2^62", ErrHead, h.Epoch, h.Seq, h.Index)
	case h.StateForm == 0 && (h.StatePart != 0 || h.StateParts != 0 || h.State != Hash{}):
		return fmt.Errorf("%w: has a state hash of no format", ErrHead)
	case h.StateForm != 0 && h.StatePart >= h.StateParts:
		return fmt.Errorf("%w: state part %d of %d", ErrHead, h.StatePart, h.StateParts)
	}
	return nil
}

// Same tells whether two nodes' heads at one log index agree. State hashes are
// compared where both have one of the same format.
func (h *Head) Same(o *Head) bool {
	if h.Epoch != o.Epoch || h.Seq != o.Seq || h.Hash != o.Hash || h.At != o.At {
		return false
	}
	if h.StateForm == 0 || h.StateForm != o.StateForm {
		return true
	}
	return h.StatePart == o.StatePart && h.StateParts == o.StateParts && h.State == o.State
}

// Encode returns the head's canonical bytes.
func (h *Head) Encode() []byte {
	w := canon.Writer{B: make([]byte, 0, 128)}
	w.Byte(headFormat)
	w.String(h.Region)
	w.String(h.Node)
	w.Uvarint(h.Epoch)
	w.Uvarint(h.Seq)
	w.Hash(h.Hash)
	w.Uvarint(h.Index)
	w.Varint(h.At)
	w.Byte(h.StateForm)
	if h.StateForm != 0 {
		w.Uvarint(uint64(h.StatePart))
		w.Uvarint(uint64(h.StateParts))
		w.Hash(h.State)
	}
	return w.B
}

// DecodeHead reads canonical bytes; errors wrap canon.ErrCorrupt or ErrHead.
func DecodeHead(b []byte) (Head, error) {
	r := canon.NewReader(b)
	if f := r.Byte(); f != headFormat {
		r.Fail("head format %d is not known", f)
	}
	h := Head{
		Region: r.String(), Node: r.String(), Epoch: r.Uvarint(), Seq: r.Uvarint(), Hash: r.Hash(),
		Index: r.Uvarint(), At: r.Varint(), StateForm: r.Byte(),
	}
	if h.StateForm != 0 {
		part, parts := r.Uvarint(), r.Uvarint()
		if part > 1<<31 || parts > 1<<31 {
			r.Fail("state part %d of %d", part, parts)
		}
		h.StatePart, h.StateParts, h.State = uint32(part), uint32(parts), r.Hash()
	}
	if err := r.Close(); err != nil {
		return Head{}, err
	}
	return h, h.Validate()
}

// SignedHead is a head with its node's signature and the certificate of the key
// that made it. Who checks it must check the certificate's name and authority
// too: what is decoded is only well formed.
type SignedHead struct {
	Head
	Certificate []byte // DER
	Signature   []byte // over Message
}

// Message is what a node signs.
func (h *Head) Message() []byte { return append([]byte(headDomain), h.Encode()...) }

// Encode returns the signed head's canonical bytes.
func (s *SignedHead) Encode() []byte {
	var w canon.Writer
	w.Byte(signedFormat)
	w.Bytes(s.Head.Encode())
	w.Bytes(s.Certificate)
	w.Bytes(s.Signature)
	return w.B
}

// DecodeSignedHead reads canonical bytes; errors wrap canon.ErrCorrupt or ErrHead.
func DecodeSignedHead(b []byte) (SignedHead, error) {
	r := canon.NewReader(b)
	if f := r.Byte(); f != signedFormat {
		r.Fail("signed head format %d is not known", f)
	}
	head, cert, sig := r.Bytes(), r.Bytes(), r.Bytes()
	if err := r.Close(); err != nil {
		return SignedHead{}, err
	}
	if len(cert) == 0 || len(cert) > maxCertificate || len(sig) == 0 || len(sig) > maxSignature {
		return SignedHead{}, fmt.Errorf("%w: certificate of %d and signature of %d octets: at most %d and %d", ErrHead, len(cert), len(sig), maxCertificate, maxSignature)
	}
	h, err := DecodeHead(head)
	return SignedHead{Head: h, Certificate: cert, Signature: sig}, err
}

// Place names where the head stands, for a person.
func (h *Head) Place() string {
	return fmt.Sprintf("node %s of region %s at entry %d/%d, log index %d", h.Node, h.Region, h.Epoch, h.Seq, h.Index)
}
