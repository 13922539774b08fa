package actions

import (
	"strings"

	"foretop/fleet"
	"foretop/schedulers"
)

// maxNamed is how many jobs a title names.
const maxNamed = 8

// jobs plans the end of jobs, a step each.
func (l *Planner) jobs(p *Preview, s *fleet.Snapshot) {
	in := &p.Intent
	keys := in.JobKeys()
	if len(keys) == 1 && s.Job(keys[0]) == nil {
		p.Trouble = "that job is not seen any more"
	}
	p.Title = string(in.Kind) + " job " + jobNames(s, keys)
	if len(keys) > 1 {
		p.Title = string(in.Kind) + " " + plural(len(keys), "job") + ": " + jobNames(s, keys)
	}
	for _, key := range keys {
		p.Steps = append(p.Steps, l.end(in, s, key))
		if j := s.Job(key); j != nil {
			p.Affected.addJob(j)
		}
	}
	p.Affected.settle(l.User)
}

// JobKeys are the jobs that an intent is about, by key.
func (in *Intent) JobKeys() []string {
	if len(in.Jobs) > 0 || in.Job == "" {
		return in.Jobs
	}
	return []string{in.Job}
}

// jobNames names jobs as people know them.
func jobNames(s *fleet.Snapshot, keys []string) string {
	var ids []string
	for _, key := range keys[:min(len(keys), maxNamed)] {
		id := key
		if _, after, ok := strings.Cut(key, "/"); ok {
			id = after
		}
		if j := s.Job(key); j != nil {
			id = j.ID
		}
		ids = append(ids, id)
	}
	if len(keys) > maxNamed {
		ids = append(ids, "…")
	}
	return strings.Join(ids, ", ")
}

// end plans the end of one job.
func (l *Planner) end(in *Intent, s *fleet.Snapshot, key string) Step {
	step := Step{Target: "job " + jobNames(s, []string{key})}
	j := s.Job(key)
	if j == nil {
		step.Refused = "it is not seen any more"
		return step
	}
	if j.User != l.User {
		step.Notes = append(step.Notes, "whose it is: "+or(j.User, NotKnown)+inBrackets(j.Name))
	}
	switch {
	case j.Told == nil:
		step.Refused = "no scheduler knows it: signal its processes instead (K)"
	case j.Told.Phase == schedulers.Ended: // its processes may have: it was queued again, and waits
		step.Refused = "it has ended"
	default:
		step.Where = strings.TrimSpace(j.Told.Kind + " " + j.Told.Cluster)
		actor := l.actor(j.Told.Kind, j.Told.Cluster)
		if actor == nil {
			step.Refused = step.Where + " takes no orders from here"
			break
		}
		verb := schedulers.Cancel
		if in.Kind == Requeue {
			verb = schedulers.Requeue
		}
		step.byActor(actor, schedulers.Order{Verb: verb, Job: j.Told.Key})
	}
	return step
}
