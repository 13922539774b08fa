package slurm

import (
	"cmp"
	"slices"
	"strconv"
	"strings"
	"time"

	"foretop/schedulers"
	"foretop/telemetry"
)

// maxHeld bounds the node names of all jobs of a picture together.
const maxHeld = 1 << 20

// clean makes a string of Slurm's fit to be told; what stands for nothing is "".
func clean(s string) string {
	switch s {
	case "", "(null)", "N/A", "n/a", "None assigned", "Unknown":
		return ""
	}
	return telemetry.Clean(s, schedulers.MaxText)
}

// builder makes records of a picture, and holds what they share.
type builder struct {
	texts map[string]string // each text once
	held  int
	seen  map[int64]bool
	jobs  []schedulers.Job
	cut   int
}

func newBuilder() *builder {
	return &builder{texts: map[string]string{}, seen: map[int64]bool{}}
}

// shared is clean for texts that many records have.
func (b *builder) shared(s string) string {
	if known, ok := b.texts[s]; ok {
		return known
	}
	out := clean(s)
	if len(b.texts) < 1<<20 && len(s) <= schedulers.MaxText {
		b.texts[strings.Clone(s)] = strings.Clone(out)
		return b.texts[s]
	}
	return out
}

// jobRecord is one job, from JSON or text.
type jobRecord struct {
	id, arrayID, task   int64 // task < 0: none
	tasks               string
	hetID, hetOffset    int64
	sluid               string
	name, user, account string
	partition, qos      string
	state               []string
	reason, description string
	nodes               string
	inOrder             []string // the nodes in the order of detail; nil: as in nodes
	nodeN, taskN        int64
	batch               bool
	host                string
	restarts            int64
	submit, start, end  int64
	limit               int64    // seconds; < 0: none
	detail              []string // GPUs of each node
	alloc, requested    string
	perJob, perNode     string
	perTask             string
	exit                exitCode
	command, dir        string
	stdout              string
	filled              bool // stdout's pattern is
	dependency          string
}

func (j *jobJSON) record() jobRecord {
	r := jobRecord{
		id: j.JobID.or(0), arrayID: j.ArrayJobID.or(0), task: j.ArrayTaskID.or(-1), tasks: string(j.ArrayTasks),
		hetID: j.HetJobID.or(0), hetOffset: j.HetOffset.or(0), sluid: string(j.StepID.SLUID),
		name: string(j.Name), user: string(j.UserName), account: string(j.Account), partition: string(j.Partition), qos: string(j.QOS),
		state: j.State, reason: string(j.Reason), description: string(j.Description),
		nodes: string(j.Nodes), inOrder: j.Resources, nodeN: j.NodeCount.or(0), taskN: j.Tasks.or(0), batch: j.Batch, host: string(j.BatchHost),
		restarts: j.Restarts.or(0), submit: j.Submit.or(0), start: j.Start.or(0), end: j.End.or(0), limit: -1,
		detail: j.GRESDetail, alloc: string(j.TRESAlloc), requested: string(j.TRESRequested),
		perJob: string(j.TRESPerJob), perNode: string(j.TRESPerNode), perTask: string(j.TRESPerTask),
		exit: j.Exit, command: string(j.Command), dir: string(j.WorkDir), stdout: string(j.Stdout), dependency: string(j.Dependency),
	}
	if j.StdoutExpanded != "" {
		r.stdout, r.filled = string(j.StdoutExpanded), true
	}
	if r.user == "" && j.UserID.set {
		r.user = strconv.FormatInt(j.UserID.n, 10)
	}
	if l := j.Limit; l.set && !l.infinite && l.n < 1<<31-2 {
		r.limit = l.n * 60
	}
	return r
}

// add makes a job of a record; one without an id, or a second one of the same id, is none.
func (b *builder) add(r *jobRecord) {
	if r.id <= 0 || b.seen[r.id] {
		return
	}
	if len(b.jobs) >= schedulers.MaxJobs {
		b.cut++
		return
	}
	b.seen[r.id] = true
	flags := stateFlags(r.state)
	id := strconv.FormatInt(r.id, 10)
	j := schedulers.Job{
		Key: "slurm/" + id, ID: jobID(r), Name: b.shared(r.name), User: b.shared(r.user), Account: b.shared(r.account), Partition: b.shared(r.partition), QOS: b.shared(r.qos),
		Phase: phase(flags), State: b.shared(strings.Join(flags, "+")), SubmitAt: unix(r.submit), NodesN: whole(r.nodeN), Tasks: whole(r.taskN), Restarts: whole(r.restarts),
		Command: b.shared(r.command), WorkDir: b.shared(r.dir), SLUID: clean(r.sluid), Dependency: clean(r.dependency),
	}
	if !strings.EqualFold(r.reason, "None") {
		j.Reason = b.shared(r.reason)
	}
	if d := clean(r.description); d != "" && d != j.Reason {
		j.Reason = strings.TrimPrefix(j.Reason+": "+d, ": ")
	}
	b.times(&j, r)
	b.place(&j, r)
	isPart := r.arrayID > 0 && r.task < 0 && r.tasks != ""
	j.LogFile = clean(logFile(logParts{
		id: r.id, arrayID: r.arrayID, task: r.task, restarts: j.Restarts, name: j.Name, user: j.User, host: r.host, sluid: j.SLUID, dir: r.dir, pattern: nothing(r.stdout),
		batch: r.batch, pendingArray: isPart, alreadyFilledPattern: r.filled,
	}))
	b.jobs = append(b.jobs, j)
}

// jobID is a job's number as people write it (squeue's %i).
func jobID(r *jobRecord) string {
	switch {
	case r.arrayID > 0 && r.task >= 0:
		return strconv.FormatInt(r.arrayID, 10) + "_" + strconv.FormatInt(r.task, 10)
	case r.arrayID > 0 && nothing(r.tasks) != "":
		return strconv.FormatInt(r.arrayID, 10) + "_[" + telemetry.Clean(r.tasks, 256) + "]"
	case r.hetID > 0:
		return strconv.FormatInt(r.hetID, 10) + "+" + strconv.FormatInt(r.hetOffset, 10)
	}
	return strconv.FormatInt(r.id, 10)
}

func (b *builder) times(j *schedulers.Job, r *jobRecord) {
	j.StartAt = unix(r.start)
	switch j.Phase {
	case schedulers.Pending, schedulers.PhaseUnknown:
	case schedulers.Ended:
		j.EndAt = unix(r.end)
		j.ExitCode = r.exit.String()
	default:
		if !j.StartAt.IsZero() && r.limit > 0 {
			// Slurm's own expectation knows of suspensions; a year is what it tells where there is no limit.
			if j.LimitAt = unix(r.end); j.LimitAt.IsZero() || j.Phase == schedulers.Completing {
				j.LimitAt = j.StartAt.Add(time.Duration(r.limit) * time.Second)
			}
		}
	}
}

// place tells a job's nodes and GPUs.
func (b *builder) place(j *schedulers.Job, r *jobRecord) {
	j.GPUs = wanted(r)
	if r.nodes = nothing(r.nodes); r.nodes == "" || j.Phase == schedulers.Pending {
		return
	}
	names, err := Expand(telemetry.Clean(r.nodes, maxList), min(schedulers.MaxNodes, maxHeld-b.held))
	if err != nil {
		return // NodesN still tells how many
	}
	for i, n := range names {
		names[i] = b.shared(n)
	}
	b.held += len(names)
	j.Nodes = names
	inOrder := names
	if len(r.inOrder) == len(names) {
		inOrder = r.inOrder
	}
	if len(r.detail) != len(inOrder) {
		return
	}
	total, known := 0, false
	for i, d := range r.detail {
		if n, _, ok := gpus(d); ok {
			total, known = total+n, true
		}
		if indices := gpuIndices(d); len(indices) > 0 {
			if j.GPUsOn == nil {
				j.GPUsOn = make(map[string][]int, len(inOrder))
			}
			j.GPUsOn[b.shared(inOrder[i])] = indices
		}
	}
	if known {
		j.GPUs = total
	}
}

// wanted is how many GPUs a job has or wants, as far as its numbers say; -1 where they do not.
func wanted(r *jobRecord) int {
	per := func(list string, times int64) int {
		n, _, ok := gpus(list)
		if !ok {
			return -1
		}
		return whole(int64(n) * max(times, 1))
	}
	for _, n := range []int{per(r.alloc, 1), per(r.requested, 1), per(r.perJob, 1), per(r.perNode, r.nodeN), per(r.perTask, r.taskN)} {
		if n >= 0 {
			return n
		}
	}
	return 0
}

func (b *builder) sorted() []schedulers.Job {
	slices.SortFunc(b.jobs, func(x, y schedulers.Job) int { return cmp.Compare(x.Key, y.Key) })
	return b.jobs
}

// node makes a node of a record; one without a name is none.
func (b *builder) node(r *nodeJSON) (schedulers.Node, bool) {
	flags := stateFlags(append(slices.Clone(r.State), r.StateFlags...))
	n := schedulers.Node{
		Name: clean(string(r.Name)), Hostname: clean(string(r.Hostname)), Condition: condition(flags), Flags: flags, State: strings.Join(flags, "+"),
		Reason: clean(string(r.Reason)), ReasonBy: b.shared(string(r.ReasonBy)), ReasonAt: unix(r.ReasonAt.or(0)), GPUsUsed: -1, BootAt: unix(r.Boot.or(0)),
	}
	for _, a := range []string{n.Hostname, clean(string(r.Address))} {
		if a != "" && !slices.Contains(n.Addresses, a) {
			n.Addresses = append(n.Addresses, a)
		}
	}
	for _, p := range r.Partitions[:min(len(r.Partitions), 256)] {
		n.Partitions = append(n.Partitions, b.shared(p))
	}
	total, models, _ := gpus(string(r.GRES))
	n.GPUs = total
	slices.Sort(models)
	n.GPUModel = b.shared(strings.Join(slices.Compact(models), ","))
	if used, _, ok := gpus(string(r.GRESUsed)); ok {
		n.GPUsUsed = used
	} else if used, _, ok := gpus(string(r.TRESUsed)); ok {
		n.GPUsUsed = used
	} else if total == 0 {
		n.GPUsUsed = 0
	}
	if n.Reason == "" {
		n.ReasonBy, n.ReasonAt = "", time.Time{}
	}
	labels := map[string]string{}
	for key, value := range map[string]text{"topology": r.Topology, "reservation": r.Reserved} {
		if v := b.shared(string(value)); v != "" {
			labels[key] = v
		}
	}
	if len(labels) > 0 {
		n.Labels = labels
	}
	return n, n.Name != ""
}

// wholeNodes names the GPUs of jobs that hold all of each of their nodes, where the answer named none.
func wholeNodes(jobs []schedulers.Job, nodes []schedulers.Node) {
	has := make(map[string]int, len(nodes))
	for _, n := range nodes {
		has[n.Name] = n.GPUs
	}
	every := map[int][]int{}
	for i := range jobs {
		j := &jobs[i]
		if j.GPUsOn != nil || j.GPUs <= 0 || len(j.Nodes) == 0 || j.Phase == schedulers.Ended {
			continue
		}
		sum := 0
		for _, n := range j.Nodes {
			sum += has[n]
		}
		if sum != j.GPUs {
			continue
		}
		j.GPUsOn = make(map[string][]int, len(j.Nodes))
		for _, n := range j.Nodes {
			g := has[n]
			if g <= 0 || g > maxGPUs {
				continue
			}
			if every[g] == nil {
				for k := range g {
					every[g] = append(every[g], k)
				}
			}
			j.GPUsOn[n] = every[g]
		}
	}
}

// nothing is clean without cleaning: "" of what stands for nothing.
func nothing(s string) string {
	switch s {
	case "(null)", "N/A", "n/a":
		return ""
	}
	return s
}

// unix is a moment; zero of what is none.
func unix(seconds int64) time.Time {
	if seconds <= 0 || seconds >= 1<<36 || seconds == 1<<32-1 || seconds == 1<<32-2 {
		return time.Time{}
	}
	return time.Unix(seconds, 0).UTC()
}

func whole(n int64) int { return int(max(0, min(n, 1<<30))) }
