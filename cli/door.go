package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"foretop/actions"
	"foretop/schedulers"
	"foretop/sshpool"
)

// toolTime is how long a node's collector may take over what it is asked beside its stream: stacks of many processes take the longest.
const toolTime = time.Minute

// door is the way to nodes for actions: over the connections that the pool has open.
type door struct{ pool *sshpool.Pool }

var _ actions.Door = door{}

// Run runs a command as a node's user.
func (d door) Run(ctx context.Context, node string, argv []string, limit int) (actions.Output, error) {
	return d.run(limit, func(w io.Writer) (sshpool.Exit, error) {
		return d.pool.Exec(ctx, node, sshpool.Command{Line: sshpool.Quote(argv...), Stdout: w, Stderr: w})
	})
}

// Tool runs a node's collector.
func (d door) Tool(ctx context.Context, node string, args []string, limit int) (actions.Output, error) {
	ctx, cancel := context.WithTimeout(ctx, toolTime)
	defer cancel()
	return d.run(limit, func(w io.Writer) (sshpool.Exit, error) { return d.pool.Tool(ctx, node, args, w, w) })
}

func (d door) run(limit int, exec func(io.Writer) (sshpool.Exit, error)) (actions.Output, error) {
	kept := &firstBytes{room: limit}
	exit, err := exec(kept)
	text, cut := kept.text()
	out := actions.Output{Text: text, Code: exit.Code, Cut: cut}
	if exit.Signal != "" && err == nil {
		out.Text += "ended by signal " + exit.Signal + "\n"
	}
	return out, doorError(err)
}

// doorError puts an error into the words of package actions: was it sent or not?
func doorError(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, sshpool.ErrNotStarted):
		return fmt.Errorf("%w: %w", actions.ErrNotSent, err)
	case errors.Is(err, sshpool.ErrEndUnknown):
		return fmt.Errorf("%w: %w", schedulers.ErrUnsure, err)
	}
	return err
}

// firstBytes keeps the first of what is written; what is too much is thrown away, for a command that is cut off has done half of its work. It may be looked
// at while it is written.
type firstBytes struct {
	mu   sync.Mutex
	kept []byte
	room int
	cut  bool
}

func (f *firstBytes) Write(b []byte) (int, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	n := min(len(b), f.room-len(f.kept))
	f.kept = append(f.kept, b[:n]...)
	f.cut = f.cut || n < len(b)
	return len(b), nil
}

func (f *firstBytes) text() (string, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return string(f.kept), f.cut
}
