package actions

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"foretop/telemetry"
)

// Line is one line of the audit file: before a step starts, and after it ended.
type Line struct {
	Time    time.Time `json:"time"`
	ID      string    `json:"id"` // of the action: its lines share it
	User    string    `json:"user"`
	From    string    `json:"from"` // host that foretop runs on
	Action  Kind      `json:"action"`
	Target  string    `json:"target"`
	Where   string    `json:"where"`
	Command []string  `json:"command"`
	Reason  string    `json:"reason,omitempty"`
	State   string    `json:"state"` // "starts", then a State
	Words   string    `json:"words,omitempty"`
}

// JSON is the line as the audit file has it, without its end.
func (l Line) JSON() ([]byte, error) { return json.Marshal(l) }

// Starts is the state of the line that is written before a step.
const Starts = "starts"

// maxAuditWords bounds one text of an audit line, in bytes: a line stays below what is written at once.
const maxAuditWords = 1 << 10

// auditPatience is how long an audit file may take for one line.
const auditPatience = 2 * time.Second

// Audit appends lines to a file. It writes in a goroutine of its own: a file system that does not answer makes it fail, not its caller hang.
type Audit struct {
	path  string
	lines chan auditWrite
	also  func(Line) error // another place, such as the journal; nil none
}

type auditWrite struct {
	line Line
	text []byte
	done chan error
}

// ErrAudit is a line that could not be written, or not in time.
var ErrAudit = errors.New("the audit file cannot be written")

// OpenAudit opens a file to append to, and makes it and its folder where they are not there. also is another place for each line, nil none. It has to take what starts before the file does,
// for who asked for it relies on it; of what ended the file has a line whatever it takes.
func OpenAudit(path string, also func(Line) error) *Audit {
	a := &Audit{path: path, lines: make(chan auditWrite), also: also}
	go a.serve()
	return a
}

// Close ends it. Nobody may append any more.
func (a *Audit) Close() { close(a.lines) }

// Path is where it writes.
func (a *Audit) Path() string { return a.path }

// Append writes a line and waits until it is on disk, and taken where it goes as well.
func (a *Audit) Append(l Line) error {
	l.Target, l.Where, l.Reason, l.Words = telemetry.Clean(l.Target, maxAuditWords), telemetry.Clean(l.Where, maxAuditWords), telemetry.Clean(l.Reason, maxAuditWords), telemetry.Clean(l.Words, maxAuditWords)
	command := make([]string, len(l.Command))
	for i, c := range l.Command {
		command[i] = telemetry.Clean(c, maxAuditWords)
	}
	l.Command = command
	text, err := json.Marshal(l)
	if err != nil {
		return fmt.Errorf("%w: %s: %w", ErrAudit, a.path, err)
	}
	w := auditWrite{l, append(text, '\n'), make(chan error, 1)}
	timer := time.NewTimer(auditPatience)
	defer timer.Stop()
	select {
	case a.lines <- w:
	case <-timer.C:
		return fmt.Errorf("%w: %s does not answer for %s", ErrAudit, a.path, auditPatience)
	}
	select {
	case err = <-w.done:
	case <-timer.C:
		return fmt.Errorf("%w: %s does not answer for %s", ErrAudit, a.path, auditPatience)
	}
	return err
}

func (a *Audit) serve() {
	var f *os.File
	for w := range a.lines {
		also := a.also
		if also == nil {
			also = func(Line) error { return nil }
		}
		var elsewhere, err error
		if w.line.State == Starts {
			if elsewhere = also(w.line); elsewhere != nil {
				w.done <- elsewhere
				continue
			}
		}
		if f, err = a.write(f, w.text); err != nil {
			err = fmt.Errorf("%w: %w", ErrAudit, err)
		}
		switch {
		case w.line.State != Starts:
			elsewhere = also(w.line)
		case err != nil: // it was told that this starts
			w.line.State, w.line.Words = NotStarted.String(), telemetry.Clean(err.Error(), maxAuditWords)
			elsewhere = also(w.line)
		}
		w.done <- errors.Join(err, elsewhere)
	}
	if f != nil {
		f.Close()
	}
}

// write appends a line to the file that is open, or to the one that the path leads to now. It returns the file; nil: it is to be opened anew, which ends a line that was cut short.
func (a *Audit) write(f *os.File, text []byte) (*os.File, error) {
	if f == nil || moved(f, a.path) {
		if f != nil {
			f.Close()
		}
		var err error
		if f, err = openAppend(a.path); err != nil {
			return nil, err
		}
	}
	if err := writeLine(f, text); err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

func openAppend(path string) (*os.File, error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, err
	}
	f, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = fmt.Errorf("%s is no regular file", path)
	}
	if err == nil {
		err = endLine(f, info.Size())
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

// endLine ends a line that a crash or a full disk left without an end, so that the next one is whole.
func endLine(f *os.File, size int64) error {
	if size == 0 {
		return nil
	}
	var last [1]byte
	if _, err := f.ReadAt(last[:], size-1); err != nil {
		return err
	}
	if last[0] == '\n' {
		return nil
	}
	_, err := f.Write([]byte{'\n'})
	return err
}

// moved says that the path leads to another file now, as after logrotate.
func moved(f *os.File, path string) bool {
	a, err := f.Stat()
	if err != nil {
		return true
	}
	b, err := os.Stat(path)
	return err != nil || !os.SameFile(a, b)
}

// writeLine appends a line and waits until it is on disk. Of a disk that is full a part may be there: it is no JSON, and readers leave it out.
func writeLine(f *os.File, text []byte) error {
	if _, err := f.Write(text); err != nil {
		return err
	}
	return f.Sync()
}
