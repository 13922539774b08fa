package overview

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strconv"
	"unicode/utf8"
)

// Bounds on an answer: far above what a server of 20,000 nodes says, and small enough that a hostile one costs little.
const (
	maxText   = 4 << 10  // bytes of one string
	maxLabels = 64       // of one series
	maxSeries = 4 << 20  // of one answer
	maxDepth  = 32       // of what is skipped
	maxNotes  = 8        // warnings that are kept
	readAhead = 64 << 10 // bytes
)

// label is one label of a series. Its bytes are the reader's own.
type label struct{ name, value []byte }

// vector is the answer to an instant query, read as it comes: nothing of it is kept but the series at hand.
type vector struct {
	r      io.Reader
	buf    []byte
	pos    int // of the next byte in buf
	each   func(labels []label, at, value float64)
	series int
	key    []byte // of the object's member at hand

	text   []byte  // of the series at hand
	spans  []int   // where its labels' names and values end in text
	labels []label // the same, for each

	status, kind, trouble string   // "success", "vector"; the error's words
	notes                 []string // warnings
	partial               bool     // not all of the server's storage answered
}

// errAnswer is an answer that is no answer to an instant query.
type errAnswer struct{ what string }

func (e *errAnswer) Error() string { return "not an answer to a query: " + e.what }

// readVector reads an answer and gives each series its labels, the time of the query and the value, which may be anything that a float is. The labels are
// valid only during the call.
func readVector(r io.Reader, each func(labels []label, at, value float64)) (*vector, error) {
	v := &vector{r: r, buf: make([]byte, 0, readAhead), each: each}
	err := v.object(v.top)
	switch {
	case errors.Is(err, io.EOF):
		err = io.ErrUnexpectedEOF
	case err != nil:
	case v.status == "error":
		err = errors.New(v.trouble)
	case v.status != "success":
		err = &errAnswer{"it has no status"}
	case v.kind != "vector":
		err = &errAnswer{fmt.Sprintf("its type is %q, not vector", v.kind)}
	}
	return v, err
}

func (v *vector) top(key []byte) (err error) {
	switch string(key) {
	case "status":
		v.status, err = v.word()
	case "error":
		v.trouble, err = v.word()
	case "data":
		err = v.object(v.data)
	case "isPartial":
		var c byte
		if c, err = v.next(); err == nil {
			v.partial = c == 't'
			err = v.skip(0)
		}
	case "warnings":
		err = v.array(func() error {
			note, err := v.word()
			if len(v.notes) < maxNotes {
				v.notes = append(v.notes, note)
			}
			return err
		})
	default:
		err = v.skip(0)
	}
	return err
}

func (v *vector) data(key []byte) (err error) {
	switch string(key) {
	case "resultType":
		v.kind, err = v.word()
		if err == nil && v.kind != "vector" {
			err = &errAnswer{fmt.Sprintf("its type is %q, not vector", v.kind)}
		}
	case "result":
		err = v.array(v.one)
	default:
		err = v.skip(0)
	}
	return err
}

// one reads one series.
func (v *vector) one() error {
	if v.series++; v.series > maxSeries {
		return &errAnswer{fmt.Sprintf("more than %d series", maxSeries)}
	}
	v.text, v.spans = v.text[:0], v.spans[:0]
	var at, value float64
	found := false
	err := v.object(func(key []byte) (err error) {
		switch string(key) {
		case "metric":
			return v.members(func() error {
				if len(v.spans) >= 2*maxLabels {
					return &errAnswer{fmt.Sprintf("a series of more than %d labels", maxLabels)}
				}
				return nil
			})
		case "value":
			found = true
			at, value, err = v.point()
			return err
		}
		return v.skip(0)
	})
	if err != nil || !found { // a histogram has no value
		return err
	}
	v.labels = v.labels[:0]
	from := 0
	for i := 0; i+1 < len(v.spans); i += 2 {
		v.labels = append(v.labels, label{v.text[from:v.spans[i]], v.text[v.spans[i]:v.spans[i+1]]})
		from = v.spans[i+1]
	}
	v.each(v.labels, at, value)
	return nil
}

// members reads an object of strings into text and spans.
func (v *vector) members(room func() error) error {
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
		if err := room(); err != nil {
			return err
		}
		for i := range 2 {
			if i == 1 {
				if err := v.expect(':'); err != nil {
					return err
				}
			}
			if v.text, err = v.str(v.text); err != nil {
				return err
			}
			v.spans = append(v.spans, len(v.text))
		}
	}
}

// point reads [time, "value"].
func (v *vector) point() (at, value float64, err error) {
	if err = v.expect('['); err != nil {
		return
	}
	if at, err = v.number(); err != nil {
		return
	}
	if err = v.expect(','); err != nil {
		return
	}
	mark := len(v.text)
	if v.text, err = v.str(v.text); err != nil {
		return
	}
	if value, err = parseFloat(v.text[mark:]); err != nil {
		return 0, 0, &errAnswer{fmt.Sprintf("a value that is no number: %.40q", v.text[mark:])}
	}
	v.text = v.text[:mark]
	return at, value, v.expect(']')
}

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
