package collectors

import (
	"bytes"
	"strconv"
	"unicode/utf16"
	"unicode/utf8"
)

const jsonDepth = 8 // journalctl nests once

// scanJournal reads one line of journalctl -o json and tells each field that is text: a string, a list of bytes where it is not UTF-8, and the
// first of a list of strings where the field came several times. It steps over the rest, and is lenient about it. false: it is no whole object.
//
// encoding/json would be most of a tenth of what a node is sent, for these lines alone.
func scanJournal(line []byte, tell func(name, text string)) bool {
	s := jsonText{rest: line}
	if !s.take('{') {
		return false
	}
	for more := !s.take('}'); more; more = !s.take('}') {
		name, ok := s.text()
		if !ok || !s.take(':') {
			return false
		}
		text, isText, ok := s.value()
		if !ok {
			return false
		}
		if isText {
			tell(name, text)
		}
		if s.take(',') == (s.peek() == '}') {
			return false
		}
	}
	return s.peek() == 0
}

// jsonText is what is left to read. Its methods answer false where it is broken.
type jsonText struct{ rest []byte }

// peek is the next character that is not blank, 0 at the end.
func (s *jsonText) peek() byte {
	s.rest = bytes.TrimLeft(s.rest, " \t\r\n")
	if len(s.rest) == 0 {
		return 0
	}
	return s.rest[0]
}

func (s *jsonText) take(c byte) bool {
	if s.peek() != c {
		return false
	}
	s.rest = s.rest[1:]
	return true
}

func (s *jsonText) value() (text string, isText, ok bool) {
	switch s.peek() {
	case '"':
		text, ok = s.text()
		return text, true, ok
	case '[':
		start := s.rest
		if text, ok = s.bytes(); ok {
			return text, true, true
		}
		s.rest = start[1:]
		if s.peek() == '"' {
			text, isText = s.text()
		}
		s.rest = start
	}
	return text, isText, s.skip(jsonDepth)
}

// bytes reads a list of numbers below 256.
func (s *jsonText) bytes() (string, bool) {
	var out []byte
	if !s.take('[') {
		return "", false
	}
	if s.take(']') {
		return "", true
	}
	for {
		s.peek()
		n := 0
		for n < len(s.rest) && s.rest[n] >= '0' && s.rest[n] <= '9' {
			n++
		}
		v, err := strconv.ParseUint(string(s.rest[:n]), 10, 8)
		if err != nil {
			return "", false
		}
		out, s.rest = append(out, byte(v)), s.rest[n:]
		if s.take(']') {
			return string(out), true
		}
		if !s.take(',') {
			return "", false
		}
	}
}

// skip steps over a value.
func (s *jsonText) skip(depth int) bool {
	end := byte(']')
	switch s.peek() {
	case '"':
		_, ok := s.text()
		return ok
	case '{':
		end = '}'
	case '[':
	default: // a number or a word
		rest := bytes.TrimLeft(s.rest, "+-.0123456789abcdefghijklmnopqrstuvwxyzE")
		found := len(rest) < len(s.rest)
		s.rest = rest
		return found
	}
	s.rest = s.rest[1:]
	for more := !s.take(end); more; more = !s.take(end) {
		if depth == 0 || end == '}' && !(s.peek() == '"' && s.skip(0) && s.take(':')) || !s.skip(depth-1) {
			return false
		}
		if s.take(',') == (s.peek() == end) {
			return false
		}
	}
	return true
}

// text reads a string and undoes its escapes. Half a pair of surrogates becomes U+FFFD, as whatever else is no character.
func (s *jsonText) text() (string, bool) {
	if !s.take('"') {
		return "", false
	}
	n := bytes.IndexAny(s.rest, `"\`)
	if n >= 0 && s.rest[n] == '"' {
		text := string(s.rest[:n])
		s.rest = s.rest[n+1:]
		return text, true
	}
	var out []byte
	for len(s.rest) > 0 {
		c := s.rest[0]
		s.rest = s.rest[1:]
		switch {
		case c == '"':
			return string(out), true
		case c != '\\':
			out = append(out, c)
			continue
		case len(s.rest) == 0:
			return "", false
		}
		if i := bytes.IndexByte([]byte(`"\/bfnrt`), s.rest[0]); i >= 0 {
			out, s.rest = append(out, "\"\\/\b\f\n\r\t"[i]), s.rest[1:]
			continue
		}
		r, ok := codeUnit(s.rest)
		if !ok {
			return "", false
		}
		s.rest = s.rest[5:]
		if after, ok := bytes.CutPrefix(s.rest, []byte{'\\'}); ok {
			low, _ := codeUnit(after)
			if pair := utf16.DecodeRune(r, low); pair != utf8.RuneError {
				r, s.rest = pair, after[5:]
			}
		}
		out = utf8.AppendRune(out, r)
	}
	return "", false
}

// codeUnit reads the uXXXX after a backslash.
func codeUnit(b []byte) (rune, bool) {
	if len(b) < 5 || b[0] != 'u' {
		return 0, false
	}
	v, err := strconv.ParseUint(string(b[1:5]), 16, 16)
	return rune(v), err == nil
}
