package fleet

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"foretop/jobs"
	"foretop/schedulers"
	"foretop/telemetry/facts"
)

// What processes say and what a scheduler says of one job are joined here: by key for Slurm, by the pods that processes are in for Kubernetes. The processes say who
// runs where, the scheduler what it is called, whose it is, and what should be there. A job that runs for its scheduler and has no process here has a
// row of its own, and so has one that ended.

// rename gives jobs of pods the key of their scheduler's job, so that they keep their row when their pods are made anew, and makes one of those that are
// one to the scheduler. all are the facts that the jobs were assembled of.
func (b *scheduleBook) rename(list []jobs.Job, all []jobs.NodeFacts) []jobs.Job {
	if len(b.byPod) == 0 {
		return list
	}
	at := make(map[string]*jobs.NodeFacts, len(all))
	for i := range all {
		at[all[i].Node] = &all[i]
	}
	of := map[string]int{} // the first job of a key
	out := list[:0]
	slices.SortStableFunc(list, func(x, y jobs.Job) int { return -cmp.Compare(len(x.Ranks)+len(x.Others), len(y.Ranks)+len(y.Others)) })
	for i := range list {
		j := list[i]
		if key := b.ofPods(&j, at); key != "" {
			if first, ok := of[key]; !ok {
				of[key] = len(out)
				j.Key = key
			} else if disjoint(&out[first], &j) {
				unite(&out[first], &j)
				continue
			} else {
				j.Key = key + "/" + strings.ReplaceAll(j.Key, "/", ":") // a run of its own
			}
		}
		out = append(out, j)
	}
	slices.SortFunc(out, func(x, y jobs.Job) int { return cmp.Compare(x.Key, y.Key) })
	return out
}

// ofPods is the key of the job whose pods a job's processes are in; "" where they are in none, or in several jobs' pods.
func (b *scheduleBook) ofPods(j *jobs.Job, at map[string]*jobs.NodeFacts) (found string) {
	differ := false
	look := func(node string, pid int32, ticks uint64) {
		n := at[node]
		if n == nil {
			return
		}
		p := processOf(n.Processes, pid, ticks)
		if p == nil {
			return
		}
		if pod := b.byPod[jobs.PodUID(p.GetCgroup())]; pod.key != "" {
			differ = differ || found != "" && found != pod.key
			found = pod.key
		}
	}
	for i := range j.Ranks {
		look(j.Ranks[i].Node, j.Ranks[i].PID, j.Ranks[i].StartTicks)
	}
	for i := range j.Others {
		look(j.Others[i].Node, j.Others[i].PID, j.Others[i].StartTicks)
	}
	if differ {
		return ""
	}
	return found
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

// disjoint says that no rank is in both.
func disjoint(a, b *jobs.Job) bool {
	have := make(map[int]bool, len(a.Ranks))
	for i := range a.Ranks {
		have[a.Ranks[i].Rank] = true
	}
	return !slices.ContainsFunc(b.Ranks, func(r jobs.Rank) bool { return have[r.Rank] })
}

// unite puts b's processes into a.
func unite(a, b *jobs.Job) {
	a.Ranks = append(slices.Clone(a.Ranks), b.Ranks...)
	slices.SortFunc(a.Ranks, func(x, y jobs.Rank) int { return cmp.Compare(x.Rank, y.Rank) })
	a.Others = append(slices.Clone(a.Others), b.Others...)
	if b.StartMS > 0 && (a.StartMS == 0 || b.StartMS < a.StartMS) {
		a.StartMS = b.StartMS
	}
	a.Restarts, a.World = max(a.Restarts, b.Restarts), max(a.World, b.World)
	a.Missing, a.MissingN = nil, 0
	next := 0
	for _, r := range append(slices.Clone(a.Ranks), jobs.Rank{Rank: a.World}) {
		for ; next < r.Rank; next++ {
			if a.MissingN++; len(a.Missing) < jobs.MaxMissing {
				a.Missing = append(a.Missing, next)
			}
		}
		next = r.Rank + 1
	}
	if a.World == 0 {
		a.Missing, a.MissingN = nil, 0
	}
}

// heed finds what schedulers say of each job, where either changed since it last did.
func (b *jobBook) heed(s *scheduleBook, now time.Time) {
	versions := [2]uint64{b.version, s.version}
	if b.heeded == versions {
		return
	}
	b.heeded = versions
	seen := make(map[*Told]bool, len(b.plans))
	for i := range b.plans {
		p := &b.plans[i]
		p.told = s.of(p.job.Key)
		p.given = nil
		if p.told != nil {
			seen[p.told] = true
			p.given = p.told.devices(p.devices)
			continue
		}
		p.asked = s.asked(p.job.Scheduler, p.job.Start)
	}
	was := b.ghosts
	b.ghosts = nil
	runs := map[string]bool{}
	for _, t := range s.told {
		if seen[t] || len(t.Watched) == 0 {
			continue
		}
		switch t.Phase {
		case schedulers.Running, schedulers.Suspended, schedulers.Completing:
			b.ghosts = append(b.ghosts, ghostPlan(t))
			runs[t.Key] = true
			b.recall(t.Key)
		case schedulers.Ended:
			if !t.EndAt.IsZero() && now.Sub(t.EndAt) < endedFor && !b.hasEnded(t.Key) {
				b.ended = append(b.ended, ending{plan: ghostPlan(t), at: t.EndAt})
			}
		}
	}
	for i := range was { // what its scheduler has forgotten without a word
		if key := was[i].job.Key; s.byKey[key] == nil && !b.has(key) && !b.hasEnded(key) {
			b.ended = append(b.ended, ending{plan: was[i], at: now})
		}
	}
	for i := range b.ended {
		e := &b.ended[i]
		if t := s.of(e.plan.job.Key); t != nil {
			kept, job := *t, *t.Job
			kept.Job, kept.here = &job, nil // not the whole picture
			e.told = &kept
		}
		e.back = runs[e.plan.job.Key]
	}
	b.ended = b.ended[max(0, len(b.ended)-maxEnded):]
}

// recall keeps the rules' memory of a job whose processes are gone, though it runs.
func (b *jobBook) recall(key string) {
	switch {
	case b.memory == nil:
		b.memory = map[string]Memory{key: {}}
	case b.memory[key] != nil:
	case b.faded[key] != nil:
		b.memory[key] = b.faded[key]
	default:
		b.memory[key] = Memory{}
	}
}

func (b *jobBook) has(key string) bool {
	return slices.ContainsFunc(b.plans, func(p plan) bool { return p.job.Key == key })
}

func (b *jobBook) hasEnded(key string) bool {
	return slices.ContainsFunc(b.ended, func(e ending) bool { return e.plan.job.Key == key })
}

// devices are the GPUs that the scheduler gave the job on watched nodes, but for those in known.
func (t *Told) devices(known []device) []device {
	if len(t.GPUsOn) == 0 || t.Phase == schedulers.Ended {
		return nil
	}
	have := make(map[device]bool, len(known))
	for _, d := range known {
		have[device{node: d.node, gpu: d.gpu}] = true
	}
	var out []device
	for _, name := range t.Nodes {
		if len(t.here[name]) == 0 {
			continue
		}
		for _, g := range t.GPUsOn[name] {
			if d := (device{node: t.here[name][0], gpu: g}); g >= 0 && !have[d] {
				have[d] = true
				out = append(out, device{d.node, g, -1})
			}
		}
	}
	return out
}

// ghostPlan is a job of which only its scheduler tells.
func ghostPlan(t *Told) plan {
	p := plan{job: Job{Key: t.Key, State: JobUnseen, StateText: "runs, no process seen"}, told: t}
	p.job.Nodes = slices.Clone(t.Watched)
	slices.SortFunc(p.job.Nodes, compareNames)
	p.given = t.devices(nil)
	return p
}
