package ras

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"strconv"
)

// scanner takes JSON apart as it comes (RFC 8259), and keeps nothing of it.
type scanner struct {
	r        *bufio.Reader
	depth    int
	repaired bool // a comma that must be there was not
}

const (
	maxDepth  = 16
	maxString = 256 // bytes kept
	maxNumber = 32
)

func broken(format string, args ...any) error {
	return fmt.Errorf("its JSON is broken: "+format, args...)
}

// next gives the next byte that is no blank, without taking it.
func (s *scanner) next() (byte, error) {
	for {
		c, err := s.r.ReadByte()
		switch {
		case errors.Is(err, io.EOF):
			return 0, ErrCutShort
		case err != nil:
			return 0, err
		case c != ' ' && c != '\n' && c != '\r' && c != '\t':
			return c, s.r.UnreadByte()
		}
	}
}

// take takes a byte that must be there.
func (s *scanner) take(want byte) error {
	c, err := s.next()
	if err == nil && c != want {
		return broken("%q where %q should be", c, want)
	}
	if err == nil {
		_, err = s.r.ReadByte()
	}
	return err
}

func (s *scanner) enter() error {
	if s.depth++; s.depth > maxDepth {
		return broken("it is nested too deep")
	}
	return nil
}

// object hands the name of each field to field, which takes the value. NCCL 2.28.7 and 2.28.9 leave out the comma before the field "status" of a rank
// that is missing: there it may lack, and nowhere else.
func (s *scanner) object(field func(name string) error) error {
	if err := s.enter(); err != nil {
		return err
	}
	defer func() { s.depth-- }()
	if err := s.take('{'); err != nil {
		return err
	}
	for first := true; ; first = false {
		c, err := s.next()
		if err != nil {
			return err
		}
		lacks := false
		switch {
		case c == '}':
			return s.take('}')
		case first:
		case c == ',':
			if err := s.take(','); err != nil {
				return err
			}
		default:
			lacks = true
		}
		name, err := s.text()
		switch {
		case err != nil:
			return err
		case lacks && name != "status":
			return broken("a comma lacks before %q", name)
		}
		s.repaired = s.repaired || lacks
		if err := s.take(':'); err != nil {
			return err
		}
		if err := field(name); err != nil {
			return err
		}
	}
}

// array has each of its elements taken by element.
func (s *scanner) array(element func() error) error {
	if err := s.enter(); err != nil {
		return err
	}
	defer func() { s.depth-- }()
	if err := s.take('['); err != nil {
		return err
	}
	for first := true; ; first = false {
		c, err := s.next()
		switch {
		case err != nil:
			return err
		case c == ']':
			return s.take(']')
		case !first:
			if err := s.take(','); err != nil {
				return err
			}
		}
		if err := element(); err != nil {
			return err
		}
	}
}

// text takes a string. Escapes are no matter in any word of a report: what they stand for is shown as it is written.
func (s *scanner) text() (string, error) {
	if err := s.take('"'); err != nil {
		return "", err
	}
	var b []byte
	for escaped := false; ; {
		c, err := s.r.ReadByte()
		switch {
		case errors.Is(err, io.EOF):
			return "", ErrCutShort
		case err != nil:
			return "", err
		case c == '"' && !escaped:
			return string(b), nil
		case c < ' ':
			return "", broken("a string has a control character")
		}
		escaped = c == '\\' && !escaped
		if len(b) < maxString {
			b = append(b, c)
		}
	}
}

// word takes a number, true, false or null as it is written.
func (s *scanner) word() (string, error) {
	if _, err := s.next(); err != nil {
		return "", err
	}
	var b [maxNumber]byte
	for n := 0; ; n++ {
		c, err := s.r.ReadByte()
		switch {
		case errors.Is(err, io.EOF):
			return "", ErrCutShort
		case err != nil:
			return "", err
		case c >= '0' && c <= '9', c == '-', c == '+', c == '.', c|0x20 >= 'a' && c|0x20 <= 'z':
			if n == len(b) {
				return "", broken("a number is too long")
			}
			b[n] = c
			continue
		case n == 0:
			return "", broken("%q where a value should be", c)
		}
		return string(b[:n]), s.r.UnreadByte()
	}
}

// integer takes a number; one that is none of 31 bits, with its sign, is -1.
func (s *scanner) integer(to *int32) error {
	w, err := s.word()
	if err != nil {
		return err
	}
	n, wrong := strconv.ParseInt(w, 10, 32)
	if *to = int32(n); wrong != nil {
		*to = -1
	}
	return nil
}

// count takes a number of things; what is none is 0.
func (s *scanner) count(to *uint64) error {
	w, err := s.word()
	if err != nil {
		return err
	}
	*to, _ = operations(w)
	return nil
}

func (s *scanner) flag(to *bool) error {
	w, err := s.word()
	*to = w == "true"
	return err
}

func (s *scanner) string(to *string) (err error) {
	*to, err = s.text()
	return err
}

// skip takes any value.
func (s *scanner) skip() error {
	c, err := s.next()
	switch {
	case err != nil:
		return err
	case c == '{':
		return s.object(func(string) error { return s.skip() })
	case c == '[':
		return s.array(s.skip)
	case c == '"':
		_, err = s.text()
	default:
		_, err = s.word()
	}
	return err
}
