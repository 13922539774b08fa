package telemetry

import (
	"encoding/binary"
	"math"
)

// Held is a metric's readings as they travelled: in quanta, [Absent] for none; nil where none was told. It is the decoder's own memory, to be read only.
func (d *Decoder) Held(m Metric) []int64 { return d.state.column(slot(m)) }

// Draft writes a sample from columns that somebody kept: what a recording holds becomes what a node sent. Begin, then Column for each that changed, scopes in one piece, then End.
type Draft struct {
	out, section []byte
	scope        Scope
}

// Begin starts a sample. time is the node's clock in ms: of a whole sample absolute, with its counts of entities; else since the sample before.
func (d *Draft) Begin(whole bool, generation, sequence uint64, ms int64, count *[NumScopes]int) {
	d.out, d.section = d.out[:0], d.section[:0]
	flags := byte(0)
	if whole {
		flags = flagWhole
	}
	d.out = append(d.out, flags)
	d.out = binary.AppendUvarint(d.out, generation)
	d.out = binary.AppendUvarint(d.out, sequence)
	d.out = binary.AppendUvarint(d.out, uint64(max(ms, 0)))
	if whole {
		d.out = appendSizes(d.out, count)
	}
}

// Column adds one column: a bit of mask for each of n entities, and unless they are gone a change in quanta for each bit that is set.
func (d *Draft) Column(m Metric, n int, mask []byte, gone bool, changes []int64) {
	if sc := m.Scope(); sc != d.scope {
		d.flush()
		d.scope = sc
	}
	head := m.local() << 1
	if gone {
		head |= 1
	}
	d.section = binary.AppendUvarint(d.section, head)
	if n > 1 {
		d.section = append(d.section, mask...)
	}
	if gone {
		return
	}
	for _, c := range changes {
		d.section = binary.AppendVarint(d.section, c)
	}
}

// End gives the sample's payload, valid until the next Begin.
func (d *Draft) End() []byte {
	d.flush()
	return d.out
}

func (d *Draft) flush() {
	if len(d.section) > 0 {
		d.out = binary.AppendUvarint(d.out, uint64(d.scope))
		d.out = binary.AppendUvarint(d.out, uint64(len(d.section)))
		d.out = append(d.out, d.section...)
		d.section = d.section[:0]
	}
}

// Kept rates are a byte for each counter: 0 is 0, 1 is unknown, 2 has the number behind it. With rateOlder the counter had another value when it was last
// read than it has now, which stands behind it too: how much less.
const (
	rateZero = iota
	rateUnknown
	rateGiven
	rateOlder = 4
)

// Append writes all rates, for [Rates.Restore]; d is the decoder that they are of.
func (r *Rates) Append(dst []byte, d *Decoder) []byte {
	for sc := range counterSpans {
		for level, places := range counterSpans[sc] {
			list := r.kept[sc][level]
			if r.count != d.state.count {
				list = counted{}
			}
			dst = binary.AppendUvarint(dst, uint64(len(list.was)))
			for k, was := range list.was {
				n, rate := r.count[sc], list.rate[k]
				now, tag := Absent, byte(rateGiven)
				if column := d.state.column(places[k/n]); column != nil {
					now = column[k%n]
				}
				switch {
				case rate == 0:
					tag = rateZero
				case rate != rate:
					tag = rateUnknown
				}
				if was != now {
					tag |= rateOlder
				}
				if dst = append(dst, tag); tag&^rateOlder == rateGiven {
					dst = binary.LittleEndian.AppendUint32(dst, math.Float32bits(rate))
				}
				if tag&rateOlder != 0 {
					dst = binary.AppendVarint(dst, now-was)
				}
			}
		}
	}
	return dst
}

// Restore takes back what Append wrote when d was in the state that it is in now.
func (r *Rates) Restore(d *Decoder, b []byte) error {
	*r = Rates{generation: d.last.Generation, count: d.state.count}
	for g := range NumGroups {
		if t := d.state.Get(ReadMS, int(g)); t != Absent {
			r.readMS[g] = t
		}
	}
	in := reader{b: b}
	for sc := range counterSpans {
		for level, places := range counterSpans[sc] {
			n, want := in.uvarint(), len(places)*d.state.count[sc]
			if n == 0 {
				continue
			}
			if n != uint64(want) {
				return malformed("%d kept rates where %d counters are", n, want)
			}
			list := counted{was: make([]int64, want), rate: make([]float32, want)}
			for k, i := range places {
				now := d.state.column(i)
				for j := range d.state.count[sc] {
					at := k*d.state.count[sc] + j
					was, rate := Absent, float32(0)
					if now != nil {
						was = now[j]
					}
					tag := in.byte()
					switch tag &^ rateOlder {
					case rateZero:
					case rateGiven:
						if raw := in.bytes(4); raw != nil {
							rate = math.Float32frombits(binary.LittleEndian.Uint32(raw))
						}
					default:
						rate = float32(math.NaN())
					}
					if tag&rateOlder != 0 {
						was -= in.varint()
					}
					list.was[at], list.rate[at] = was, rate
				}
			}
			r.kept[sc][level] = list
		}
	}
	if in.bad {
		return malformed("kept rates cut short")
	}
	return nil
}
