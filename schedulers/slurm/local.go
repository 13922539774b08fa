package slurm

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"os/exec"
	"time"

	"foretop/schedulers"
)

// Local runs commands on this machine, as this user.
type Local struct {
	Env []string // nil: this process's
}

// Where is "here".
func (Local) Where() string { return "here" }

// Run implements schedulers.Runner. When ctx ends, or the command prints too much, it is killed with the processes that it started.
func (l Local) Run(ctx context.Context, limit int, argv ...string) ([]byte, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	cmd.Env = l.Env
	cmd.WaitDelay = 2 * time.Second
	inGroup(cmd)
	stdout := &bounded{limit: limit, full: func() { cancel(schedulers.ErrTooMuch) }}
	stderr := &bounded{limit: schedulers.MaxText, full: func() {}}
	cmd.Stdout, cmd.Stderr = stdout, stderr
	err := cmd.Run()
	if cmd.Process == nil && !errors.Is(err, exec.ErrNotFound) {
		return nil, fmt.Errorf("%w: %w", schedulers.ErrNotSent, cmp.Or(context.Cause(ctx), err))
	}
	if cause := context.Cause(ctx); cause != nil {
		return stdout.kept, cause
	}
	var exit *exec.ExitError
	switch {
	case errors.As(err, &exit):
		return stdout.kept, &schedulers.ExitError{Status: exit.ExitCode(), Words: clean(string(bytes.TrimSpace(stderr.kept)))}
	case errors.Is(err, exec.ErrNotFound):
		return nil, &schedulers.ExitError{Status: 127, Words: err.Error()}
	}
	return stdout.kept, err
}

// bounded keeps the first bytes of what is written to it, and tells once when there is more.
type bounded struct {
	kept  []byte
	limit int
	full  func()
}

func (b *bounded) Write(p []byte) (int, error) {
	room := b.limit - len(b.kept)
	if len(p) > room {
		b.full()
	}
	b.kept = append(b.kept, p[:min(len(p), max(0, room))]...)
	return len(p), nil
}
