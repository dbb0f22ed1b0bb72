package regions

import (
	"encoding/hex"
	"fmt"
	"strings"
	"unicode/utf8"

	"meridian/central/ledger"
	"meridian/internal/journal"
	"meridian/replication/link"
)

// maxText bounds a text of an entry that the centre keeps in a column, in octets;
// longer ones stay in the entry's bytes only. An Acct-Session-Id has up to 253
// octets (RFC 2865 section 5), and the edge writes one that is not clean text as
// a mark and two digits for each: 511.
const maxText = 600

// maxPosted bounds the amount of an entry that is posted: 1000 of them still fit
// 64 bits. It is 4.5 thousand million of a currency's major unit.
const maxPosted = 1 << 52

// arrived is a batch that chains, before it meets the region's cursor.
type arrived struct {
	region  string
	epoch   uint64
	first   uint64
	prev    journal.Hash
	records []ledger.Record
	reasons []string // why a record's content cannot be accepted, "" when it can
}

func (a *arrived) last() uint64 { return a.first + uint64(len(a.records)) - 1 }

// hashAt is the chain's hash at a seq from first−1 to last.
func (a *arrived) hashAt(seq uint64) journal.Hash {
	if seq < a.first {
		return a.prev
	}
	return a.records[seq-a.first].Hash
}

func refuse(code link.Code, remedy, format string, args ...any) *link.Refused {
	return &link.Refused{Code: code, Detail: fmt.Sprintf(format, args...), Remedy: remedy}
}

// prepare checks all of a batch that can be checked without the region's state.
func prepare(region string, b link.Batch, most int) (*arrived, *link.Refused) {
	switch {
	case len(b.Entries) == 0 || len(b.Entries) > most:
		return nil, refuse(link.CodeProtocol, fmt.Sprintf("send 1 to %d entries a batch", most), "batch of %d entries", len(b.Entries))
	case b.FirstSeq == 0 || b.Epoch == 0 || b.LastSeq() > 1<<62 || b.Epoch > 1<<62:
		return nil, refuse(link.CodeProtocol, "number epochs and entries from 1", "batch of epoch %d starts at %d", b.Epoch, b.FirstSeq)
	case len(b.HeadHash) != len(journal.Hash{}) || (len(b.PrevHash) != len(journal.Hash{}) && (b.FirstSeq != 1 || len(b.PrevHash) != 0)):
		return nil, refuse(link.CodeBadHash, "send hashes of 32 octets", "hashes of %d and %d octets", len(b.PrevHash), len(b.HeadHash))
	}
	a := &arrived{region: region, epoch: b.Epoch, first: b.FirstSeq,
		records: make([]ledger.Record, len(b.Entries)), reasons: make([]string, len(b.Entries))}
	copy(a.prev[:], b.PrevHash)
	hashes, err := ledger.Chain(a.prev, b.Entries, journal.Hash(b.HeadHash))
	if err != nil {
		return nil, refuse(link.CodeBadHash, "compare the edge's segments from the last acknowledged entry on",
			"epoch %d, entries %d to %d: %v", b.Epoch, b.FirstSeq, b.LastSeq(), err)
	}
	for i, raw := range b.Entries {
		r := ledger.Record{Region: region, Epoch: b.Epoch, Seq: b.FirstSeq + uint64(i), Raw: raw, Hash: hashes[i]}
		r.Entry, a.reasons[i] = inspect(region, r.Epoch, r.Seq, raw)
		a.records[i] = r
	}
	return a, nil
}

// inspect reads an entry at its place. It returns nil when the bytes cannot be
// read, and the reason when the content alone forbids to settle it.
func inspect(region string, epoch, seq uint64, raw []byte) (*journal.Entry, string) {
	e, err := journal.DecodeEntry(raw)
	if err != nil {
		return nil, "cannot be read: " + printable(err.Error())
	}
	reason := ""
	if e.Region != region || e.Epoch != epoch || e.Seq != seq {
		reason = fmt.Sprintf("says it is %s/%d/%d", printable(e.Region), e.Epoch, e.Seq)
	}
	for _, f := range [...]struct {
		name string
		text *string
	}{{"account", &e.Account}, {"subscription", &e.Subscription}, {"bucket", &e.Bucket},
		{"unit", (*string)(&e.Unit)}, {"session NAS", &e.Session.NAS}, {"session id", &e.Session.ID}, {"ref", &e.Ref}} {
		if len(*f.text) > maxText || printable(*f.text) != *f.text {
			reason = f.name + " is not a text that can be stored"
			*f.text = ""
		}
	}
	e.Detail = printable(e.Detail)
	if e.Amount > maxPosted {
		reason, e.Amount = fmt.Sprintf("amount %d is beyond what is posted", e.Amount), 0
	}
	return &e, reason
}

// printable makes a text fit for a column: valid UTF-8 without NUL, bounded.
func printable(s string) string {
	if !utf8.ValidString(s) || strings.IndexByte(s, 0) >= 0 {
		s = strings.ReplaceAll(strings.ToValidUTF8(s, "?"), "\x00", "?")
	}
	if len(s) > 2*maxText {
		s = strings.ToValidUTF8(s[:2*maxText], "")
	}
	return s
}

// epochFault says what is wrong with an epoch's first entry, "" when nothing is.
// The first epoch has nothing before it and may leave the hash out.
func epochFault(e *journal.Entry, prev journal.Hash) string {
	if want := hex.EncodeToString(prev[:]); e.Ref == want || (e.Ref == "" && prev == (journal.Hash{})) {
		return ""
	} else {
		return fmt.Sprintf("epoch begins after hash %.16s…, the centre accepted %.16s… last", e.Ref, want)
	}
}
