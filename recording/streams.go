package recording

import (
	"encoding/binary"
	"fmt"
)

// DamagedError is a recording that is not what was written.
type DamagedError struct{ What string }

func (e *DamagedError) Error() string { return "the recording is damaged: " + e.What }

func damaged(format string, args ...any) error {
	return &DamagedError{What: fmt.Sprintf(format, args...)}
}

// Bounds of what is read. A block holds ten seconds; of 5,000 nodes that is 20 MiB.
const (
	maxBlockBytes = 64 << 20  // of a block, compressed
	maxRawBytes   = 256 << 20 // and not
	maxWordBytes  = 32 << 20  // one record's words
	maxTracks     = 1 << 16   // nodes
)

// Numbers of the streams of a block; a metric's is streamColumns plus its own.
const (
	streamSpine   = iota // a record's kind, and which node it is of
	streamTimes          // and when: µs from the block's beginning to its first, which need not be the earliest, then since the one before
	streamHeads          // of samples
	streamWords          // everything else
	streamColumns = 16
)

// streams are a block that is being written.
type streams struct {
	spine, times, heads, words []byte
	columns                    [][]byte // by place in the metric table
	first, last                int64    // µs
	records                    int
}

func newStreams(from int64) *streams {
	return &streams{columns: make([][]byte, len(defs)), first: from, last: from}
}

// record begins a record.
func (s *streams) record(kind byte, node uint64, us int64) {
	s.spine = append(s.spine, kind)
	if ofNode(kind) {
		s.spine = binary.AppendUvarint(s.spine, node)
	}
	s.times = binary.AppendVarint(s.times, us-s.last)
	s.last = us
	s.records++
}

// word adds words to the record.
func (s *streams) word(b []byte) {
	s.words = binary.AppendUvarint(s.words, uint64(len(b)))
	s.words = append(s.words, b...)
}

func (s *streams) size() int {
	n := len(s.spine) + len(s.times) + len(s.heads) + len(s.words)
	for _, c := range s.columns {
		n += len(c)
	}
	return n
}

// source is a block that is being read.
type source struct {
	spine, times, heads, words reader
	columns                    []reader
	last                       int64
}

// next is the next record; ok is false at the end.
func (s *source) next() (kind byte, node uint64, us int64, ok bool, err error) {
	if len(s.spine.b) == 0 {
		return 0, 0, 0, false, nil
	}
	kind = s.spine.byte()
	if ofNode(kind) {
		node = s.spine.uvarint()
	}
	s.last += s.times.varint()
	if s.spine.bad || s.times.bad || node >= maxTracks {
		return 0, 0, 0, false, damaged("a record cut short")
	}
	return kind, node, s.last, true, nil
}

// peek is when the next record is, without taking it.
func (s *source) peek() (us int64, ok bool) {
	if len(s.spine.b) == 0 {
		return 0, false
	}
	t := s.times
	return s.last + t.varint(), !t.bad
}

func (s *source) word() ([]byte, error) {
	n := s.words.uvarint()
	if n > maxWordBytes {
		return nil, damaged("a record of %d bytes", n)
	}
	b := s.words.bytes(int(n))
	if s.words.bad {
		return nil, damaged("words cut short")
	}
	return b, nil
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
	if n < 0 || n > len(r.b) {
		r.bad = true
		return nil
	}
	p := r.b[:n:n]
	r.b = r.b[n:]
	return p
}

func (r *reader) uvarint() uint64 {
	if len(r.b) > 0 && r.b[0] < 0x80 {
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

func (r *reader) varint() int64 { return unzigzag(r.uvarint()) }
