package actions

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os/exec"
	"regexp"
	"strings"
	"time"

	"foretop/fleet"
	"foretop/schedulers"
)

const (
	orderSettles   = 30 * time.Second // after which an order that was sent to a scheduler has no effect any more
	commandLimit   = 1 << 20          // bytes of one command's output
	commandTimeout = 10 * time.Minute
)

// commands plans a command on nodes, or one here for each.
func (l *Planner) commands(p *Preview, s *fleet.Snapshot) {
	in := &p.Intent
	title := or(in.Title, l.Quote(in.Argv...))
	p.Title = title + " on " + plural(len(in.Nodes), "node") + ": " + l.fold(in.Nodes)
	if len(in.Argv) == 0 {
		p.Trouble = "no command"
	}
	for _, name := range in.Nodes {
		step := Step{Target: name, Where: name}
		n := s.Node(name)
		switch argv := fill(in.Argv, map[string]string{"node": name}); {
		case n == nil:
			step.Refused = "no such node is watched"
		case in.Here:
			step.Where, step.Commands, step.do = "here", []string{l.Quote(argv...)}, runHere(argv)
		case l.Door == nil:
			step.Refused = "nothing can be run on nodes from here"
		case n.State.Out() || n.State.Pending():
			step.Refused = "it is " + n.State.String() + ": there is no connection to it"
		default:
			step.Commands = []string{l.Quote(argv...)}
			step.run = func(ctx context.Context) (Output, error) { return l.Door.Run(ctx, name, argv, commandLimit) }
		}
		p.Steps = append(p.Steps, step)
		if n != nil {
			p.Affected.addNode(s, n)
		}
	}
	p.Affected.settle(l.User)
}

var place = regexp.MustCompile(`\{[a-z_]+\}`)

// fill puts values into the places of a command's words: each word stays one word, whatever is in it.
func fill(words []string, values map[string]string) []string {
	out := make([]string, len(words))
	for i, w := range words {
		out[i] = place.ReplaceAllStringFunc(w, func(name string) string {
			if v, ok := values[strings.Trim(name, "{}")]; ok {
				return v
			}
			return name
		})
	}
	return out
}

// runHere runs a command on this machine, without a shell.
func runHere(argv []string) func(context.Context, func(string)) (string, error) {
	return func(ctx context.Context, _ func(string)) (string, error) {
		ctx, cancel := context.WithTimeout(ctx, commandTimeout)
		defer cancel()
		var out bytes.Buffer
		cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
		cmd.Stdout, cmd.Stderr, cmd.WaitDelay = &tail{to: &out, room: commandLimit}, &tail{to: &out, room: commandLimit}, time.Second
		err := cmd.Run()
		last := lastLine(out.Bytes())
		var exit *exec.ExitError
		switch {
		case err == nil:
			return last, nil
		case errors.As(err, &exit) && exit.Exited():
			return "", fmt.Errorf("exit status %d: %s", exit.ExitCode(), last)
		case cmd.Process == nil:
			return "", fmt.Errorf("%w: %w", ErrNotSent, err)
		}
		return "", fmt.Errorf("%s: %w", err, schedulers.ErrUnsure)
	}
}

// tail keeps the first of what is written.
type tail struct {
	to   *bytes.Buffer
	room int
}

func (t *tail) Write(b []byte) (int, error) {
	n := min(len(b), max(0, t.room-t.to.Len()))
	t.to.Write(b[:n])
	return len(b), nil
}

func lastLine(b []byte) string {
	b = bytes.TrimSpace(b)
	return string(b[bytes.LastIndexByte(b, '\n')+1:])
}
