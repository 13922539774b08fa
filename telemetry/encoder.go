package telemetry

import "encoding/binary"

// A sample payload is:
//
//	flags      1 byte: bit 0 = whole
//	generation uvarint: of the inventory; changes when entities change their meaning
//	sequence   uvarint: grows by one a sample
//	time       uvarint: the node's monotonic clock in ms; of a whole sample absolute, else since the sample before
//	sizes      whole only: number of scopes (uvarint), then for each its number and its entities (uvarints)
//	sections   until the end: scope (uvarint), length in bytes (uvarint), columns
//
// A column is head (uvarint: metric's number in the scope, shifted left by one; the low bit set = these became absent), mask (one bit an
// entity, little endian, ⌈n/8⌉ bytes; left out where the scope has a single entity), and, unless absent, a zigzag varint for each bit set: the
// change, in quanta, against what was last sent (0 after a whole sample or an absence). An unknown scope is skipped by its length, an unknown metric by its shape.
const flagWhole = 1

// Encoder turns a State into samples. It remembers what it sent, so a sample that was never encoded (because the link was slow) costs
// nothing and loses nothing. Not safe for concurrent use.
type Encoder struct {
	sent       State // in quanta
	sequence   uint64
	generation uint64
	lastMS     int64
	started    bool
}

// Encode appends a sample of cur to dst. Metrics above level are sent as absent. The first sample, and one of another generation or number of
// entities, is whole whatever is asked.
func (e *Encoder) Encode(dst []byte, cur *State, generation uint64, monoMS int64, level Level, whole bool) []byte {
	if !e.started || generation != e.generation || e.sent.count != cur.count || monoMS < e.lastMS {
		whole = true
	}
	e.sequence++
	e.generation = generation
	flags, since := byte(0), monoMS-e.lastMS
	if whole {
		for sc := range NumScopes {
			e.sent.count[sc] = cur.count[sc]
			e.sent.drop(sc)
		}
		e.started = true
		flags, since = flagWhole, max(monoMS, 0)
	}
	e.lastMS = monoMS
	dst = append(dst, flags)
	dst = binary.AppendUvarint(dst, generation)
	dst = binary.AppendUvarint(dst, e.sequence)
	dst = binary.AppendUvarint(dst, uint64(since))
	if whole {
		dst = appendSizes(dst, &cur.count)
	}
	for _, span := range spans {
		dst = e.section(dst, cur, span, level)
	}
	return dst
}

func appendSizes(dst []byte, count *[NumScopes]int) []byte {
	dst = binary.AppendUvarint(dst, uint64(NumScopes))
	for sc, n := range count {
		dst = binary.AppendUvarint(dst, uint64(sc))
		dst = binary.AppendUvarint(dst, uint64(n))
	}
	return dst
}

// section appends the columns of one scope. The length is written when it is known: two bytes are kept free for it, since
// nearly every section is shorter than 16 KiB.
func (e *Encoder) section(dst []byte, cur *State, span scopeSpan, level Level) []byte {
	start := len(dst)
	dst = append(dst, byte(defs[span.first].ID.Scope()), 0, 0)
	body := len(dst)
	for i := span.first; i < span.end; i++ {
		dst = e.column(dst, cur, i, level)
	}
	n := len(dst) - body
	switch {
	case n == 0:
		return dst[:start]
	case n < 1<<7:
		dst[start+1] = byte(n)
		copy(dst[start+2:], dst[body:])
		return dst[:len(dst)-1]
	case n < 1<<14:
		dst[start+1], dst[start+2] = byte(n)|0x80, byte(n>>7)
		return dst
	}
	dst = append(dst, 0) // a third byte of length
	copy(dst[body+1:], dst[body:len(dst)-1])
	dst[start+1], dst[start+2], dst[start+3] = byte(n)|0x80, byte(n>>7)|0x80, byte(n>>14)
	return dst
}

func (e *Encoder) column(dst []byte, cur *State, i int, level Level) []byte {
	c, sent := cur.column(i), e.sent.column(i)
	if defs[i].Level > level {
		c = nil
	}
	if c == nil && sent == nil {
		return dst
	}
	n := e.sent.count[defs[i].ID.Scope()]
	if sent == nil {
		sent = e.sent.make(i)
	}
	quantum := defs[i].Quantum
	head := defs[i].ID.local() << 1
	dst = changed(dst, head, c, sent, n, quantum)
	return vanished(dst, head|1, c, sent, n)
}

// changed appends the entities whose value differs from what was sent, and takes the new values over.
func changed(dst []byte, head uint64, c, sent []int64, n int, quantum int64) []byte {
	if c == nil {
		return dst
	}
	start := len(dst)
	dst = binary.AppendUvarint(dst, head)
	mask := len(dst)
	dst = appendMask(dst, n)
	any := false
	for j, v := range c {
		if v == Absent {
			continue
		}
		q := floorDiv(v, quantum)
		was := sent[j]
		if was == q {
			continue
		}
		if was == Absent {
			was = 0
		}
		any = true
		if n > 1 {
			dst[mask+j>>3] |= 1 << (j & 7)
		}
		dst = binary.AppendVarint(dst, q-was)
		sent[j] = q
	}
	if !any {
		return dst[:start]
	}
	return dst
}

// vanished appends the entities that were sent and are absent now.
func vanished(dst []byte, head uint64, c, sent []int64, n int) []byte {
	start := len(dst)
	any := false
	for j, was := range sent {
		if was == Absent || c != nil && c[j] != Absent {
			continue
		}
		if !any {
			any = true
			dst = binary.AppendUvarint(dst, head)
			start = len(dst)
			dst = appendMask(dst, n)
		}
		if n > 1 {
			dst[start+j>>3] |= 1 << (j & 7)
		}
		sent[j] = Absent
	}
	return dst
}

func appendMask(dst []byte, n int) []byte {
	if n <= 1 {
		return dst
	}
	for range (n + 7) >> 3 {
		dst = append(dst, 0)
	}
	return dst
}

// floorDiv rounds towards minus infinity, so that a quantised counter never runs ahead. An Absent can not come out of it: quanta of 1
// leave any value but Absent as it is.
func floorDiv(v, q int64) int64 {
	if q == 1 {
		return v
	}
	d := v / q
	if v%q < 0 {
		d--
	}
	return d
}
