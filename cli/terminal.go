package cli

import (
	"context"
	"os"
	"sync"
	"time"
)

// terminal is the one that the program was started from, whatever its standard streams are.
type terminal struct {
	f  *os.File
	mu sync.Mutex // of one reader at a time
}

// openTerminal gives the terminal; nil: there is none, or it is another program's now (this one runs in the background), or nobody is to be asked.
func (o *options) openTerminal() person {
	if o.batch {
		return nil
	}
	f, err := os.OpenFile("/dev/tty", os.O_RDWR, 0)
	if err != nil {
		return nil
	}
	if !foreground(f.Fd()) {
		f.Close()
		return nil
	}
	return &terminal{f: f}
}

func (t *terminal) Say(words string) { _, _ = t.f.WriteString(words) }

// Answer reads one line. What was typed before the prompt was there is no answer to it, and where it may not be seen it is not, from before the prompt on. When ctx ends first the
// terminal is as it was.
func (t *terminal) Answer(ctx context.Context, prompt string, echo bool) ([]byte, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	restore, err := readsLines(t.f.Fd(), echo)
	if err != nil {
		return nil, err
	}
	defer restore()
	_ = t.f.SetReadDeadline(time.Time{})
	stop := context.AfterFunc(ctx, func() { _ = t.f.SetReadDeadline(time.Now()) })
	defer stop()
	t.Say(prompt)
	line, err := readTyped(t.f)
	if !echo || err != nil {
		t.Say("\n")
	}
	if ctx.Err() != nil {
		clear(line)
		return nil, ctx.Err()
	}
	return line, err
}
