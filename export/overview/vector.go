package overview

import (
	"errors"
	"fmt"
	"io"
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
