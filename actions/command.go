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
	commandLeast   = 16 << 10         // the same, on however many nodes
	commandsLimit  = 64 << 20         // bytes of all outputs of one action, while each may have its least
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
		p.Steps = append(p.Steps, l.command(Step{Target: name}, n, name, in.Argv, limitOf(len(in.Nodes)), false))
		if n != nil {
			p.Affected.addNode(s, n)
		}
	}
	p.Affected.settle(l.User)
}

// limitOf is how much of each output is kept where n commands run: all of them together must find room.
func limitOf(n int) int { return min(commandLimit, max(commandLeast, commandsLimit/max(n, 1))) }

// command makes a step of a command, on a node or here, of whose output so much is kept.
func (l *Planner) command(step Step, n *fleet.Node, name string, argv []string, limit int, here bool) Step {
	step.Where = name
	switch {
	case here && l.Away != "":
		step.Where, step.Refused = "here", l.Away
	case here:
		step.Where, step.Commands = "here", []string{l.Quote(argv...)}
		step.run = func(ctx context.Context) (Output, error) { return outputHere(ctx, argv, limit) }
	case n == nil:
		step.Refused = "no such node is watched"
	case l.Door == nil:
		step.Refused = "nothing can be run on nodes from here"
	case n.State.Out() || n.State.Pending():
		step.Refused = "it is " + n.State.String() + ": there is no connection to it"
	default:
		step.Commands = []string{l.Quote(argv...)}
		step.run = func(ctx context.Context) (Output, error) { return l.Door.Run(ctx, name, argv, limit) }
	}
	return step
}

// custom plans an action of the configuration's: a step a target, whose words are filled into the command's.
func (l *Planner) custom(p *Preview, s *fleet.Snapshot) {
	in := &p.Intent
	limit := limitOf(len(in.Nodes) + len(in.GPUs) + len(in.Processes) + 1)
	add := func(target, node string, values map[string]string) {
		n := s.Node(node)
		p.Steps = append(p.Steps, l.command(Step{Target: target}, n, node, fill(in.Argv, values), limit, in.Here))
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
		if one.PID <= 0 { // a rank that another foretop sees, by way of a metrics server
			p.Steps = append(p.Steps, Step{Target: one.String(), Where: one.Node, Refused: "its process is not known here: its node is not connected"})
			continue
		}
		add(one.String(), one.Node, map[string]string{"node": one.Node, "pid": strconv.Itoa(int(one.PID)), "user": one.User, "rank": strconv.Itoa(one.Rank)})
	}
	if in.Scope == "job" {
		for _, key := range in.JobKeys() {
			j := s.Job(key)
			if j == nil {
				p.Steps = append(p.Steps, Step{Target: "job " + jobNames(s, []string{key}), Refused: "it is not seen any more"})
				continue
			}
			p.Steps = append(p.Steps, l.command(Step{Target: "job " + j.ID}, nil, "", fill(in.Argv, map[string]string{"job": j.ID, "user": j.User, "name": j.Name}), limit, true))
			p.Affected.addJob(j)
		}
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

// runHere runs a command on this machine, without a shell, and gives the last line of what it says.
func runHere(argv []string) func(context.Context, func(string)) (string, error) {
	return func(ctx context.Context, _ func(string)) (string, error) {
		out, err := outputHere(ctx, argv, commandLimit)
		last := lastLine([]byte(out.Text))
		if err == nil && out.Code != 0 {
			return "", fmt.Errorf("exit status %d: %s", out.Code, last)
		}
		return last, err
	}
}

// outputHere runs a command on this machine, without a shell. Both its streams are one, as they come.
func outputHere(ctx context.Context, argv []string, limit int) (Output, error) {
	ctx, cancel := context.WithTimeout(ctx, commandTimeout)
	defer cancel()
	kept := &head{room: limit}
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	cmd.Stdout, cmd.Stderr, cmd.WaitDelay = kept, kept, time.Second // the same for both: only one goroutine writes to it
	err := cmd.Run()
	out := Output{Text: kept.to.String(), Code: -1, Cut: kept.cut}
	var exit *exec.ExitError
	switch {
	case err == nil, errors.Is(err, exec.ErrWaitDelay): // it ended well; something that it started holds its output open
		out.Code = 0
	case errors.As(err, &exit) && exit.Exited():
		out.Code = exit.ExitCode()
	case cmd.Process == nil:
		return out, fmt.Errorf("%w: %w", ErrNotSent, err)
	default:
		return out, fmt.Errorf("%s: %w", err, schedulers.ErrUnsure)
	}
	return out, nil
}

// head keeps the first of what is written.
type head struct {
	to   bytes.Buffer
	room int
	cut  bool
}

func (h *head) Write(b []byte) (int, error) {
	n := min(len(b), max(0, h.room-h.to.Len()))
	h.to.Write(b[:n])
	h.cut = h.cut || n < len(b)
	return len(b), nil
}

func lastLine(b []byte) string {
	b = bytes.TrimSpace(b)
	return string(b[bytes.LastIndexByte(b, '\n')+1:])
}
