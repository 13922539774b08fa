package pipe

import (
	"encoding/binary"
	"errors"

	"foretop/telemetry"
)

// The payloads are sequences of zigzag varints and of strings with their length before them. JSON would make the reader a tenth larger, and both
// ends are of one build: there is nothing to be compatible with.

func appendString(dst []byte, s string) []byte {
	return append(binary.AppendUvarint(dst, uint64(len(s))), s...)
}

func appendInt(dst []byte, v int64) []byte { return binary.AppendVarint(dst, v) }

func appendBool(dst []byte, v bool) []byte {
	if v {
		return appendInt(dst, 1)
	}
	return appendInt(dst, 0)
}

var errBroken = errors.New("broken payload")

// scan reads a payload from its start. After anything that does not fit, it is bad and everything is empty.
type scan struct {
	b   []byte
	bad bool
}

func (s *scan) int() int64 {
	v, n := binary.Varint(s.b)
	if n <= 0 || s.bad {
		s.bad = true
		return 0
	}
	s.b = s.b[n:]
	return v
}

func (s *scan) bool() bool { return s.int() != 0 }

// count reads how many things of at least one byte each follow.
func (s *scan) count(most int) int {
	n := s.int()
	if n < 0 || n > int64(most) || n > int64(len(s.b)) {
		s.bad = true
		return 0
	}
	return int(n)
}

// text reads a string and cleans it.
func (s *scan) text(most int) string {
	n, size := binary.Uvarint(s.b)
	if s.bad || size <= 0 || n > uint64(len(s.b)-size) {
		s.bad = true
		return ""
	}
	v := telemetry.Clean(string(s.b[size:size+int(n)]), most)
	s.b = s.b[size+int(n):]
	return v
}

// end is an error when something did not fit or is left over.
func (s *scan) end() error {
	if s.bad || len(s.b) > 0 {
		return errBroken
	}
	return nil
}
