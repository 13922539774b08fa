package overview

import (
	"bytes"
	"fmt"
	"io"
	"strconv"
	"unicode/utf8"
)

// object reads an object; member reads the value of each key, which is valid until it reads.
func (v *vector) object(member func(key []byte) error) error {
	if err := v.expect('{'); err != nil {
		return err
	}
	for first := true; ; first = false {
		c, err := v.next()
		switch {
		case err != nil:
			return err
		case c == '}':
			v.pos++
			return nil
		case !first:
			if err := v.expect(','); err != nil {
				return err
			}
		}
		if v.key, err = v.str(v.key[:0]); err != nil {
			return err
		}
		if err := v.expect(':'); err != nil {
			return err
		}
		if err := member(v.key); err != nil {
			return err
		}
	}
}

func (v *vector) array(element func() error) error {
	if err := v.expect('['); err != nil {
		return err
	}
	for first := true; ; first = false {
		c, err := v.next()
		switch {
		case err != nil:
			return err
		case c == ']':
			v.pos++
			return nil
		case !first:
			if err := v.expect(','); err != nil {
				return err
			}
		}
		if err := element(); err != nil {
			return err
		}
	}
}

// skip reads over any value.
func (v *vector) skip(depth int) error {
	c, err := v.next()
	if err != nil {
		return err
	}
	switch {
	case depth > maxDepth:
		return &errAnswer{"it is nested too deep"}
	case c == '"':
		_, err = v.word()
		return err
	case c == '{':
		return v.object(func([]byte) error { return v.skip(depth + 1) })
	case c == '[':
		return v.array(func() error { return v.skip(depth + 1) })
	}
	n := 0
	for ; ; n++ { // a number, true, false or null
		c, err := v.byte()
		if err != nil {
			return err
		}
		if c == ',' || c == '}' || c == ']' || c <= ' ' {
			break
		}
		if n > maxText || c == '"' || c == ':' || c == '{' || c == '[' {
			return &errAnswer{"a value that is none"}
		}
		v.pos++
	}
	if n == 0 {
		return &errAnswer{"a value is missing"}
	}
	return nil
}

// number reads a plain number.
func (v *vector) number() (float64, error) {
	if _, err := v.next(); err != nil {
		return 0, err
	}
	var digits [48]byte
	n := 0
	for {
		c, err := v.byte()
		if err != nil {
			return 0, err
		}
		if !(c >= '0' && c <= '9' || c == '.' || c == '-' || c == '+' || c == 'e' || c == 'E') {
			break
		}
		if n == len(digits) {
			return 0, &errAnswer{"a time that is too long"}
		}
		digits[n] = c
		n++
		v.pos++
	}
	f, err := parseFloat(digits[:n])
	if err != nil {
		return 0, &errAnswer{fmt.Sprintf("a time that is no number: %.40q", digits[:n])}
	}
	return f, nil
}

// next is the next byte that is no blank; it is not read over.
func (v *vector) next() (byte, error) {
	for {
		c, err := v.byte()
		if err != nil || c != ' ' && c != '\n' && c != '\t' && c != '\r' {
			return c, err
		}
		v.pos++
	}
}

// byte is the next byte, which is not read over.
func (v *vector) byte() (byte, error) {
	if v.pos == len(v.buf) {
		if err := v.fill(); err != nil {
			return 0, err
		}
	}
	return v.buf[v.pos], nil
}

// fill reads on when all was read over.
func (v *vector) fill() error {
	for range 100 {
		n, err := v.r.Read(v.buf[:cap(v.buf)])
		v.buf, v.pos = v.buf[:n], 0
		if n > 0 {
			return nil // an error will come again
		}
		if err != nil {
			return err
		}
	}
	return io.ErrNoProgress
}

func (v *vector) expect(want byte) error {
	c, err := v.next()
	if err != nil {
		return err
	}
	if c != want {
		return &errAnswer{fmt.Sprintf("%q where %q is expected", c, want)}
	}
	v.pos++
	return nil
}

func (v *vector) word() (string, error) {
	text, err := v.str(nil)
	return string(text), err
}

// str reads a string and appends it.
func (v *vector) str(to []byte) ([]byte, error) {
	if err := v.expect('"'); err != nil {
		return to, err
	}
	from := len(to)
	for {
		if _, err := v.byte(); err != nil {
			return to, err
		}
		part := v.buf[v.pos:]
		end := bytes.IndexByte(part, '"') + 1
		if end > 0 {
			part = part[:end]
		}
		v.pos += len(part)
		if len(to)-from+len(part) > 6*maxText { // escapes take six bytes for one
			return to, &errAnswer{fmt.Sprintf("a string of more than %d bytes", maxText)}
		}
		to = append(to, part...)
		if end > 0 && !escapedEnd(to[from:]) {
			break
		}
	}
	to = to[:len(to)-1]
	to, err := unescape(to, from)
	if err == nil && len(to)-from > maxText {
		err = &errAnswer{fmt.Sprintf("a string of more than %d bytes", maxText)}
	}
	return to, err
}

// escapedEnd says that the quote at the end belongs to the string.
func escapedEnd(text []byte) bool {
	n := 0
	for i := len(text) - 2; i >= 0 && text[i] == '\\'; i-- {
		n++
	}
	return n%2 == 1
}

// unescape takes the escapes out of what stands from a place on, in place.
func unescape(text []byte, from int) ([]byte, error) {
	to := from
	for i := from; i < len(text); i++ {
		c := text[i]
		if c < ' ' {
			return text, &errAnswer{"a control character in a string"}
		}
		if c != '\\' {
			text[to] = c
			to++
			continue
		}
		if i++; i == len(text) {
			return text, &errAnswer{"a string that ends in an escape"}
		}
		switch c := text[i]; c {
		case '"', '\\', '/':
			text[to] = c
			to++
		case 'b', 'f', 'n', 'r', 't':
			text[to] = ' ' // none of them belongs into a label
			to++
		case 'u':
			if i+4 >= len(text) {
				return text, &errAnswer{"a string that ends in an escape"}
			}
			code, err := strconv.ParseUint(string(text[i+1:i+5]), 16, 32)
			if err != nil {
				return text, &errAnswer{"an escape that is none"}
			}
			i += 4
			// Half of a pair becomes U+FFFD, as any other wrong code does; it is at most three bytes for six.
			to += utf8.EncodeRune(text[to:to+utf8.UTFMax:cap(text)], rune(code))
		default:
			return text, &errAnswer{"an escape that is none"}
		}
	}
	return text[:to], nil
}

// parseFloat is strconv's without allocating for what nearly all values are: a few digits, with a point or without.
func parseFloat(text []byte) (float64, error) {
	digits, point, whole := text, -1, int64(0)
	if len(digits) > 0 && digits[0] == '-' {
		digits = digits[1:]
	}
	if len(digits) == 0 || len(digits) > 15 {
		return strconv.ParseFloat(string(text), 64)
	}
	for i, c := range digits {
		switch {
		case c >= '0' && c <= '9':
			whole = whole*10 + int64(c-'0')
		case c == '.' && point < 0 && i > 0 && i < len(digits)-1:
			point = i
		default:
			return strconv.ParseFloat(string(text), 64)
		}
	}
	value := float64(whole)
	if point >= 0 {
		value /= tens[len(digits)-1-point] // both are exact, so that the quotient is the nearest
	}
	if len(digits) < len(text) {
		value = -value
	}
	return value, nil
}

var tens = [...]float64{1, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15}
