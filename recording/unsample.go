package recording

import (
	"math/bits"

	"foretop/telemetry"
)

// read takes the next sample from the streams and gives it as the node would have sent it, valid until the next call.
func (t *track) read(s *source) ([]byte, error) {
	flags := s.heads.byte()
	before := t.ms
	if flags&flagReset != 0 {
		generation := s.heads.uvarint()
		var count [telemetry.NumScopes]int
		for sc := range count {
			n := s.heads.uvarint()
			if n > uint64(telemetry.MaxEntities(telemetry.Scope(sc))) {
				return nil, damaged("a sample of %d entities", n)
			}
			count[sc] = int(n)
		}
		ms := s.heads.uvarint()
		if ms > 1<<60 {
			return nil, damaged("a sample of no time")
		}
		t.reset(generation, &count, int64(ms))
	} else {
		if !t.known {
			return nil, damaged("a sample that hangs in the air")
		}
		t.ms += s.heads.varint() + 1000
		if t.ms < before || t.ms > 1<<60 {
			return nil, damaged("a sample of no time")
		}
	}
	whole := flags&(flagWhole|flagReset) != 0
	t.sequence++
	t.draft.Begin(whole, t.generation, t.sequence, t.ms-before, &t.count)
	columns, at := s.heads.uvarint(), uint64(0)
	if s.heads.bad || columns > uint64(2*len(defs)) {
		return nil, damaged("a sample's head")
	}
	for range columns {
		head := s.heads.uvarint()
		if at += head >> 1; at >= uint64(len(defs)) {
			return nil, damaged("a column of no metric")
		}
		if err := t.readColumn(s, int(at), head&1 != 0, whole); err != nil {
			return nil, err
		}
	}
	if whole {
		t.draft.Begin(true, t.generation, t.sequence, t.ms, &t.count)
		t.all()
	}
	return t.draft.End(), nil
}

// readColumn takes one column over, and into the draft where that is not to be whole anyway.
func (t *track) readColumn(s *source, i int, gone, whole bool) error {
	c, in := t.make(i), &s.columns[i]
	n := len(c.values)
	mask := in.bytes((n + 7) >> 3)
	if in.bad || n&7 != 0 && mask[len(mask)-1]>>(n&7) != 0 {
		return damaged("the column %s", defs[i].Name)
	}
	t.changes = t.changes[:0]
	for at, m := range mask {
		for ; m != 0; m &= m - 1 {
			j := at<<3 + bits.TrailingZeros8(m)
			if gone {
				c.values[j] = telemetry.Absent
				continue
			}
			change, ok := t.readValue(in, c, i, j)
			if !ok {
				return damaged("a value of %s", defs[i].Name)
			}
			t.changes = append(t.changes, change)
		}
	}
	if !whole && n > 0 {
		t.draft.Column(defs[i].ID, n, mask, gone, t.changes)
	}
	return nil
}

// readValue takes one reading over and gives its change in quanta.
func (t *track) readValue(in *reader, c *column, i, j int) (change int64, ok bool) {
	base := c.values[j]
	if base == telemetry.Absent {
		base = 0
	}
	switch {
	case c.told != nil:
		code := in.uvarint()
		if code == 0 {
			change = in.varint()
			break
		}
		c.codes[j] += unzigzag(code - 1)
		if change, ok = changeOf(c.codes[j]); !ok {
			return 0, false
		}
	case c.codes != nil:
		c.codes[j] += in.varint()
		change = t.ms + c.codes[j] - base
	default:
		change = in.varint()
	}
	c.values[j] = base + change
	return change, !in.bad && c.values[j] != telemetry.Absent
}

// all puts every reading into the draft.
func (t *track) all() {
	for i, c := range t.columns {
		if c == nil {
			continue
		}
		t.mask = append(t.mask[:0], make([]byte, (len(c.values)+7)>>3)...)
		t.changes = t.changes[:0]
		for j, v := range c.values {
			if v != telemetry.Absent {
				t.mask[j>>3] |= 1 << (j & 7)
				t.changes = append(t.changes, v)
			}
		}
		if len(t.changes) > 0 {
			t.draft.Column(defs[i].ID, len(c.values), t.mask, false, t.changes)
		}
	}
}
