package kubernetes

import (
	"cmp"
	"slices"
	"strconv"
	"strings"
	"time"

	"foretop/schedulers"
)

// picture makes one of what the stores hold; nil: nothing is known yet, neither what is there nor what is wrong.
func (c *Cluster) picture(now time.Time) *schedulers.Picture {
	problem := c.trouble()
	c.mu.Lock()
	complete := len(c.links) > 0
	for _, l := range c.links {
		complete = complete && l.complete()
	}
	if complete && problem == nil {
		c.synced = now
	}
	p := &schedulers.Picture{
		Kind: Kind, Cluster: c.name, Version: c.version, At: c.synced, Problem: problem,
		Unseen: slices.Clone(c.unseen),
	}
	if problem != nil && !p.At.IsZero() && problem.Since.After(p.At) {
		p.At = problem.Since
	}
	partial := c.partial
	c.mu.Unlock()
	if p.At.IsZero() {
		if problem == nil {
			return nil
		}
		return p
	}
	byJob := make(map[string][]*pod)
	used := make(map[string]*load)
	c.pods.each(func(x *pod) {
		key := x.namespace + "/" + x.workload.kind + "/" + x.workload.name
		byJob[key] = append(byJob[key], x)
		if x.holds() {
			l := used[x.node]
			if l == nil {
				l = &load{}
				used[x.node] = l
			}
			l.pods++
			l.has, l.hostIP, l.unsure = l.has.add(x.has), x.hostIP, l.unsure || x.claims
		}
	})
	capacity := c.tellNodes(p, used, partial)
	for key, pods := range byJob {
		if slices.ContainsFunc(pods, func(x *pod) bool { return len(x.has) > 0 || x.claims }) {
			p.Jobs = append(p.Jobs, tellJob(key, pods, capacity))
		}
	}
	slices.SortFunc(p.Jobs, func(a, b schedulers.Job) int { return strings.Compare(a.Key, b.Key) })
	if len(p.Jobs) > schedulers.MaxJobs {
		p.Cut = len(p.Jobs) - schedulers.MaxJobs
		p.Jobs = p.Jobs[:schedulers.MaxJobs]
	}
	return p
}

// load is what the pods on one node hold.
type load struct {
	pods   int
	has    amounts
	hostIP string
	unsure bool // some hold devices by claims, which are not counted
}

// tellNodes adds the nodes, with what is given out of each, and gives what each has.
func (c *Cluster) tellNodes(p *schedulers.Picture, used map[string]*load, partial bool) map[string]amounts {
	capacity := make(map[string]amounts)
	c.nodes.each(func(n *node) {
		t := n.told
		l := used[t.Name]
		capacity[t.Name] = n.has
		switch {
		case partial || l != nil && l.unsure:
			t.GPUsUsed = -1
		case l != nil:
			t.GPUsUsed = l.has.devices(n.has)
		}
		if t.Condition == schedulers.Draining && n.cordoned && l == nil && !partial {
			t.Condition = schedulers.Drained
		}
		p.Nodes = append(p.Nodes, t)
	})
	if len(p.Nodes) == 0 && c.opts.Selector == "" { // nodes may not be seen: those that pods name are all that is known
		for name, l := range used {
			t := schedulers.Node{Name: name, GPUs: -1, GPUsUsed: -1}
			if l.hostIP != "" {
				t.Addresses = []string{l.hostIP}
			}
			p.Nodes = append(p.Nodes, t)
		}
	}
	slices.SortFunc(p.Nodes, func(a, b schedulers.Node) int { return strings.Compare(a.Name, b.Name) })
	p.Nodes = p.Nodes[:min(len(p.Nodes), schedulers.MaxNodes)]
	return capacity
}

// tellJob makes a job of its pods. Those that ended and were replaced count as restarts.
func tellJob(key string, pods []*pod, capacity map[string]amounts) schedulers.Job {
	slices.SortFunc(pods, func(a, b *pod) int {
		return cmp.Or(strings.Compare(a.workload.role, b.workload.role), cmp.Compare(a.workload.index, b.workload.index), a.created.Compare(b.created), strings.Compare(a.name, b.name))
	})
	replaced := 0
	for i := 0; i+1 < len(pods); {
		if a, b := pods[i], pods[i+1]; a.workload.index >= 0 && a.workload.role == b.workload.role && a.workload.index == b.workload.index && a.phase >= podDone {
			pods = slices.Delete(pods, i, i+1)
			replaced++
			continue
		}
		i++
	}
	first := pods[0]
	j := schedulers.Job{
		Key: Kind + "/" + key, ID: first.namespace + "/" + first.workload.name, Name: first.workload.name,
		User: first.user, Account: first.queue, Partition: first.namespace, QOS: first.class,
		Command: first.command, WorkDir: first.workDir, Restarts: replaced, Tasks: len(pods),
	}
	var lead *pod // the first that has an accelerator says what runs
	unsure := false
	for _, x := range pods {
		if lead == nil && (len(x.has) > 0 || x.claims) {
			lead = x
			j.Command, j.WorkDir = x.command, x.workDir
		}
		if x.user != x.namespace {
			j.User = x.user
		}
		j.Account, j.QOS = firstOf(j.Account, x.queue), firstOf(j.QOS, x.class)
		j.SubmitAt, j.StartAt = since(j.SubmitAt, x.created), since(j.StartAt, x.started)
		if x.deadline > 0 && !x.started.IsZero() {
			j.LimitAt = since(j.LimitAt, x.started.Add(x.deadline))
		}
		j.Restarts = max(j.Restarts, replaced+x.restarts)
		j.GPUs += x.has.devices(capacity[x.node])
		unsure = unsure || x.claims
		if x.node != "" && !slices.Contains(j.Nodes, x.node) {
			j.Nodes = append(j.Nodes, x.node)
		}
		j.Pods = append(j.Pods, schedulers.Pod{UID: x.uid, Name: x.name, Node: x.node, Index: x.workload.index, Role: x.workload.role, Containers: x.containers})
	}
	if unsure {
		j.GPUs = -1
	}
	slices.Sort(j.Nodes)
	j.NodesN = wanted(pods)
	judgeJob(&j, pods)
	return j
}

// wanted is how many nodes a job has or wants: those that it is on, and one for each pod with accelerators that is on none.
func wanted(pods []*pod) int {
	on := make(map[string]bool)
	n := 0
	for _, x := range pods {
		if x.node != "" {
			on[x.node] = true
		} else if len(x.has) > 0 || x.claims {
			n++
		}
	}
	return len(on) + n
}

// maxStates is how many different states of pods a job's state names.
const maxStates = 4

// judgeJob says from a job's pods in which phase it is, and why. State is the pods' common one, else how many are in which.
func judgeJob(j *schedulers.Job, pods []*pod) {
	var phases [podFailed + 1]int
	states := make(map[string]int)
	for _, x := range pods {
		phases[x.phase]++
		states[x.state]++
	}
	switch {
	case phases[podRunning] > 0:
		j.Phase = schedulers.Running
	case phases[podLeaving] > 0:
		j.Phase = schedulers.Completing
	case phases[podWaiting] > 0:
		j.Phase = schedulers.Pending
	default:
		j.Phase = schedulers.Ended
	}
	type state struct {
		word string
		n    int
	}
	var list []state
	for word, n := range states {
		list = append(list, state{word, n})
	}
	slices.SortFunc(list, func(a, b state) int { return cmp.Or(cmp.Compare(b.n, a.n), strings.Compare(a.word, b.word)) })
	if len(list) == 1 {
		j.State = list[0].word
	} else {
		var words []string
		for _, s := range list[:min(len(list), maxStates)] {
			words = append(words, strconv.Itoa(s.n)+" "+s.word)
		}
		if len(list) > maxStates {
			words = append(words, "…")
		}
		j.State = strings.Join(words, ", ")
	}
	if j.Phase == schedulers.Ended {
		for _, x := range pods {
			if x.ended.After(j.EndAt) {
				j.EndAt = x.ended
			}
		}
	} else if j.Phase == schedulers.Pending {
		j.StartAt = time.Time{}
	}
	if x := worst(pods); x != nil {
		j.Reason, j.ExitCode = x.reason, x.exit
		if len(pods) > 1 && x.reason != "" {
			j.Reason = text(x.name + ": " + x.reason)
		}
		if j.Phase != schedulers.Ended {
			j.ExitCode = ""
		}
	}
}

// worst is the pod that explains its job best: one that failed, else one that waits or leaves with a reason, else one that was restarted; of several the one that did so first.
func worst(pods []*pod) *pod {
	rank := func(x *pod) int {
		switch {
		case x.phase == podFailed:
			return 4
		case x.phase == podWaiting && x.reason != "":
			return 3
		case x.phase == podLeaving && x.reason != "":
			return 2
		case x.reason != "":
			return 2
		case x.phase == podDone:
			return 1
		}
		return 0
	}
	var out *pod
	for _, x := range pods {
		if rank(x) > 0 && (out == nil || rank(x) > rank(out) || rank(x) == rank(out) && !x.ended.IsZero() && x.ended.Before(out.ended)) {
			out = x
		}
	}
	return out
}
