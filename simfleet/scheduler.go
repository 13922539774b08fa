package simfleet

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"foretop/schedulers"
)

// Names of what the fleet's schedulers call themselves.
const (
	slurmCluster = "bay"
	kubeCluster  = "prod"
	kubeDomain   = ".prod.internal" // behind a node's name
)

// Pictures are what the fleet's schedulers know at a moment: Slurm has the nodes of its jobs and those that nothing runs on, Kubernetes those of its pods. What
// people start by hand runs on nodes of neither.
func (m *Model) Pictures(at time.Duration) []*schedulers.Picture {
	slurm := &schedulers.Picture{Kind: "slurm", Cluster: slurmCluster, Version: "24.11.5", At: m.epoch.Add(at), Every: 15 * time.Second, Whole: true}
	kube := &schedulers.Picture{Kind: "kubernetes", Cluster: kubeCluster, Version: "1.33.4", At: m.epoch.Add(at)}
	for _, n := range m.nodes {
		switch s, kind := n.told(n.scheduler(), at); kind {
		case slurmKind:
			slurm.Nodes = append(slurm.Nodes, s)
		case kubeKind:
			kube.Nodes = append(kube.Nodes, s)
		}
	}
	for _, j := range m.jobs {
		switch j.scheduler() {
		case slurmKind:
			slurm.Jobs = append(slurm.Jobs, m.slurmJob(j, at))
		case kubeKind:
			if s := m.kubeJob(j, at); s.Phase != schedulers.Ended { // what is deleted is told no more
				kube.Jobs = append(kube.Jobs, s)
			}
		}
	}
	slurm.Jobs = append(slurm.Jobs, m.waiting(at)...)
	slurm.Jobs = append(slurm.Jobs, m.over(slurm.Nodes, at)...)
	for _, p := range []*schedulers.Picture{slurm, kube} {
		slices.SortFunc(p.Nodes, func(a, b schedulers.Node) int { return strings.Compare(a.Name, b.Name) })
		slices.SortFunc(p.Jobs, func(a, b schedulers.Job) int { return strings.Compare(a.Key, b.Key) })
	}
	if len(kube.Nodes) == 0 {
		return []*schedulers.Picture{slurm}
	}
	return []*schedulers.Picture{slurm, kube}
}

// Kinds of schedulers.
const (
	slurmKind = "slurm"
	kubeKind  = "kubernetes"
)

// scheduler is the kind of scheduler that has a job; "" none.
func (j *job) scheduler() string {
	switch j.launcher {
	case torchrunSlurm, srunRanks, jaxSlurm:
		return slurmKind
	case kubernetes:
		return kubeKind
	}
	return ""
}

// scheduler is the kind of scheduler that has a node: that of what runs there, or Slurm where nothing does; "" none.
func (n *Node) scheduler() string {
	for _, s := range n.slots {
		if kind := s.job.scheduler(); kind != "" {
			return kind
		}
	}
	if n.free() {
		return slurmKind
	}
	return ""
}

// free says that a node was given no job, and is like the others.
func (n *Node) free() bool { return len(n.slots) == 0 && n.machine == n.model.machines[0] }

// told is a node as its scheduler knows it, with what was ordered; the same kind, for where it is none.
func (n *Node) told(kind string, at time.Duration) (schedulers.Node, string) {
	var s schedulers.Node
	switch kind {
	case slurmKind:
		s = n.slurmNode(at)
	case kubeKind:
		s = n.kubeNode(at)
	default:
		return s, kind
	}
	k := n.marked.Load()
	if k == nil || !k.drained && s.ReasonAt.After(n.wall(k.at)) { // its health check came later than the resume
		return s, kind
	}
	flag := drainFlag(kind)
	s.Flags = slices.DeleteFunc(s.Flags, func(f string) bool { return f == flag })
	if !k.drained {
		if slices.Contains(s.Flags, "NOT_RESPONDING") {
			return s, kind
		}
		s.Condition, s.Reason, s.ReasonBy, s.ReasonAt = schedulers.Usable, "", "", time.Time{}
	} else {
		s.Flags = append(s.Flags, flag)
		s.Reason, s.ReasonBy, s.ReasonAt = k.reason, k.by, n.wall(k.at)
		switch {
		case s.Condition == schedulers.Unreachable:
		case s.GPUsUsed > 0:
			s.Condition = schedulers.Draining
		default:
			s.Condition = schedulers.Drained
		}
	}
	sep := "+"
	if kind == kubeKind {
		sep = ","
	}
	s.State = strings.Join(s.Flags, sep)
	return s, kind
}

// used are the GPUs of a node that jobs hold.
func (n *Node) used(at time.Duration) (used int) {
	for _, s := range n.slots {
		if stopped, _, _ := s.job.stopAt(at); stopped == nil {
			used += len(s.job.device)
		}
	}
	return used
}

// slurmNode is a node as Slurm knows it but for what people ordered. Its health check drains a node that lost a GPU.
func (n *Node) slurmNode(at time.Duration) schedulers.Node {
	used := n.used(at)
	word := "IDLE"
	switch {
	case used >= gpusPerNode:
		word = "ALLOCATED"
	case used > 0:
		word = "MIXED"
	}
	boot, _ := n.booted(at)
	s := schedulers.Node{Name: n.name, Hostname: n.name, Addresses: []string{n.name}, Partitions: []string{"h100"}, Condition: schedulers.Usable, State: word, Flags: []string{word},
		GPUs: gpusPerNode, GPUsUsed: used, GPUModel: "h100", BootAt: n.wall(boot), Labels: map[string]string{"topology": fmt.Sprintf("leaf%02d", n.index/16+1)}}
	if n == n.model.broken {
		s.Condition, s.State, s.Flags = schedulers.Drained, word+"+DRAIN", []string{word, "DRAIN"}
		s.Reason, s.ReasonBy, s.ReasonAt = "fan 3 failed, RMA 4711", "ann", n.wall(-26*time.Hour)
	}
	_, local := n.model.cycle(at)
	for i := range n.strikes {
		k := &n.strikes[i]
		if !k.on(local) {
			continue
		}
		since := n.wall(at - local + k.from)
		switch {
		case n.Condition(at).Dead && (k.Kind == NodeDies || k.Kind == GPULost):
			s.Condition, s.State, s.Flags = schedulers.Unreachable, word+"*", []string{word, "NOT_RESPONDING"}
			s.Reason, s.ReasonBy, s.ReasonAt = "Not responding", "slurm", since
		case k.Kind == GPULost && local-k.from > 12*time.Second:
			s.Condition, s.State, s.Flags = schedulers.Draining, word+"+DRAIN", []string{word, "DRAIN"}
			s.Reason, s.ReasonBy, s.ReasonAt = fmt.Sprintf("healthcheck: GPU %d lost (Xid 79)", k.GPU), "root", since.Add(12*time.Second)
		}
	}
	return s
}

func (n *Node) kubeNode(at time.Duration) schedulers.Node {
	used := n.used(at)
	return schedulers.Node{Name: n.name + kubeDomain, Hostname: n.name, Addresses: []string{n.name}, Condition: schedulers.Usable, State: "Ready", Flags: []string{"Ready"},
		GPUs: gpusPerNode, GPUsUsed: used, GPUModel: "NVIDIA-H100-80GB-HBM3", BootID: n.BootID(at), MachineID: machineID(n.id(word("machine"))), Labels: map[string]string{"topology.kubernetes.io/zone": "bay-1"}}
}

// slurmJob is a job as Slurm knows it. Between two runs of it, it is queued again.
func (m *Model) slurmJob(j *job, at time.Duration) schedulers.Job {
	generation, since, up := j.run(at)
	s := schedulers.Job{Key: j.slurmKey(), ID: fmt.Sprint(j.id), Name: j.name, User: j.user, Account: "research", Partition: "h100", QOS: "normal",
		Phase: schedulers.Running, State: "RUNNING", SubmitAt: m.epoch.Add(j.start - 9*time.Minute), StartAt: m.epoch.Add(since), Tasks: len(j.member), NodesN: len(j.member),
		GPUs: len(j.member) * len(j.device), Restarts: generation, Command: "/home/" + j.user + "/jobs/" + j.name + ".sbatch", WorkDir: "/home/" + j.user + "/jobs", LogFile: j.logFile()}
	if j.array > 0 {
		s.ID = fmt.Sprintf("%d_%d", j.array, j.task)
	}
	if j.limit > 0 {
		s.LimitAt = m.epoch.Add(j.start + j.limit)
	}
	if stopped, _, _ := j.stopAt(at); stopped != nil && stopped.state != "PENDING" {
		s.Phase, s.State, s.ExitCode, s.EndAt, s.LimitAt = schedulers.Ended, stopped.state, stopped.code, m.epoch.Add(stopped.from), time.Time{}
		for _, i := range j.member {
			s.Nodes = append(s.Nodes, m.nodes[i].name)
		}
		return s
	}
	if !up {
		s.Phase, s.State, s.Reason, s.StartAt, s.LimitAt = schedulers.Pending, "PENDING", "BeginTime", time.Time{}, time.Time{}
		return s
	}
	s.GPUsOn = make(map[string][]int, len(j.member))
	for _, i := range j.member {
		s.Nodes = append(s.Nodes, m.nodes[i].name)
		s.GPUsOn[m.nodes[i].name] = j.device
	}
	return s
}

func (j *job) slurmKey() string { return fmt.Sprintf("slurm/%d", j.id) }

func (j *job) kubeKey() string { return "kubernetes/rlhf/PyTorchJob/" + j.name }

func (j *job) podName(member int) string { return fmt.Sprintf("%s-worker-%d", j.name, member) }

// kubeJob is a job of pods as the API knows it: a PyTorchJob of a worker a node.
func (m *Model) kubeJob(j *job, at time.Duration) schedulers.Job {
	generation, since, _ := j.run(at)
	s := schedulers.Job{Key: j.kubeKey(), ID: "rlhf/" + j.name, Name: j.name, User: "gita", Partition: "rlhf", Phase: schedulers.Running, State: "Running",
		SubmitAt: m.epoch.Add(j.start - time.Minute), StartAt: m.epoch.Add(since), NodesN: len(j.member), GPUs: len(j.member) * len(j.device), Restarts: generation}
	if stopped, _, _ := j.stopAt(at); stopped != nil {
		s.Phase, s.State, s.StartAt = schedulers.Pending, "Pending", time.Time{}
		if stopped.state != "PENDING" {
			s.Phase, s.State = schedulers.Ended, stopped.state
		}
		return s
	}
	for i, member := range j.member {
		n := m.nodes[member]
		s.Nodes = append(s.Nodes, n.name+kubeDomain)
		l := launch{node: n, job: j, member: i, generation: generation}
		s.Pods = append(s.Pods, schedulers.Pod{UID: l.podUID(), Name: j.podName(i), Node: n.name + kubeDomain, Index: i, Role: "Worker"})
	}
	return s
}

// waiting are the jobs in Slurm's queue.
func (m *Model) waiting(at time.Duration) []schedulers.Job {
	var out []schedulers.Job
	for i, w := range []struct {
		name, user, reason string
		nodes              int
		waits, in          time.Duration
		dependency         string
	}{
		{"mistral-8x22b", "ann", "Resources", 16, 3 * time.Hour, 70 * time.Minute, ""},
		{"gemma-27b-sft", "cy", "Priority", 8, 95 * time.Minute, 4 * time.Hour, ""},
		{"eval-nightly", "bob", "Dependency", 1, 50 * time.Minute, 0, "afterok:8123"},
		{"sd3-finetune", "dana", "QOSMaxGRESPerUser", 4, 41 * time.Minute, 0, ""},
		{"t5x-ablation", "hugo", "Priority", 2, 22 * time.Minute, 0, ""},
		{"interactive", "eve", "ReqNodeNotAvail, Reserved for maintenance", 1, 4 * time.Minute, 9 * time.Hour, ""},
	} {
		id := 9400 + 7*i
		key := fmt.Sprintf("slurm/%d", id)
		s := schedulers.Job{Key: key, ID: fmt.Sprint(id), Name: w.name, User: w.user, Account: "research", Partition: "h100", Phase: schedulers.Pending, State: "PENDING", Reason: w.reason,
			SubmitAt: m.epoch.Add(-w.waits), NodesN: w.nodes, GPUs: w.nodes * gpusPerNode, Dependency: w.dependency}
		if w.in > 0 {
			s.StartAt = m.epoch.Add(w.in)
		}
		if when, gone := m.withdrawnAt(key); gone {
			s.Phase, s.State, s.Reason, s.Dependency, s.StartAt, s.EndAt, s.ExitCode = schedulers.Ended, "CANCELLED", "None", "", time.Time{}, m.epoch.Add(when), "0:0"
		}
		out = append(out, s)
	}
	return out
}

// over are the jobs that ended in the last hour, on nodes that Slurm has.
func (m *Model) over(nodes []schedulers.Node, at time.Duration) []schedulers.Job {
	var out []schedulers.Job
	for i, o := range []struct {
		name, user, state, reason, code string
		ago, ran                        time.Duration
	}{
		{"lora-sweep", "eve", "COMPLETED", "None", "0:0", 6 * time.Minute, 37 * time.Minute},
		{"whisper-eval", "dana", "FAILED", "NonZeroExitCode", "1:0", 19 * time.Minute, 2 * time.Minute},
		{"clip-ablation", "gita", "TIMEOUT", "TimeLimit", "0:0", 33 * time.Minute, 4 * time.Hour},
		{"tokenize", "hugo", "OUT_OF_MEMORY", "OutOfMemory", "0:125", 52 * time.Minute, 11 * time.Minute},
	} {
		if len(nodes) == 0 {
			break
		}
		id := 8050 + 3*i
		end := m.epoch.Add(-o.ago)
		out = append(out, schedulers.Job{Key: fmt.Sprintf("slurm/%d", id), ID: fmt.Sprint(id), Name: o.name, User: o.user, Account: "research", Partition: "h100", Phase: schedulers.Ended, State: o.state, Reason: o.reason,
			ExitCode: o.code, SubmitAt: end.Add(-o.ran - time.Minute), StartAt: end.Add(-o.ran), EndAt: end, Nodes: []string{nodes[(7*i+3)%len(nodes)].Name}, NodesN: 1, GPUs: 2,
			LogFile: fmt.Sprintf("/home/%s/logs/%s-%d.out", o.user, o.name, id)})
	}
	return out
}
