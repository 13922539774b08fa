package actions

import (
	"context"
	"slices"
	"strconv"
	"strings"

	"foretop/fleet"
)

// dump plans to ask where processes are: a step each, for reading; it is one question, and one pair of lines in the audit file.
func (l *Planner) dump(p *Preview, s *fleet.Snapshot) {
	in := &p.Intent
	p.Title = "stacks of " + in.Title + ": " + processes(len(in.Processes))
	how := "py-spy dump --nonblocking, else /proc/PID/stack, wchan and syscall"
	if in.Blocking {
		how = "py-spy dump, else /proc/PID/stack, wchan and syscall"
		p.Warnings = append(p.Warnings, "py-spy stops each process while it reads it: milliseconds, if the node is free",
			"ranks that go in step wait for those that are stopped")
	}
	if j := s.Job(in.Job); j != nil {
		p.Affected.addJob(j)
	}
	why := make([]string, len(in.Processes))
	var may []Process
	var at []int // of each of them, in the order of all
	for i, one := range in.Processes {
		step := Step{Target: one.String(), Where: one.Node, Refused: l.unasked(s, one)}
		if why[i] = step.Refused; why[i] == "" {
			step.Commands = []string{how + " of " + strconv.Itoa(int(one.PID)) + " on " + one.Node}
			may, at = append(may, one), append(at, i)
		}
		if one.User != "" {
			p.Affected.Users = append(p.Affected.Users, one.User)
		}
		p.Steps = append(p.Steps, step)
	}
	p.Affected.settle(l.User)
	p.stacks = func(ctx context.Context, answered func(int)) []Stack {
		out := make([]Stack, len(why))
		for i := range out {
			out[i] = Stack{Process: in.Processes[i], Why: why[i]}
		}
		for i, one := range Stacks(ctx, l.Door, may, in.Blocking, answered) {
			out[at[i]] = one
		}
		return out
	}
}

// Stacks asks what a preview of kind Dump says, if answer confirms it, and waits for the answers, one for each process. The question is written down before it is asked and after it was
// answered, as a whole: what cannot be written is not asked. answered is told how many more processes it is known of; it is called from several goroutines.
func (d *Desk) Stacks(ctx context.Context, p *Preview, answer string, answered func(int)) ([]Stack, error) {
	if err := d.may(p, answer); err != nil {
		return nil, err
	}
	line := d.lineOf(p)
	if err := d.Note(&line, Starts, ""); err != nil {
		return nil, err
	}
	stacks := p.stacks(ctx, answered)
	state, words := Failed, StackSummary(stacks)
	if slices.ContainsFunc(stacks, func(s Stack) bool { return s.Source != "" }) {
		state = Done
	}
	return stacks, d.Note(&line, state.String(), words)
}

// lineOf is the line of a question about many processes: how many of which nodes, and how.
func (d *Desk) lineOf(p *Preview) Line {
	in := &p.Intent
	var nodes []string
	for _, one := range in.Processes {
		nodes = append(nodes, one.Node)
	}
	slices.Sort(nodes)
	how := "py-spy dump --nonblocking"
	if in.Blocking {
		how = "py-spy dump"
	}
	return Line{Action: Dump, Target: in.Title, Where: strings.TrimSpace(p.world + " " + plural(len(slices.Compact(nodes)), "node")), Command: []string{how + ", else /proc, of " + processes(p.Ready())}}
}
