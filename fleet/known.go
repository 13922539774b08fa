package fleet

import (
	"slices"
	"strings"
	"time"

	"foretop/jobs"
	"foretop/schedulers"
)

// What schedulers say is handed to package jobs, which joins processes to jobs with it: names that a node goes by, whose pods and containers are whose, which
// jobs are over.

// podSeen is a pod that a scheduler told of, and when it last did. One that it has forgotten is remembered for a while: its processes end later than it does.
type podSeen struct {
	jobs.KnownPod
	at time.Time
}

const (
	forgetPod = 10 * time.Minute
	maxPods   = 1 << 18
	// askedSince is how much older than a picture a process must be for the picture to know its job.
	askedSince = time.Minute
)

func (b *scheduleBook) forgetPods(now time.Time) {
	for id, p := range b.pods {
		if now.Sub(p.at) > forgetPod {
			delete(b.pods, id)
		}
	}
}

func (b *scheduleBook) seePods(t *Told, now time.Time) {
	if len(t.Pods) > 0 && b.pods == nil {
		b.pods = map[string]podSeen{}
	}
	for i := range t.Pods {
		p := &t.Pods[i]
		seen := podSeen{jobs.KnownPod{Job: t.Key, Name: p.Name, User: t.User}, now}
		for _, id := range append(p.Containers[:len(p.Containers):len(p.Containers)], p.UID) {
			if id != "" && len(b.pods) < maxPods {
				b.pods[id] = seen
			}
		}
	}
}

// tellJobs is what package jobs is to know of the pictures; nil where there is none.
func (b *scheduleBook) tellJobs() *jobs.Known {
	if len(b.list) == 0 {
		return nil
	}
	k := &jobs.Known{Jobs: make(map[string]jobs.KnownJob, len(b.byKey)), Pods: make(map[string]jobs.KnownPod, len(b.pods)), SLUIDs: map[string]string{}, Whole: map[string]int64{}}
	for id, p := range b.pods {
		k.Pods[id] = p.KnownPod
	}
	for key, t := range b.byKey {
		if t == nil || t.Phase == schedulers.Pending {
			continue
		}
		k.Jobs[key] = jobs.KnownJob{ID: t.ID, Name: t.Job.Name, User: t.User, Partition: t.Partition, Hosts: t.Nodes, Restarts: t.Restarts, Ended: t.Phase == schedulers.Ended}
		if t.SLUID != "" {
			k.SLUIDs[t.SLUID] = t.Key
		}
	}
	b.tellParts(k)
	for _, p := range b.list {
		if whole := b.whole(p.Kind); !whole.IsZero() {
			k.Whole[p.Kind] = whole.UnixMilli()
		}
	}
	return k
}

// tellParts makes the parts of heterogeneous jobs, each of which is a job to the controller ("105+0", "105+1"), parts of the first.
func (b *scheduleBook) tellParts(k *jobs.Known) {
	for _, t := range b.told {
		leader, part, ok := strings.Cut(t.ID, "+")
		kind, _, _ := strings.Cut(t.Key, "/")
		if first := kind + "/" + leader; ok && part != "0" && first != t.Key && b.byKey[first] != nil && b.byKey[first].Cluster == t.Cluster {
			t.partOf = first
			whole, this := k.Jobs[first], k.Jobs[t.Key]
			whole.Hosts = append(slices.Clip(whole.Hosts), t.Nodes...)
			this.PartOf = first
			k.Jobs[first], k.Jobs[t.Key] = whole, this
		}
	}
}

// whole is the time up to which every job of a kind's schedulers that ran is in their pictures; zero where one may have more, or does not answer.
func (b *scheduleBook) whole(kind string) (at time.Time) {
	for _, p := range b.list {
		if p.Kind != kind {
			continue
		}
		if !p.Whole || p.Problem != nil || p.At.IsZero() {
			return time.Time{}
		}
		if until := p.At.Add(-askedSince); at.IsZero() || until.Before(at) {
			at = until
		}
	}
	return at
}

// namesOf are the names by which schedulers know a node, beside its own.
func (b *scheduleBook) namesOf(name string) []string {
	var out []string
	for _, s := range b.nodes[name] {
		if s.Node != nil {
			out = append(append(out, s.Node.Name, s.Node.Hostname), s.Node.Addresses...)
		}
	}
	return out
}
