package command

import (
	"errors"
	"fmt"
	"slices"

	"meridian/internal/canon"
	"meridian/internal/feed"
)

type kind byte

// Kinds as they stand in the log; a number is never used again for another shape.
const (
	kindAccounting kind = iota + 1
	kindReserve
	kindFeed
	kindTick
	kindConfigure
	kindOpenEpoch
	kindAcked
	kindSetMode
	kindEffectsDone
	kindCutAll
	kindAudit
	kindSetLevel
	kindSetPolicy
	kindFence
	kindCallAccounting // Accounting with the number that is called
	kindCallReserve    // Reserve, the same way
	kindFeedNewest     // Feed whose rows say how many before them are left out
	kindEvent
	kindSetPolicyOver // SetPolicy that says over which
)

func (c *Accounting) kind() kind {
	if c.Called != "" {
		return kindCallAccounting
	}
	return kindAccounting
}

func (c *SetPolicy) kind() kind {
	if c.Before != nil {
		return kindSetPolicyOver
	}
	return kindSetPolicy
}

func (c *Reserve) kind() kind {
	if c.Called != "" {
		return kindCallReserve
	}
	return kindReserve
}

func (c *Feed) kind() kind {
	if slices.ContainsFunc(c.Rows, func(r feed.Row) bool { return r.Skipped > 0 }) {
		return kindFeedNewest
	}
	return kindFeed
}

func (*Tick) kind() kind        { return kindTick }
func (*Configure) kind() kind   { return kindConfigure }
func (*OpenEpoch) kind() kind   { return kindOpenEpoch }
func (*Acked) kind() kind       { return kindAcked }
func (*SetMode) kind() kind     { return kindSetMode }
func (*EffectsDone) kind() kind { return kindEffectsDone }
func (*CutAll) kind() kind      { return kindCutAll }
func (*Audit) kind() kind       { return kindAudit }
func (*SetLevel) kind() kind    { return kindSetLevel }
func (*Fence) kind() kind       { return kindFence }
func (*Event) kind() kind       { return kindEvent }

// ErrUnknown is returned for a command of a later version. A node that meets one
// in the log must stop: it cannot know what its peers did.
var ErrUnknown = errors.New("command is not known to this version: upgrade this node")

// MaxBatch bounds the commands of one log entry.
const MaxBatch = 4096

// batchFormat is the first octet of a log entry.
const batchFormat = 1

// EncodeBatch frames encoded commands as one log entry.
func EncodeBatch(commands [][]byte) []byte {
	size := 8
	for _, c := range commands {
		size += len(c) + 5
	}
	w := canon.Writer{B: make([]byte, 0, size)}
	w.Byte(batchFormat)
	w.Uvarint(uint64(len(commands)))
	for _, c := range commands {
		w.Bytes(c)
	}
	return w.B
}

// DecodeBatch reads a log entry.
func DecodeBatch(b []byte) ([]Command, error) {
	r := canon.NewReader(b)
	if f := r.Byte(); f != batchFormat {
		r.Fail("batch format %d is not known", f)
	}
	n := r.Count(2)
	if n > MaxBatch {
		r.Fail("batch of %d commands, at most %d", n, MaxBatch)
	}
	out := make([]Command, 0, n)
	for i := 0; i < n && r.Err() == nil; i++ {
		c, err := Decode(r.Bytes())
		if err != nil {
			return nil, fmt.Errorf("command %d of %d: %w", i+1, n, err)
		}
		out = append(out, c)
	}
	return out, r.Close()
}

// Encode returns a command's canonical bytes.
func Encode(c Command) []byte {
	w := canon.Writer{B: make([]byte, 0, 160)}
	w.Byte(byte(c.kind()))
	switch c := c.(type) {
	case *Accounting:
		c.append(&w)
	case *Reserve:
		c.append(&w)
	case *Feed:
		c.append(&w)
	case *Tick:
		c.Meta.append(&w)
		w.Uvarint(uint64(len(c.Clocks)))
		for _, t := range c.Clocks {
			w.Varint(t)
		}
	case *Configure:
		c.Meta.append(&w)
		w.String(c.Region)
		c.Policy.AppendFounding(&w)
	case *OpenEpoch:
		c.Meta.append(&w)
		w.Uvarint(c.Epoch)
		w.Hash(c.Previous)
	case *Acked:
		c.Meta.append(&w)
		w.Uvarint(c.Epoch)
		w.Uvarint(c.Seq)
		w.Hash(c.Hash)
	case *SetMode:
		c.Meta.append(&w)
		w.Byte(byte(c.Mode))
	case *EffectsDone:
		c.Meta.append(&w)
		w.Uvarint(uint64(len(c.Done)))
		for _, d := range c.Done {
			w.Uvarint(d.ID)
			w.Byte(byte(d.Outcome))
		}
	case *CutAll:
		c.Meta.append(&w)
		w.Varint(int64(c.Limit))
	case *Audit:
		c.Meta.append(&w)
	case *SetLevel:
		c.Meta.append(&w)
		w.Uvarint(c.Level)
	case *Fence:
		c.Meta.append(&w)
		w.Uvarint(c.Epoch)
		w.Uvarint(c.LastSeq)
	case *Event:
		c.Meta.append(&w)
		for _, v := range [...]string{c.ID, c.Subscription, c.Usage, c.Destination} {
			w.String(v)
		}
		w.Varint(c.Quantity)
		w.Varint(c.Event)
	case *SetPolicy:
		c.Meta.append(&w)
		c.Policy.AppendFounding(&w)
		c.Policy.AppendLimits(&w)
		if c.Before != nil {
			c.Before.AppendFounding(&w)
			c.Before.AppendLimits(&w)
		}
	}
	return w.B
}

// Decode reads one command; errors wrap canon.ErrCorrupt or ErrUnknown.
func Decode(b []byte) (Command, error) {
	r := canon.NewReader(b)
	var c Command
	switch k := kind(r.Byte()); k {
	case kindAccounting:
		c = readAccounting(r)
	case kindReserve:
		c = readReserve(r)
	case kindCallAccounting:
		a := readAccounting(r)
		a.Called = readCalled(r)
		c = a
	case kindCallReserve:
		v := readReserve(r)
		v.Called = readCalled(r)
		c = v
	case kindFeed, kindFeedNewest:
		c = readFeed(r, k == kindFeedNewest)
	case kindEvent:
		c = &Event{Meta: readMeta(r), ID: r.String(), Subscription: r.String(), Usage: r.String(), Destination: r.String(), Quantity: r.Varint(), Event: r.Varint()}
	case kindTick:
		t := &Tick{Meta: readMeta(r)}
		for n := r.Count(1); n > 0; n-- {
			t.Clocks = append(t.Clocks, r.Varint())
		}
		c = t
	case kindConfigure:
		c = &Configure{Meta: readMeta(r), Region: r.String(), Policy: ReadFounding(r)}
	case kindOpenEpoch:
		c = &OpenEpoch{Meta: readMeta(r), Epoch: r.Uvarint(), Previous: r.Hash()}
	case kindAcked:
		c = &Acked{Meta: readMeta(r), Epoch: r.Uvarint(), Seq: r.Uvarint(), Hash: r.Hash()}
	case kindSetMode:
		m := &SetMode{Meta: readMeta(r), Mode: Mode(r.Byte())}
		if m.Mode > Connected {
			r.Fail("mode %d is not known", m.Mode)
		}
		c = m
	case kindEffectsDone:
		e := &EffectsDone{Meta: readMeta(r)}
		for n := r.Count(2); n > 0; n-- {
			e.Done = append(e.Done, EffectResult{ID: r.Uvarint(), Outcome: EffectOutcome(r.Byte())})
		}
		c = e
	case kindCutAll:
		c = &CutAll{Meta: readMeta(r), Limit: int(r.Varint())}
	case kindAudit:
		c = &Audit{Meta: readMeta(r)}
	case kindSetLevel:
		c = &SetLevel{Meta: readMeta(r), Level: r.Uvarint()}
	case kindFence:
		c = &Fence{Meta: readMeta(r), Epoch: r.Uvarint(), LastSeq: r.Uvarint()}
	case kindSetPolicy, kindSetPolicyOver:
		p := &SetPolicy{Meta: readMeta(r), Policy: ReadFounding(r)}
		p.Policy.ReadLimits(r)
		if k == kindSetPolicyOver {
			before := ReadFounding(r)
			before.ReadLimits(r)
			p.Before = &before
		}
		c = p
	default:
		if r.Err() == nil {
			return nil, fmt.Errorf("%w: kind %d", ErrUnknown, k)
		}
	}
	if err := r.Close(); err != nil {
		return nil, err
	}
	return c, nil
}

func (m Meta) append(w *canon.Writer) {
	w.Varint(m.At)
	w.String(m.Node)
}

func readMeta(r *canon.Reader) Meta { return Meta{At: r.Varint(), Node: r.String()} }

func (c *Accounting) append(w *canon.Writer) {
	c.Meta.append(w)
	w.String(c.NAS)
	w.String(c.SessionID)
	w.String(c.Login)
	w.Byte(byte(c.Status))
	w.Varint(c.Event)
	w.Varint(c.Seconds)
	w.Uvarint(c.In)
	w.Uvarint(c.Out)
	w.Bool(c.Giga)
	w.String(c.FramedIP)
	w.String(c.CallingStation)
	w.String(c.NASPort)
	w.Uvarint(uint64(c.Cause))
	appendCalled(w, c.Called)
}

// appendCalled writes the number that a call has and other commands have not.
func appendCalled(w *canon.Writer, number string) {
	if number != "" {
		w.String(number)
	}
}

func readCalled(r *canon.Reader) string {
	number := r.String()
	if number == "" {
		r.Fail("a call names the number that is called")
	}
	return number
}

func readAccounting(r *canon.Reader) *Accounting {
	return &Accounting{
		Meta: readMeta(r), NAS: r.String(), SessionID: r.String(), Login: r.String(), Status: Status(r.Byte()),
		Event: r.Varint(), Seconds: r.Varint(), In: r.Uvarint(), Out: r.Uvarint(), Giga: r.Bool(),
		FramedIP: r.String(), CallingStation: r.String(), NASPort: r.String(), Cause: uint32(r.Uvarint()),
	}
}

func (c *Reserve) append(w *canon.Writer) {
	c.Meta.append(w)
	for _, s := range []string{c.NAS, c.Key, c.SessionID, c.Login, c.CallingStation, c.NASPort} {
		w.String(s)
	}
	appendCalled(w, c.Called)
}

func readReserve(r *canon.Reader) *Reserve {
	return &Reserve{
		Meta: readMeta(r), NAS: r.String(), Key: r.String(), SessionID: r.String(),
		Login: r.String(), CallingStation: r.String(), NASPort: r.String(),
	}
}

func (c *Feed) append(w *canon.Writer) {
	c.Meta.append(w)
	w.Uvarint(uint64(len(c.Rows)))
	newest := c.kind() == kindFeedNewest
	for _, row := range c.Rows {
		w.Uvarint(row.Number)
		if newest {
			w.Uvarint(row.Skipped)
		}
		w.String(string(row.Kind))
		w.String(row.ID)
		w.Uvarint(row.Version)
		w.Bytes(row.Body)
	}
}

func readFeed(r *canon.Reader, newest bool) *Feed {
	c := &Feed{Meta: readMeta(r)}
	for n := r.Count(5); n > 0; n-- {
		row := feed.Row{Number: r.Uvarint()}
		if newest {
			row.Skipped = r.Uvarint()
		}
		row.Kind, row.ID, row.Version, row.Body = feed.Kind(r.String()), r.String(), r.Uvarint(), r.Bytes()
		c.Rows = append(c.Rows, row)
	}
	if newest && c.kind() != kindFeedNewest {
		r.Fail("no row of the feed leaves any out")
	}
	return c
}
