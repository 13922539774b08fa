package hooks

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"strings"
	"text/template"
	"time"

	"foretop/config"
)

// command runs a program here, with the event as JSON on its standard input. There is no shell: a word stays one word whatever is filled in.
type command struct {
	program string
	words   []word
}

// word is one argument.
type word struct {
	text  string
	fill  *template.Template // nil: text as it is
	begin bool               // what is filled in may begin it
}

const (
	maxWord  = 8 << 10
	maxSaid  = 300             // bytes of what a command said as it failed
	killWait = 2 * time.Second // after its time is over, for what it leaves open
)

func newCommand(c *config.Hook) (*command, error) {
	path, err := exec.LookPath(c.Command[0])
	if err != nil {
		return nil, fmt.Errorf("command: %w", err)
	}
	cmd := &command{program: path}
	for i, text := range c.Command[1:] {
		w := word{text: text, begin: strings.HasPrefix(text, "{{")}
		if strings.Contains(text, "{{") {
			if w.fill, err = parseTemplate(fmt.Sprintf("command[%d]", i+1), text); err != nil {
				return nil, err
			}
		}
		cmd.words = append(cmd.words, w)
	}
	return cmd, nil
}

// arguments are the words of an event. One that would begin with "-" only because of what is filled in gets a space before it: it is no option.
func (c *command) arguments(e *Event) ([]string, error) {
	var out []string
	for _, w := range c.words {
		text := w.text
		if w.fill != nil {
			b, err := fill(w.fill, e)
			if err != nil {
				return nil, err
			}
			text = strings.ReplaceAll(string(b), "\x00", "")
			if len(text) > maxWord {
				text = strings.ToValidUTF8(text[:maxWord], "")
			}
			if w.begin && strings.HasPrefix(text, "-") {
				text = " " + text
			}
		}
		out = append(out, text)
	}
	return out, nil
}

// send runs it. It, and what it started, is ended when ctx is.
func (c *command) send(ctx context.Context, e *Event) error {
	args, err := c.arguments(e)
	if err != nil {
		return err
	}
	input, err := json.Marshal(e)
	if err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, c.program, args...)
	said := &tail{}
	cmd.Stdin, cmd.Stdout, cmd.Stderr = bytes.NewReader(append(input, '\n')), io.Discard, said
	cmd.WaitDelay = killWait
	apart(cmd)
	err = cmd.Run()
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		return &tryAgain{err: errors.New("it did not end in time, and was ended")}
	case errors.Is(err, exec.ErrWaitDelay):
		return nil // it ended well; what it left behind holds its output
	}
	if words := said.text(); words != "" {
		err = fmt.Errorf("%w: %s", err, words)
	}
	return &tryAgain{err: err}
}

// tail keeps the end of what is written.
type tail struct{ b []byte }

func (t *tail) Write(p []byte) (int, error) {
	t.b = append(t.b, p[max(0, len(p)-maxSaid):]...)
	t.b = t.b[max(0, len(t.b)-maxSaid):]
	return len(p), nil
}

func (t *tail) text() string {
	return plain(strings.TrimSpace(strings.ToValidUTF8(string(t.b), "")))
}
