package cli

import (
	"bytes"
	"io"
	"strings"
	"sync"

	"foretop/telemetry"
)

// maxLineBytes is where a line that does not end is broken.
const maxLineBytes = 64 << 10

// labelled writes lines with a node's name before each, whole lines only: many nodes' lines go to one place.
type labelled struct {
	mu    *sync.Mutex // of to
	to    io.Writer
	label string
	text  func(string) string // makes a line fit for where it is written to
	room  *int                // bytes that the node may print still, of both its streams
	begun []byte              // a line that has not ended
}

func (l *labelled) Write(b []byte) (int, error) {
	all := len(b)
	if *l.room < len(b) {
		b = b[:max(*l.room, 0)]
	}
	*l.room -= all
	for len(b) > 0 {
		i := bytes.IndexByte(b, '\n')
		switch {
		case i >= 0:
			l.begun = append(l.begun, b[:i]...)
			b = b[i+1:]
		case len(l.begun)+len(b) < maxLineBytes:
			l.begun = append(l.begun, b...)
			return all, nil
		default:
			l.begun = append(l.begun, b...)
			b = nil
		}
		if err := l.flush(); err != nil {
			return 0, err
		}
	}
	return all, nil
}

// end writes a last line that has no end.
func (l *labelled) end() error {
	if len(l.begun) == 0 {
		return nil
	}
	return l.flush()
}

func (l *labelled) flush() error {
	line := l.label + ": " + l.text(string(l.begun)) + "\n"
	l.begun = l.begun[:0]
	l.mu.Lock()
	defer l.mu.Unlock()
	_, err := io.WriteString(l.to, line)
	return err
}

// asItIs is output for a pipe or a file.
func asItIs(s string) string { return s }

// forTerminal is output for a terminal: lines and tabs stay, and nothing else that a terminal obeys.
func forTerminal(s string) string {
	lines := strings.Split(s, "\n")
	for i, line := range lines {
		pieces := strings.Split(strings.TrimSuffix(line, "\r"), "\t")
		for k, p := range pieces {
			pieces[k] = telemetry.Clean(p, len(p)*3+3) // what is taken out leaves three bytes
		}
		lines[i] = strings.Join(pieces, "\t")
	}
	return strings.Join(lines, "\n")
}
