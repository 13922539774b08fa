package actions

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"foretop/fleet"
	"foretop/schedulers"
)

// Signals are those that can be sent, the gentlest first.
var Signals = []string{"TERM", "INT", "HUP", "QUIT", "USR1", "USR2", "CONT", "STOP", "ABRT", "KILL"}

// signal plans a signal to processes, a step a node: the node's collector sends it, after it has made sure, process by process and through a pidfd, that each is still the
// one that was seen.
func (l *Planner) signal(p *Preview, s *fleet.Snapshot) {
	in := &p.Intent
	in.Signal = strings.TrimPrefix(strings.ToUpper(in.Signal), "SIG")
	p.Title = in.Signal + " to " + processes(len(in.Processes))
	if !slices.Contains(Signals, in.Signal) {
		p.Trouble = "no such signal: " + strings.Join(Signals, " ")
		return
	}
	var keys []string // jobs of the processes
	for _, one := range in.Processes {
		step := Step{Target: one.String(), Where: one.Node, Refused: l.unasked(s, one)}
		user, job, found := seenProcess(s.Node(one.Node), &one)
		if step.Refused == "" {
			args := []string{"signal", in.Signal, one.key()}
			step.Commands = []string{"kill -" + in.Signal + " " + strconv.Itoa(int(one.PID))}
			step.Notes = []string{"only if it is still the process that started at tick " + strconv.FormatUint(one.StartTicks, 10)}
			step.do = func(ctx context.Context, _ func(string)) (string, error) { return l.tool(ctx, one.Node, args) }
			step.look = func(ctx context.Context) (bool, string, error) {
				words, err := l.tool(ctx, one.Node, []string{"signal", "0", one.key()})
				var gone *schedulers.RefusedError
				if errors.As(err, &gone) {
					return true, "the process is gone", nil
				}
				return false, "the process is there still: whether the signal arrived is not known" + inBrackets(words), err
			}
		}
		if found {
			p.Affected.addUser(or(user, NotKnown), "")
		}
		if j := s.Job(job); j != nil && !slices.Contains(keys, job) {
			keys = append(keys, job)
			p.Affected.addJob(j) // a rank that dies takes its job with it
		}
		p.Steps = append(p.Steps, step)
	}
	if len(keys) > 0 {
		p.Title += " of job " + jobNames(s, keys)
	}
	p.Affected.settle(l.User)
}

// unasked is why nothing can be asked of a process's node about it; "" it can.
func (l *Planner) unasked(s *fleet.Snapshot, one Process) string {
	n := s.Node(one.Node)
	switch {
	case n == nil:
		return "no such node is watched"
	case l.Door == nil:
		return "nothing can be run on nodes from here"
	case n.State != fleet.Live:
		return one.Node + " is " + n.State.String() + ": there is no connection to it"
	}
	if _, _, found := seenProcess(n, &one); !found {
		return "it is not seen any more"
	}
	return ""
}

// seenProcess says whose a process is and of which job, and whether it is seen on its node: among those of jobs, or the busiest others.
func seenProcess(n *fleet.Node, one *Process) (user, job string, found bool) {
	if n == nil {
		return "", "", false
	}
	for i := range n.Processes {
		if p := n.Processes[i]; p.GetPid() == one.PID && p.GetStartTicks() == one.StartTicks {
			return p.GetUser(), p.Job, true
		}
	}
	for _, p := range n.Top {
		if p.GetPid() == one.PID && p.GetStartTicks() == one.StartTicks {
			return p.GetUser(), "", true
		}
	}
	return "", "", false
}

func processes(n int) string {
	if n == 1 {
		return "1 process"
	}
	return strconv.Itoa(n) + " processes"
}

// String is "rank 131, pid 4123 on gpu017".
func (p Process) String() string {
	s := "pid " + strconv.Itoa(int(p.PID)) + " on " + p.Node
	if p.Rank >= 0 {
		s = "rank " + strconv.Itoa(p.Rank) + ", " + s
	}
	return s
}

// key is how a collector is told of a process: "PID:START".
func (p Process) key() string {
	return strconv.Itoa(int(p.PID)) + ":" + strconv.FormatUint(p.StartTicks, 10)
}

// tool runs the collector of a node, which says one line, and ends with 0, or with 1 and why not.
func (l *Planner) tool(ctx context.Context, node string, args []string) (string, error) {
	out, err := l.Door.Tool(ctx, node, args, commandLimit)
	words := lastLine([]byte(out.Text))
	switch {
	case err != nil:
		return words, err
	case out.Code != 0:
		return words, &schedulers.RefusedError{Words: or(words, fmt.Sprintf("exit status %d", out.Code))}
	}
	return words, nil
}
