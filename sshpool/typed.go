package sshpool

import (
	"io"

	"github.com/muesli/cancelreader"
)

// typed reads what is typed on a terminal, until it is stopped: without taking a key that is not its own any more.
type typed struct {
	in   cancelreader.CancelReader
	line bool // the next key is the first of a line
	held bool // a "~" began the line and is not sent yet
}

func newTyped(in io.Reader) *typed {
	r, err := cancelreader.NewReader(in)
	if err != nil { // a file that nobody can wait for: its reads return at once
		r, _ = cancelreader.NewReader(struct{ io.Reader }{in})
	}
	return &typed{in: r, line: true}
}

// stop ends copyTo.
func (t *typed) stop() { t.in.Cancel() }

// copyTo sends what is typed to w until there is no more; true: the user left by "~.".
func (t *typed) copyTo(w io.Writer) (left bool) {
	defer t.in.Close()
	buf := make([]byte, 1<<10)
	var out []byte
	for {
		n, err := t.in.Read(buf)
		out, left = t.take(out[:0], buf[:n])
		if len(out) > 0 {
			if _, err := w.Write(out); err != nil {
				return left
			}
		}
		if err != nil || left {
			return left
		}
	}
}

// take appends what is to be sent of some keys, as ssh does: at the beginning of a line "~." leaves and "~~" is a "~".
func (t *typed) take(out, keys []byte) (send []byte, left bool) {
	for _, k := range keys {
		switch {
		case t.held && k == '.':
			return out, true
		case t.held && k != '~':
			out = append(out, '~', k)
		case !t.held && t.line && k == '~':
			t.held = true
			continue
		default:
			out = append(out, k)
		}
		t.held = false
		t.line = k == '\r' || k == '\n'
	}
	return out, false
}
