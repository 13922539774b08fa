package fleet

import (
	"slices"
	"time"
)

// How long a job that ended is still shown, for its end to be seen, and how many of them at most.
const (
	endedFor  = time.Hour
	maxEnded  = 1000
	endingFor = time.Minute // from the first processes of a job that are gone to the last
)

// ending is a job that is no longer there, or no longer whole, and since when.
type ending struct {
	plan plan
	at   time.Time
	told *Told // what its scheduler said of it last
	back bool  // it runs again, though no process of it is seen yet
}

// size grows with what there is of a job.
func (p *plan) size() int { return len(p.job.Ranks) + len(p.job.Nodes) }

// retire moves jobs that went away to those that ended. was are the processes' places and plans are the jobs before the last assembly. A job whose
// processes go on under another key has not ended, nor one whose nodes all left the fleet: of that nothing is known.
func (b *jobBook) retire(was map[string]map[processKey]placed, plans []plan, live []*node, now time.Time) {
	here := make(map[string]int, len(b.plans)) // size
	for i := range b.plans {
		here[b.plans[i].job.Key] = b.plans[i].size()
	}
	goesOn := func(key string) bool { _, ok := here[key]; return ok }
	b.ended = slices.DeleteFunc(b.ended, func(e ending) bool { return goesOn(e.plan.job.Key) })
	whole := make(map[string]ending, len(b.whole)) // what fades: where its end began counts most
	for i := range plans {
		e, fades := b.whole[plans[i].job.Key]
		if !fades || now.Sub(e.at) >= endingFor {
			e = ending{plan: plans[i], at: now}
		}
		if size, ok := here[e.plan.job.Key]; !ok || size < e.plan.size() {
			whole[e.plan.job.Key] = e
		}
	}
	b.whole = whole
	gone := map[string]bool{}
	for i := range plans {
		if key := plans[i].job.Key; !goesOn(key) {
			gone[key] = true
		}
	}
	if len(gone) == 0 {
		return
	}
	for node, processes := range was {
		for k, p := range processes {
			if _, lives := b.ranks[node][k]; lives {
				delete(gone, p.job)
			}
		}
	}
	inFleet := make(map[string]bool, len(live))
	for _, n := range live {
		inFleet[n.name] = true
	}
	for i := range plans {
		if p := whole[plans[i].job.Key].plan; gone[p.job.Key] && slices.ContainsFunc(p.job.Nodes, func(name string) bool { return inFleet[name] }) {
			p.devices, p.given, p.told = nil, nil, nil
			b.ended = append(b.ended, ending{plan: p, at: now, told: plans[i].told})
		}
		if key := plans[i].job.Key; !goesOn(key) {
			delete(whole, key)
		}
	}
	b.ended = b.ended[max(0, len(b.ended)-maxEnded):]
}

// farewells are the views of the jobs that ended not long ago.
func (b *jobBook) farewells(s *Snapshot, now time.Time) []*Job {
	b.ended = slices.DeleteFunc(b.ended, func(e ending) bool { return now.Sub(e.at) >= endedFor })
	out := make([]*Job, 0, len(b.ended))
	for i := range b.ended {
		e := &b.ended[i]
		if e.back {
			continue
		}
		e.plan.told, e.plan.given = e.told, nil
		v := e.plan.view(s, endedFor)
		v.Ended, v.State, v.StateText = e.at, JobEnded, "ended"
		v.Missing, v.MissingN = nil, 0
		out = append(out, v)
	}
	return out
}
