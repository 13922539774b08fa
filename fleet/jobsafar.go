package fleet

import (
	"fmt"
	"slices"
	"time"
)

// OverseenJob is a job as another foretop sees it, by way of a metrics server. What it does not say is zero.
type OverseenJob struct {
	Key, ID, Name, User, Framework, Scheduler, Partition, Account string

	World, MissingN, Restarts int
	Start                     time.Time
	State                     JobState
	Severity                  Severity
	GPUs                      []OverseenGPU // by rank, those without one last
}

// OverseenGPU is a GPU that a job holds.
type OverseenGPU struct {
	Node      string
	GPU, Rank int // rank -1: none is known
}

// OverseenXid is the last Xid of a GPU.
type OverseenXid struct{ GPU, Code int }

// xidsAfar are lines for the Xids that a metrics server tells: no more than their number is known, and when each was first told. before are those of the last round.
func xidsAfar(before []KernelLine, from string, seen *Overseen, classify func(string) KernelClass) []KernelLine {
	if classify == nil || len(seen.Xids) == 0 {
		return nil
	}
	lines := make([]KernelLine, 0, len(seen.Xids))
	for _, x := range seen.Xids {
		same := func(l KernelLine) bool { return l.GPU == x.GPU && l.Class.Xid == x.Code }
		if i := slices.IndexFunc(before, same); i >= 0 {
			lines = append(lines, before[i])
			continue
		}
		l := KernelLine{At: seen.At, Level: 3, GPU: x.GPU, NVML: true, Class: classify(eventText("", x.Code, 0)),
			Text: fmt.Sprintf("the last Xid of GPU%d is %d, says %s; when it was is not known, only since when it is told here", x.GPU, x.Code, from)}
		l.Class.PCI = ""
		lines = append(lines, l)
	}
	return lines
}

// afarBook keeps the plans of jobs of which nothing is seen here, until the server says something new. It is used by one publication at a time.
type afarBook struct {
	of    *Overview
	old   bool
	plans []plan
}

// withAfar adds the jobs that a metrics server knows. Of a job whose processes are seen here too, because some of its nodes are connected, those are its ranks there, and all else is the
// server's word: no rank is missed for its node is not connected.
func (f *Fleet) withAfar(own []*Job, s *Snapshot, now time.Time) []*Job {
	o := f.afar.Load()
	if o == nil || len(o.Jobs) == 0 {
		return own
	}
	byKey := make(map[string]int, len(own))
	for i, j := range own {
		byKey[j.Key] = i
	}
	newest := time.Time{}
	for i := range o.Nodes {
		if o.Nodes[i].At.After(newest) {
			newest = o.Nodes[i].At
		}
	}
	old := now.Sub(newest) > max(overseenStale, 3*o.Every)
	b := &f.afarBook
	if b.of != o || b.old != old {
		b.of, b.old, b.plans = o, old, make([]plan, len(o.Jobs))
		for i := range o.Jobs {
			b.plans[i] = o.Jobs[i].plan(o.From, nil, old)
		}
	}
	for i := range o.Jobs {
		at, here := byKey[o.Jobs[i].Key]
		var seen *Job
		if here {
			if seen = own[at]; !seen.Ended.IsZero() {
				continue
			}
		}
		p := &b.plans[i]
		if here {
			mixed := o.Jobs[i].plan(o.From, seen, old)
			p = &mixed
		}
		v := p.view(s, f.opt.IdleAfter)
		if here {
			own[at] = v
		} else {
			own = append(own, v)
		}
	}
	sortJobs(own)
	return own
}

// jobStateWords are a job's state in words.
var jobStateWords = [...]string{JobRunning: "running", JobStarting: "starting", JobPartial: "some ranks are not seen", JobIdle: "idle", JobSuspect: "something may be wrong", JobUnchecked: "not checked",
	JobEnded: "ended", JobPending: "pending", JobUnseen: "not seen"}

// plan is the job as a plan: where own is not nil, its ranks are taken for those of their nodes.
func (o *OverseenJob) plan(from string, own *Job, old bool) plan {
	p := plan{job: Job{
		Key: o.Key, ID: o.ID, Name: o.Name, User: o.User, Framework: o.Framework, Scheduler: o.Scheduler, Partition: o.Partition, Account: o.Account,
		World: o.World, MissingN: o.MissingN, Restarts: o.Restarts, Start: o.Start, State: o.State, Severity: o.Severity,
	}}
	v := &p.job
	v.StateText = jobStateWords[o.State] + ", says another foretop by way of " + from
	if old {
		v.State, v.StateText = JobUnchecked, from+" has had nothing new of it for a while"
	}
	nodes, here := map[string]bool{}, map[string]bool{}
	if own != nil {
		v.Told, v.Asked, v.Log, v.Libraries, v.Layout = own.Told, own.Asked, own.Log, own.Libraries, own.Layout
		p.told, p.asked = own.Told, own.Asked
		for _, name := range own.Nodes {
			here[name], nodes[name] = true, true
		}
		v.Ranks = append(v.Ranks, own.Ranks...)
		for _, g := range own.GPUs {
			p.devices = append(p.devices, device{g.Node, g.Index, g.Rank})
		}
	}
	for _, g := range o.GPUs {
		nodes[g.Node] = true
		if here[g.Node] {
			continue
		}
		p.devices = append(p.devices, device{g.Node, g.GPU, g.Rank})
		if g.Rank < 0 {
			continue
		}
		if last := len(v.Ranks) - 1; last >= 0 && v.Ranks[last].Rank == g.Rank && v.Ranks[last].Node == g.Node {
			v.Ranks[last].GPUs = append(v.Ranks[last].GPUs, g.GPU)
			continue
		}
		v.Ranks = append(v.Ranks, Rank{Rank: g.Rank, LocalRank: -1, Node: g.Node, GPUs: []int{g.GPU}})
	}
	slices.SortStableFunc(v.Ranks, func(a, b Rank) int { return a.Rank - b.Rank })
	slices.SortStableFunc(p.devices, func(a, b device) int { return int(uint32(a.rank)) - int(uint32(b.rank)) }) // -1 last
	for name := range nodes {
		v.Nodes = append(v.Nodes, name)
	}
	slices.SortFunc(v.Nodes, compareNames)
	return p
}
