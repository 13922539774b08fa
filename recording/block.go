package recording

import (
	"encoding/binary"
	"hash/crc32"
	"sync"
	"time"

	"foretop/telemetry"

	"github.com/klauspost/compress/zstd"
)

// A recording is a file header and blocks; a block is a header and streams, each compressed for itself:
//
//	mark     4 bytes
//	kind     1 byte: 1 begins a segment with a keyframe, 2 goes on, 3 names what was found, 4 says what the recording is of
//	length   4 bytes: of what follows the header
//	raw      4 bytes: the same, not compressed
//	from, to 8 bytes each: Unix time in µs of the first and last record
//	sum      4 bytes: CRC-32C of all before it and all that follows
//	streams  number (uvarint), then for each its number, its length and its compressed length, 0 for as it is (uvarints), then their bytes
//
// All numbers of fixed size are little-endian. In memory blocks are held just so.
const (
	blockMark   = "FTOB"
	blockHeader = 4 + 1 + 4 + 4 + 8 + 8 + 4

	blockKey   = 1
	blockData  = 2
	blockMarks = 3
	blockAbout = 4
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// head is a block's header, read.
type head struct {
	kind        byte
	length, raw int
	from, to    int64 // µs
	sum         uint32
}

// block is one block as it is stored.
type block struct {
	head
	data []byte // header and all
}

var encoders = sync.Pool{New: func() any {
	e, err := zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1), zstd.WithEncoderLevel(zstd.SpeedDefault), zstd.WithWindowSize(1<<20), zstd.WithEncoderCRC(false), zstd.WithLowerEncoderMem(true))
	if err != nil {
		panic(err) // only for options that are wrong
	}
	return e
}}

var decoders = sync.Pool{New: func() any {
	d, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(maxRawBytes), zstd.WithDecodeAllCapLimit(true), zstd.WithDecoderLowmem(true))
	if err != nil {
		panic(err) // only for options that are wrong
	}
	return d
}}

// worthIt is how long a stream must be to be compressed.
const worthIt = 48

// seal makes a block of streams.
func (s *streams) seal(kind byte, from, to int64) *block {
	enc := encoders.Get().(*zstd.Encoder)
	defer encoders.Put(enc)
	type stream struct {
		id uint64
		b  []byte
	}
	times := append(binary.AppendVarint(nil, s.first-from), s.times...)
	list := []stream{{streamSpine, s.spine}, {streamTimes, times}, {streamHeads, s.heads}, {streamWords, s.words}}
	for i, b := range s.columns {
		list = append(list, stream{streamColumns + uint64(defs[i].ID), b})
	}
	out := make([]byte, blockHeader, blockHeader+s.size()/3+256)
	var index, body, small []byte
	n, raw := uint64(0), 0
	for _, st := range list {
		if len(st.b) == 0 {
			continue
		}
		n++
		raw += len(st.b)
		index = binary.AppendUvarint(index, st.id)
		index = binary.AppendUvarint(index, uint64(len(st.b)))
		if len(st.b) >= worthIt {
			if small = enc.EncodeAll(st.b, small[:0]); len(small) < len(st.b) {
				index = binary.AppendUvarint(index, uint64(len(small)))
				body = append(body, small...)
				continue
			}
		}
		index = binary.AppendUvarint(index, 0)
		body = append(body, st.b...)
	}
	out = binary.AppendUvarint(out, n)
	out = append(append(out, index...), body...)
	b := &block{head: head{kind: kind, length: len(out) - blockHeader, raw: raw, from: from, to: to}}
	b.data = append(make([]byte, 0, len(out)), out...)
	b.finish()
	return b
}

// finish writes the header.
func (b *block) finish() {
	h := b.data[:0]
	h = append(append(h, blockMark...), b.kind)
	h = binary.LittleEndian.AppendUint32(h, uint32(b.length))
	h = binary.LittleEndian.AppendUint32(h, uint32(b.raw))
	h = binary.LittleEndian.AppendUint64(h, uint64(b.from))
	h = binary.LittleEndian.AppendUint64(h, uint64(b.to))
	b.sum = checksum(h, b.data[blockHeader:])
	binary.LittleEndian.AppendUint32(h, b.sum)
}

func checksum(header, body []byte) uint32 {
	return crc32.Update(crc32.Checksum(header[:blockHeader-4], castagnoli), castagnoli, body)
}

// parseHead reads a block's header. Its sum is not checked.
func parseHead(b []byte) (head, error) {
	if len(b) < blockHeader || string(b[:4]) != blockMark {
		return head{}, damaged("no block where one should begin")
	}
	le := binary.LittleEndian
	h := head{kind: b[4], length: int(le.Uint32(b[5:])), raw: int(le.Uint32(b[9:])), from: int64(le.Uint64(b[13:])), to: int64(le.Uint64(b[21:])), sum: le.Uint32(b[29:])}
	if h.length > maxBlockBytes || h.raw > maxRawBytes || h.raw > 1<<20+h.length<<12 {
		return head{}, damaged("a block of %d bytes", h.length)
	}
	if h.from > h.to || h.from < 0 || h.to > maxMicros {
		return head{}, damaged("a block of no time")
	}
	return h, nil
}

// maxMicros is the year 9999.
const maxMicros = 253_402_300_800_000_000

// open gives the streams of a block, header and all, after its sum was checked. They lie in room where it is large enough, and it is made so: what was opened in it before is gone.
func open(h head, data []byte, room *[]byte) (*source, error) {
	if len(data) != blockHeader+h.length || checksum(data, data[blockHeader:]) != h.sum {
		return nil, damaged("a block whose sum is wrong")
	}
	in := reader{b: data[blockHeader:]}
	type stream struct {
		id, raw, packed uint64
	}
	n := in.uvarint()
	if n > uint64(len(in.b)) || n > 4096 {
		return nil, damaged("a block of %d streams", n)
	}
	list := make([]stream, n)
	total := uint64(0)
	for i := range list {
		list[i] = stream{in.uvarint(), in.uvarint(), in.uvarint()}
		if total += list[i].raw; list[i].raw > maxRawBytes || total > uint64(h.raw) {
			return nil, damaged("streams longer than their block")
		}
	}
	if cap(*room) < int(total) {
		*room = make([]byte, 0, total)
	}
	free := (*room)[:total]
	dec := decoders.Get().(*zstd.Decoder)
	defer decoders.Put(dec)
	s := &source{columns: make([]reader, len(defs)), last: h.from}
	for _, st := range list {
		stored := st.packed
		if stored == 0 {
			stored = st.raw
		}
		b := in.bytes(int(min(stored, maxRawBytes)))
		if st.packed != 0 && !in.bad {
			// No more than was said, and that is no more than the block says.
			var err error
			place := free[:0:st.raw]
			free = free[st.raw:]
			if b, err = dec.DecodeAll(b, place); err != nil || uint64(len(b)) != st.raw {
				return nil, damaged("a stream that does not unpack")
			}
		}
		if in.bad {
			break
		}
		switch {
		case st.id == streamSpine:
			s.spine.b = b
		case st.id == streamTimes:
			s.times.b = b
		case st.id == streamHeads:
			s.heads.b = b
		case st.id == streamWords:
			s.words.b = b
		case st.id >= streamColumns && st.id-streamColumns < 1<<16:
			if i, ok := placeOf[telemetry.Metric(st.id-streamColumns)]; ok {
				s.columns[i].b = b
			}
		}
	}
	if s.last += s.times.varint(); in.bad || s.times.bad {
		return nil, damaged("streams cut short")
	}
	return s, nil
}

var placeOf = func() map[telemetry.Metric]int {
	m := make(map[telemetry.Metric]int, len(defs))
	for i, d := range defs {
		m[d.ID] = i
	}
	return m
}()

func micros(t time.Time) int64 { return t.UnixMicro() }

func moment(us int64) time.Time { return time.UnixMicro(us) }
