package recording

import (
	"encoding/binary"
	"math/bits"

	"foretop/telemetry"
)

// A sample is written column by column, each metric's into a stream of its own: what lies together is alike, and compresses to a fifth of what the node sent. Into the stream of heads
// go flags, the node's clock, and which columns there are; into a metric's stream for each of these a mask of entities, and for each bit set a varint:
//
//	gauges, bits, enums   the change in quanta, zigzag
//	read times            how far behind the sample, against the time before, zigzag
//	traffic and the like  1 + the zigzag change of the rate's code; or 0, and the change in quanta, where the counter began or went backward
//
// A rate's code is the counter's change since the sample before with seven significant bits: within 0.8 %. Counters that are shown as such are exact.

const (
	flagReset = 1 << iota // all is told anew: generation and sizes follow
	flagWhole             // the node sent it whole
)

// defs is the metric table, rated what of it is shown as rates only, by place.
var defs = telemetry.Defs()

var rated = func() []bool {
	out := make([]bool, len(defs))
	for i, d := range defs {
		switch d.ID {
		case telemetry.CPUUserMS, telemetry.CPUSystemMS, telemetry.CPUIdleMS, telemetry.CPUIowaitMS, telemetry.CPUStealMS, telemetry.CPUNiceMS, telemetry.CPUIRQMS, telemetry.CPUSoftIRQMS,
			telemetry.PSICPUSomeUS, telemetry.PSIMemorySomeUS, telemetry.PSIMemoryFullUS, telemetry.PSIIOSomeUS, telemetry.PSIIOFullUS,
			telemetry.ContextSwitches, telemetry.Forks, telemetry.SelfCPUUS, telemetry.SelfSentBytes,
			telemetry.GPUNVLinkTXBytes, telemetry.GPUNVLinkRXBytes, telemetry.LinkTXBytes, telemetry.LinkRXBytes,
			telemetry.PortRcvDataBytes, telemetry.PortXmitDataBytes, telemetry.PortRcvPackets, telemetry.PortXmitPackets,
			telemetry.NetRxBytes, telemetry.NetTxBytes, telemetry.NetRxPackets, telemetry.NetTxPackets,
			telemetry.DiskReadBytes, telemetry.DiskWriteBytes, telemetry.DiskReads, telemetry.DiskWrites, telemetry.DiskBusyMS:
			out[i] = true
		}
	}
	return out
}()

// exactBits is how many bits of a rate are kept.
const exactBits = 7

// codeOf is a change as a code, rounded to the nearest that has one.
func codeOf(change int64) int64 {
	if change < 1<<exactBits {
		return change
	}
	e := bits.Len64(uint64(change)) - exactBits
	m := int64((uint64(change) + 1<<(e-1)) >> e)
	switch {
	case m < 1<<exactBits:
	case e == 63-exactBits:
		m-- // there is no larger one
	default:
		e, m = e+1, m/2
	}
	return 1<<(exactBits-1)*int64(e+1) + m - 1<<(exactBits-1)
}

// changeOf is the change that a code stands for; false: there is no such code.
func changeOf(code int64) (int64, bool) {
	if code < 0 {
		return 0, false
	}
	if code < 1<<exactBits {
		return code, true
	}
	e := code>>(exactBits-1) - 1
	if e > 63-exactBits {
		return 0, false
	}
	return (code&(1<<(exactBits-1)-1) + 1<<(exactBits-1)) << e, true
}

// column is one metric of one node, as recorded.
type column struct {
	values []int64 // in quanta
	told   []int64 // of a rated one: what the node said
	codes  []int64 // of a rated one: the last rates; of read times how far behind they were
}

// track is the state of one node's samples: what writes them and what reads them keep it alike.
type track struct {
	known      bool
	count      [telemetry.NumScopes]int
	generation uint64
	ms         int64
	columns    []*column // by place; nil: nothing of it was told
	room       []int64   // for columns to come

	// Of what reads.
	sequence uint64
	draft    telemetry.Draft
	mask     []byte
	changes  []int64
}

// scratch is what writing a column needs for a moment.
type scratch struct {
	list, mask, gone []byte
}

func (t *track) reset(generation uint64, count *[telemetry.NumScopes]int, ms int64) {
	t.known, t.generation, t.count, t.ms = true, generation, *count, ms
	t.columns = make([]*column, len(defs))
}

// rebase forgets what only went before: a keyframe was written.
func (t *track) rebase() {
	for i, c := range t.columns {
		if c == nil {
			continue
		}
		if defs[i].ID == telemetry.ReadMS {
			for j, v := range c.values {
				if v != telemetry.Absent {
					c.codes[j] = v - t.ms
				}
			}
			continue
		}
		clear(c.codes)
	}
}

// make is a column with room for its entities, all absent.
func (t *track) make(i int) *column {
	c := t.columns[i]
	if c == nil {
		c = new(column)
		t.columns[i] = c
		n := t.count[defs[i].ID.Scope()]
		c.values = t.ints(n)
		for j := range c.values {
			c.values[j] = telemetry.Absent
		}
		if rated[i] {
			c.told = t.ints(n)
		}
		if rated[i] || defs[i].ID == telemetry.ReadMS {
			c.codes = t.ints(n)
		}
	}
	return c
}

// ints is room for n numbers.
func (t *track) ints(n int) []int64 {
	if len(t.room) < n || n == 0 {
		t.room = make([]int64, max(n, 512))
	}
	s := t.room[:n:n]
	t.room = t.room[n:]
	return s
}

// write puts a decoder's last sample into the streams.
func (t *track) write(s *streams, x *scratch, d *telemetry.Decoder) {
	last, st := d.Last(), d.State()
	var count [telemetry.NumScopes]int
	for sc := range count {
		count[sc] = st.Count(telemetry.Scope(sc))
	}
	flags := byte(0)
	if last.Whole {
		flags = flagWhole
	}
	if !t.known || last.Generation != t.generation || count != t.count || last.MonoMS < t.ms {
		t.reset(last.Generation, &count, last.MonoMS)
		flags = flagReset | flagWhole
	}
	t.head(s, flags, last.MonoMS)
	x.list = x.list[:0]
	columns, at := 0, 0
	for i := range defs {
		id := defs[i].ID
		if !d.Touched(id) {
			continue
		}
		held := d.Held(id)
		if held == nil && t.columns[i] == nil {
			continue
		}
		changed, gone := t.column(s, x, i, held)
		if changed {
			x.list = binary.AppendUvarint(x.list, uint64(i-at)<<1)
			at = i
			columns++
		}
		if gone {
			x.list = binary.AppendUvarint(x.list, uint64(i-at)<<1|1)
			at = i
			columns++
		}
	}
	s.heads = binary.AppendUvarint(s.heads, uint64(columns))
	s.heads = append(s.heads, x.list...)
}

func (t *track) head(s *streams, flags byte, ms int64) {
	s.heads = append(s.heads, flags)
	if flags&flagReset != 0 {
		s.heads = binary.AppendUvarint(s.heads, t.generation)
		for _, n := range t.count {
			s.heads = binary.AppendUvarint(s.heads, uint64(n))
		}
		s.heads = binary.AppendUvarint(s.heads, uint64(max(ms, 0)))
	} else {
		s.heads = binary.AppendVarint(s.heads, ms-t.ms-1000)
	}
	t.ms = ms
}

// column writes what differs from what was written last.
func (t *track) column(s *streams, x *scratch, i int, held []int64) (changed, gone bool) {
	c := t.make(i)
	n := len(c.values)
	size := (n + 7) >> 3
	x.mask = append(x.mask[:0], make([]byte, size)...)
	x.gone = append(x.gone[:0], make([]byte, size)...)
	for j := range n {
		v := telemetry.Absent
		if held != nil {
			v = held[j]
		}
		was := c.values[j]
		if c.told != nil && was != telemetry.Absent {
			was = c.told[j]
		}
		switch {
		case v == was:
		case v == telemetry.Absent:
			x.gone[j>>3] |= 1 << (j & 7)
			gone = true
		default:
			x.mask[j>>3] |= 1 << (j & 7)
			changed = true
		}
	}
	out := s.columns[i]
	if changed {
		out = append(out, x.mask...)
		for j := range n {
			if x.mask[j>>3]&(1<<(j&7)) != 0 {
				out = t.value(out, i, j, held[j])
			}
		}
	}
	if gone {
		out = append(out, x.gone...)
		for j := range n {
			if x.gone[j>>3]&(1<<(j&7)) != 0 {
				c.values[j] = telemetry.Absent
			}
		}
	}
	s.columns[i] = out
	return changed, gone
}

// value appends one reading.
func (t *track) value(out []byte, i, j int, v int64) []byte {
	c := t.columns[i]
	was := c.values[j]
	base := was
	if was == telemetry.Absent {
		base = 0
	}
	switch {
	case c.told != nil:
		change := v - c.told[j]
		c.told[j] = v
		if was == telemetry.Absent || change < 0 {
			out = binary.AppendVarint(append(out, 0), v-base)
			c.values[j] = v
			return out
		}
		code := codeOf(change)
		rounded, _ := changeOf(code)
		out = binary.AppendUvarint(out, 1+zigzag(code-c.codes[j]))
		c.codes[j] = code
		c.values[j] = was + rounded
		return out
	case c.codes != nil:
		behind := v - t.ms
		out = binary.AppendVarint(out, behind-c.codes[j])
		c.codes[j] = behind
	default:
		out = binary.AppendVarint(out, v-base)
	}
	c.values[j] = v
	return out
}

// keyframe writes all that was recorded of a node, as a sample that tells all anew.
func (t *track) keyframe(s *streams, x *scratch) {
	t.head(s, flagReset|flagWhole, t.ms)
	t.rebase()
	x.list = x.list[:0]
	columns, at := 0, 0
	for i, c := range t.columns {
		if c == nil {
			continue
		}
		mask := append(x.mask[:0], make([]byte, (len(c.values)+7)>>3)...)
		x.mask = mask
		any := false
		for j, v := range c.values {
			if v != telemetry.Absent {
				mask[j>>3] |= 1 << (j & 7)
				any = true
			}
		}
		if !any {
			continue
		}
		out := append(s.columns[i], mask...)
		for _, v := range c.values {
			switch {
			case v == telemetry.Absent:
			case c.told != nil:
				out = binary.AppendVarint(append(out, 0), v)
			case c.codes != nil:
				out = binary.AppendVarint(out, v-t.ms)
			default:
				out = binary.AppendVarint(out, v)
			}
		}
		s.columns[i] = out
		x.list = binary.AppendUvarint(x.list, uint64(i-at)<<1)
		at = i
		columns++
	}
	s.heads = binary.AppendUvarint(s.heads, uint64(columns))
	s.heads = append(s.heads, x.list...)
}

func zigzag(v int64) uint64 { return uint64(v<<1) ^ uint64(v>>63) }

func unzigzag(u uint64) int64 { return int64(u>>1) ^ -int64(u&1) }
