package sshpool

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"

	"foretop/telemetry"
)

const (
	maxNoise = 1<<20 + 64<<10 // bytes that a login shell may print before the start line
	maxNotes = 1 << 10        // of them, kept
	maxLine  = 4 << 10        // the start line itself
)

// startLine is the node's first word to us.
type startLine struct {
	kind string // "stream", "need", "fail"; "done" ends an upload
	text string // behind the prefix, as sent
}

// errTooNoisy says that no start line came within maxNoise.
var errTooNoisy = errors.New("no start line in the first megabyte")

// scanStart reads until a start line with our nonce. It gives what was read behind the line (the stream's first bytes) and the first
// of what came before it.
func scanStart(r io.Reader, nonce string) (line startLine, rest []byte, notes string, err error) {
	marks := []struct{ kind, text string }{
		{"stream", strings.TrimSuffix(telemetry.StreamLine(nonce), "\n")},
		{"need", telemetry.NeedPrefix(nonce)},
		{"fail", telemetry.FailPrefix(nonce)},
		{"done", "FORETOP-DONE " + nonce},
	}
	var (
		buf   = make([]byte, 0, 8<<10)
		said  []byte // the first of the noise
		total int
	)
	for {
		if at, kind, mark := find(buf, marks); at >= 0 {
			if end := bytes.IndexByte(buf[at:], '\n'); end >= 0 {
				said = keep(said, buf[:at])
				line = startLine{kind, string(buf[at+len(mark) : at+end])}
				return line, bytes.Clone(buf[at+end+1:]), string(said), nil
			}
			if len(buf)-at > maxLine {
				return line, nil, string(said), errTooNoisy
			}
		} else if len(buf) > maxLine { // keep what may be the beginning of a mark
			cut := len(buf) - 64
			said = keep(said, buf[:cut])
			buf = append(buf[:0], buf[cut:]...)
		}
		if total > maxNoise {
			return line, nil, string(keep(said, buf)), errTooNoisy
		}
		if len(buf) == cap(buf) {
			buf = append(buf, make([]byte, 8<<10)...)[:len(buf)]
		}
		n, err := r.Read(buf[len(buf):cap(buf)])
		buf = buf[:len(buf)+n]
		total += n
		if err != nil && n == 0 {
			return line, nil, string(keep(said, buf)), fmt.Errorf("read start line: %w", err)
		}
	}
}

func find(buf []byte, marks []struct{ kind, text string }) (at int, kind, mark string) {
	from := 0
	for {
		i := bytes.Index(buf[from:], []byte("FORETOP-"))
		if i < 0 {
			return -1, "", ""
		}
		at = from + i
		for _, m := range marks {
			if bytes.HasPrefix(buf[at:], []byte(m.text)) {
				return at, m.kind, m.text
			}
		}
		from = at + 1
	}
}

func keep(said, more []byte) []byte {
	room := maxNotes - len(said)
	return append(said, more[:max(0, min(room, len(more)))]...)
}
