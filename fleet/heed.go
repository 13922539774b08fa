package fleet

import (
	"slices"
	"time"

	"foretop/schedulers"
)

// What processes say and what a scheduler says of one job are joined here: by key, which package jobs finds with what schedulers know. The processes say who
// runs where, the scheduler what it is called, whose it is, and what should be there. A job that runs for its scheduler and has no process here has a
// row of its own, and so has one that ended.

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
		if seen[t] || len(t.Watched) == 0 || t.partOf != "" && b.has(t.partOf) {
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
		b.memory = map[string]*Memory{key: {}}
	case b.memory[key] != nil:
	case b.faded[key] != nil:
		b.memory[key] = b.faded[key]
	default:
		b.memory[key] = new(Memory)
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
