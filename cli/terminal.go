package cli

import (
	"context"
	"os"
	"sync"

	"github.com/charmbracelet/x/term"
)

// terminal is the one that the program was started from, whatever its standard streams are.
type terminal struct {
	f     *os.File
	saved *term.State
	mu    sync.Mutex // of one reader at a time
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
	saved, err := term.GetState(f.Fd())
	if err != nil || !foreground(f.Fd()) {
		f.Close()
		return nil
	}
	return &terminal{f: f, saved: saved}
}

func (t *terminal) Say(words string) { _, _ = t.f.WriteString(words) }

// Answer reads one line. Where ctx ends first the terminal is as it was, and what is typed from then on is lost: the program is about to end.
func (t *terminal) Answer(ctx context.Context, prompt string, echo bool) ([]byte, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	t.Say(prompt)
	type typed struct {
		line []byte
		err  error
	}
	done := make(chan typed, 1)
	go func() {
		if echo {
			line, err := readTyped(t.f)
			done <- typed{line, err}
			return
		}
		line, err := term.ReadPassword(t.f.Fd())
		done <- typed{line, err}
	}()
	select {
	case d := <-done:
		if !echo || d.err != nil {
			t.Say("\n")
		}
		return d.line, d.err
	case <-ctx.Done():
		_ = term.Restore(t.f.Fd(), t.saved)
		t.Say("\n")
		return nil, ctx.Err()
	}
}
