package accelerators

import (
	"bytes"
	"errors"
	"math"
	"strconv"
	"unicode/utf8"
)

// jsonStep is one step from the root of a document to a value: a key of an object, or a place in an array.
type jsonStep struct {
	key   []byte // as it is written, escapes and all; nil in an array
	index int
}

// is says whether the step is this key.
func (s jsonStep) is(key string) bool { return s.key != nil && string(s.key) == key }

// jsonValue is a string, a number or a word (true, false, null), as it is written; a string without its quotes, escapes left as they are.
type jsonValue struct {
	text   []byte
	quoted bool
}

// number reads the value as a number that is not negative; tools quote some of theirs.
func (v jsonValue) number() (float64, bool) {
	if len(v.text) == 0 || len(v.text) > 32 {
		return 0, false
	}
	f, err := strconv.ParseFloat(string(v.text), 64)
	return f, err == nil && f >= 0 && !math.IsInf(f, 0)
}

// integer reads the value as a whole number that is not negative.
func (v jsonValue) integer() (int64, bool) {
	f, ok := v.number()
	return int64(f), ok && f < 1<<53 && f == math.Trunc(f)
}

const jsonDepth = 24 // more than any of the tools nest

var errJSON = errors.New("not the JSON that was expected")

// scanJSON walks over one document and gives each string, number and word in it with the steps that lead there, which are valid during the call only.
// It is for reading few values out of a long report: it builds nothing, and is lenient about what it steps over.
func scanJSON(b []byte, visit func(path []jsonStep, v jsonValue)) error {
	s := jsonScan{b: b, visit: visit}
	if !s.value() {
		return errJSON
	}
	if s.blanks(); s.at != len(s.b) {
		return errJSON
	}
	return nil
}

type jsonScan struct {
	b     []byte
	at    int
	path  [jsonDepth]jsonStep
	depth int
	visit func([]jsonStep, jsonValue)
}

func (s *jsonScan) blanks() {
	for s.at < len(s.b) && (s.b[s.at] == ' ' || s.b[s.at] == '\t' || s.b[s.at] == '\n' || s.b[s.at] == '\r') {
		s.at++
	}
}

// skip steps over blanks and the character, if it comes next.
func (s *jsonScan) skip(c byte) bool {
	s.blanks()
	if s.at < len(s.b) && s.b[s.at] == c {
		s.at++
		return true
	}
	return false
}

func (s *jsonScan) value() bool {
	switch {
	case s.skip('{'):
		return s.members('}', true)
	case s.skip('['):
		return s.members(']', false)
	case s.skip('"'):
		text, ok := s.text()
		if ok {
			s.visit(s.path[:s.depth], jsonValue{text, true})
		}
		return ok
	}
	start := s.at
	for s.at < len(s.b) && bytes.IndexByte([]byte(" \t\r\n,:]}[{\""), s.b[s.at]) < 0 {
		s.at++
	}
	if s.at == start {
		return false
	}
	s.visit(s.path[:s.depth], jsonValue{s.b[start:s.at], false})
	return true
}

// members reads what is in an object or array, up to its end.
func (s *jsonScan) members(end byte, keys bool) bool {
	if s.skip(end) {
		return true
	}
	if s.depth == jsonDepth {
		return false
	}
	s.depth++
	step := &s.path[s.depth-1]
	for i := 0; ; i++ {
		*step = jsonStep{index: i}
		if keys {
			ok := s.skip('"')
			if ok {
				step.key, ok = s.text()
			}
			if !ok || !s.skip(':') {
				return false
			}
		}
		if !s.value() {
			return false
		}
		if s.skip(',') {
			continue
		}
		s.depth--
		return s.skip(end)
	}
}

// text reads a string after its first quote.
func (s *jsonScan) text() ([]byte, bool) {
	for start := s.at; s.at < len(s.b); s.at++ {
		switch s.b[s.at] {
		case '\\':
			s.at++
		case '"':
			s.at++
			return s.b[start : s.at-1 : s.at-1], true
		}
	}
	s.at = len(s.b)
	return nil, false
}

// plain undoes the escapes of a string for the few words that are shown. What is no escape stays as it is.
func (v jsonValue) plain() string {
	if !v.quoted || bytes.IndexByte(v.text, '\\') < 0 {
		return string(v.text)
	}
	out := make([]byte, 0, len(v.text))
	for b := v.text; len(b) > 0; {
		if b[0] != '\\' || len(b) < 2 {
			out, b = append(out, b[0]), b[1:]
			continue
		}
		c := b[1]
		b = b[2:]
		switch i := bytes.IndexByte([]byte("nrtbf"), c); {
		case i >= 0:
			out = append(out, "\n\r\t\b\f"[i])
		case c == 'u' && len(b) >= 4:
			r, ok := parseHex(b[:4])
			if !ok {
				r = utf8.RuneError
			}
			out, b = utf8.AppendRune(out, rune(r)), b[4:]
		default:
			out = append(out, c)
		}
	}
	return string(out)
}
