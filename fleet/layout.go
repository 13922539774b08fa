package fleet

import (
	"cmp"
	"slices"

	"foretop/jobs"
	"foretop/jobs/layout"
	"foretop/telemetry/facts"
)

// LayoutRule gives a layout by hand to the jobs whose name it takes. It goes before what the jobs say of themselves.
type LayoutRule struct {
	Job    func(name string) bool
	Layout *layout.Written
}

// maxLayoutAsked bounds how many ranks of a job are asked for its layout; the first that says something holds.
const maxLayoutAsked = 64

// layOut finds the layouts and libraries of the jobs that were just assembled: they change only with their processes.
func (b *jobBook) layOut(nodes []jobs.NodeFacts) {
	byName := make(map[string][]*facts.Process, len(nodes))
	for i := range nodes {
		byName[nodes[i].Node] = nodes[i].Processes
	}
	for i := range b.plans {
		j := &b.plans[i].job
		j.Libraries = librariesOf(j, byName)
		var err error
		if j.Layout, err = b.layoutOf(j, byName); err != nil {
			j.LayoutTrouble = err.Error()
		}
	}
}

// layoutOf is nil without an error where nothing is said of a layout.
func (b *jobBook) layoutOf(j *Job, processes map[string][]*facts.Process) (*layout.Layout, error) {
	for _, r := range b.layoutRules {
		if r.Job(j.Name) {
			return r.Layout.Layout(j.Size())
		}
	}
	var unread error
	for i := range min(len(j.Ranks), maxLayoutAsked) {
		r := &j.Ranks[i]
		p := processOf(processes[r.Node], r.PID, r.StartTicks)
		if p == nil {
			continue
		}
		said := saidBy(p)
		if said.Any() {
			return said.Layout(j.Size())
		}
		unread = cmp.Or(unread, said.Unread())
	}
	return nil, unread
}

// processOf finds a process in a list that is in order of pids.
func processOf(list []*facts.Process, pid int32, ticks uint64) *facts.Process {
	i, ok := slices.BinarySearchFunc(list, pid, func(p *facts.Process, pid int32) int { return cmp.Compare(p.Pid, pid) })
	for ; ok && i < len(list) && list[i].Pid == pid; i++ {
		if list[i].StartTicks == ticks {
			return list[i]
		}
	}
	return nil
}

// saidBy is what a process says of its job's layout.
func saidBy(p *facts.Process) layout.Said {
	s := layout.Said{Flags: p.LayoutFlags}
	if p.EnvState == facts.EnvState_ENV_READ {
		s.Env = p.Env
	}
	for _, f := range p.LayoutFiles {
		s.Files = append(s.Files, layout.File{Name: f.Name, Trouble: f.Trouble, Keys: f.Keys})
	}
	return s
}

// Size is what of the job a layout depends on: of the ranks that are seen, the most that a node has, and the most GPUs that one of them has.
func (j *Job) Size() layout.Job {
	size := layout.Job{World: j.World}
	ranks := make(map[string]int, len(j.Nodes))
	for i := range j.Ranks {
		r := &j.Ranks[i]
		ranks[r.Node]++
		size.Local, size.GPUs = max(size.Local, ranks[r.Node]), max(size.GPUs, len(r.GPUs))
	}
	return size
}
