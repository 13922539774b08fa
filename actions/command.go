package actions

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os/exec"
	"regexp"
	"strconv"
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

// commands plans a command on nodes.
func (l *Planner) commands(p *Preview, s *fleet.Snapshot) {
	in := &p.Intent
	p.Title = l.Quote(in.Argv...) + " on " + plural(len(in.Nodes), "node") + ": " + l.fold(in.Nodes)
	if len(in.Argv) == 0 {
		p.Trouble = "no command"
	}
	for _, name := range in.Nodes {
		n := s.Node(name)
		p.Steps = append(p.Steps, l.command(Step{Target: name}, n, name, in.Argv, false))
		if n != nil {
			p.Affected.addNode(s, n)
		}
	}
	p.Affected.settle(l.User)
}

// command makes a step of a command, on a node or here.
func (l *Planner) command(step Step, n *fleet.Node, name string, argv []string, here bool) Step {
	step.Where = name
	switch {
	case here && l.Away != "":
		step.Where, step.Refused = "here", l.Away
	case here:
		step.Where, step.Commands, step.do = "here", []string{l.Quote(argv...)}, runHere(argv)
	case n == nil:
		step.Refused = "no such node is watched"
	case l.Door == nil:
		step.Refused = "nothing can be run on nodes from here"
	case n.State.Out() || n.State.Pending():
		step.Refused = "it is " + n.State.String() + ": there is no connection to it"
	default:
		step.Commands = []string{l.Quote(argv...)}
		step.run = func(ctx context.Context) (Output, error) { return l.Door.Run(ctx, name, argv, commandLimit) }
	}
	return step
}

// custom plans an action of the configuration's: a step a target, whose words are filled into the command's.
func (l *Planner) custom(p *Preview, s *fleet.Snapshot) {
	in := &p.Intent
	add := func(target, node string, values map[string]string) {
		n := s.Node(node)
		p.Steps = append(p.Steps, l.command(Step{Target: target}, n, node, fill(in.Argv, values), in.Here))
		if n != nil {
			p.Affected.addNode(s, n)
		}
	}
	for _, name := range in.Nodes {
		add(name, name, map[string]string{"node": name})
	}
	for _, g := range in.GPUs {
		values := map[string]string{"node": g.Node, "gpu": strconv.Itoa(g.Index)}
		if n := s.Node(g.Node); n != nil && g.Index < len(n.GPUs) && n.GPUs[g.Index].Info != nil {
			values["uuid"], values["pci"] = n.GPUs[g.Index].Info.Uuid, n.GPUs[g.Index].Info.Pci
		}
		add("GPU "+strconv.Itoa(g.Index)+" of "+g.Node, g.Node, values)
	}
	for _, one := range in.Processes {
		add(one.String(), one.Node, map[string]string{"node": one.Node, "pid": strconv.Itoa(int(one.PID)), "user": one.User, "rank": strconv.Itoa(one.Rank)})
	}
	if j := s.Job(in.Job); j != nil && in.Scope == "job" {
		p.Steps = append(p.Steps, l.command(Step{Target: "job " + j.ID}, nil, "", fill(in.Argv, map[string]string{"job": j.ID, "user": j.User, "name": j.Name}), true))
		p.Affected.addJob(j)
	}
	p.Affected.settle(l.User)
	p.Title = in.Title + ": " + plural(len(p.Steps), "target")
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
