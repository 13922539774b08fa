package telemetry

import (
	"encoding/binary"
	"math"
	"math/bits"
)

// Sample says what a decoded sample was.
type Sample struct {
	Whole      bool
	Generation uint64
	Sequence   uint64
	MonoMS     int64 // the node's monotonic clock
}

// Decoder applies samples to a State. In steady state it allocates nothing. Not safe for concurrent use.
type Decoder struct {
	state   State // in quanta: the sender's view
	last    Sample
	synced  bool
	touched [(maxMetrics + 63) / 64]uint64
	scopes  uint32 // touched
	groups  uint32 // touched
}

// State is what the samples so far say. It belongs to the Decoder; copy what is to be kept.
func (d *Decoder) State() *State { return &d.state }

// Last is the last applied sample.
func (d *Decoder) Last() Sample { return d.last }

// Touched says whether the last applied sample spoke of the metric.
func (d *Decoder) Touched(m Metric) bool {
	i := slot(m)
	return d.touched[i>>6]&(1<<(i&63)) != 0
}

// TouchedScope says whether the last applied sample spoke of any metric of a scope.
func (d *Decoder) TouchedScope(sc Scope) bool { return d.scopes&(1<<sc) != 0 }

// TouchedGroup says whether the last applied sample spoke of any metric of a group.
func (d *Decoder) TouchedGroup(g Group) bool { return d.groups&(1<<g) != 0 }

// Apply takes in one sample payload. With needWhole true nothing was applied: deltas cannot be understood before the next whole sample, which the caller
// asks the node for. An error is a *[Malformed]; the State is then not to be trusted until the next whole sample.
func (d *Decoder) Apply(payload []byte) (s Sample, needWhole bool, err error) {
	r := reader{b: payload}
	flags := r.byte()
	s.Whole = flags&flagWhole != 0
	s.Generation = r.uvarint()
	s.Sequence = r.uvarint()
	t := r.uvarint()
	if r.bad || t > math.MaxInt64/2 {
		d.synced = false
		return s, false, malformed("sample header cut short")
	}
	s.MonoMS = int64(t)
	if !s.Whole {
		if !d.synced || s.Sequence != d.last.Sequence+1 || s.Generation != d.last.Generation {
			d.synced = false
			return s, true, nil
		}
		s.MonoMS += d.last.MonoMS
		if s.MonoMS < 0 {
			d.synced = false
			return s, false, malformed("sample time out of range")
		}
	}
	d.synced = false // until the whole payload was understood
	clear(d.touched[:])
	d.scopes, d.groups = 0, 0
	if s.Whole {
		if err := d.sizes(&r); err != nil {
			return s, false, err
		}
	}
	for len(r.b) > 0 {
		if err := d.section(&r); err != nil {
			return s, false, err
		}
	}
	d.last, d.synced = s, true
	return s, false, nil
}

func (d *Decoder) sizes(r *reader) error {
	var count [NumScopes]int
	n := r.uvarint()
	if n > 64 {
		return malformed("sample of %d scopes", n)
	}
	for range n {
		sc, entities := r.uvarint(), r.uvarint()
		if sc >= uint64(NumScopes) {
			continue
		}
		if entities > uint64(maxEntities[sc]) {
			return malformed("%d entities in scope %d, more than the %d allowed", entities, sc, maxEntities[sc])
		}
		count[sc] = int(entities)
	}
	if r.bad {
		return malformed("sample sizes cut short")
	}
	d.state.quanta = true
	for sc := range NumScopes {
		d.state.count[sc] = count[sc]
		d.state.drop(sc)
	}
	for i := range d.touched {
		d.touched[i] = ^uint64(0)
	}
	d.scopes, d.groups = ^uint32(0), ^uint32(0)
	return nil
}

func (d *Decoder) section(r *reader) error {
	sc, n := r.uvarint(), r.uvarint()
	if r.bad || n > uint64(len(r.b)) {
		return malformed("sample section cut short")
	}
	body := reader{b: r.b[:n]}
	r.b = r.b[n:]
	if sc >= uint64(NumScopes) {
		return nil // a newer collector's
	}
	d.scopes |= 1 << sc
	for len(body.b) > 0 {
		if err := d.column(&body, Scope(sc)); err != nil {
			return err
		}
	}
	return nil
}

func (d *Decoder) column(r *reader, sc Scope) error {
	head := r.uvarint()
	n := d.state.count[sc]
	var one = [1]byte{1}
	mask := one[:]
	if n > 1 {
		mask = r.bytes((n + 7) >> 3)
	} else if n == 0 {
		mask = nil
	}
	if r.bad {
		return malformed("sample column cut short")
	}
	if n > 1 && n&7 != 0 && mask[len(mask)-1]>>(n&7) != 0 {
		return malformed("sample of an entity beyond the %d of scope %d", n, sc)
	}
	gone := head&1 != 0
	i := -1
	if local := head >> 1; local < 1<<scopeShift {
		i = int(slots[sc][local]) - 1
	}
	if i < 0 {
		return skipColumn(r, mask, gone)
	}
	if n == 0 {
		return malformed("sample of scope %d, which has no entities", sc)
	}
	d.touched[i>>6] |= 1 << (i & 63)
	d.groups |= 1 << defs[i].Group
	return applyColumn(r, d.state.make(i), mask, gone, &defs[i])
}

func applyColumn(r *reader, quanta []int64, mask []byte, gone bool, def *Def) error {
	for at, m := range mask {
		for ; m != 0; m &= m - 1 {
			j := at<<3 + bits.TrailingZeros8(m)
			if gone {
				quanta[j] = Absent
				continue
			}
			delta := r.varint()
			if r.bad {
				return malformed("sample column cut short")
			}
			q := quanta[j]
			if q == Absent {
				q = 0
			}
			q += delta
			v := q * def.Quantum
			if def.Quantum != 1 && v/def.Quantum != q || q == Absent || v == Absent {
				return malformed("value of %s out of range", def.Name)
			}
			quanta[j] = q
		}
	}
	return nil
}

func skipColumn(r *reader, mask []byte, gone bool) error {
	if gone {
		return nil
	}
	for _, m := range mask {
		for range bits.OnesCount8(m) {
			r.varint()
		}
	}
	if r.bad {
		return malformed("sample column cut short")
	}
	return nil
}

// reader reads a bounded slice; bad is set once something was not there.
type reader struct {
	b   []byte
	bad bool
}

func (r *reader) byte() byte {
	if len(r.b) == 0 {
		r.bad = true
		return 0
	}
	c := r.b[0]
	r.b = r.b[1:]
	return c
}

func (r *reader) bytes(n int) []byte {
	if n > len(r.b) {
		r.bad = true
		return nil
	}
	p := r.b[:n]
	r.b = r.b[n:]
	return p
}

func (r *reader) uvarint() uint64 {
	if len(r.b) > 0 && r.b[0] < 0x80 { // nearly always
		v := uint64(r.b[0])
		r.b = r.b[1:]
		return v
	}
	v, n := binary.Uvarint(r.b)
	if n <= 0 {
		r.bad, r.b = true, nil
		return 0
	}
	r.b = r.b[n:]
	return v
}

func (r *reader) varint() int64 {
	u := r.uvarint()
	return int64(u>>1) ^ -int64(u&1)
}
