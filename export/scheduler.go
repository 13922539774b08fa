package export

import "foretop/fleet"

// schedDoc is a scheduler that is asked.
type schedDoc struct {
	Kind      string `json:"kind"`
	Cluster   word   `json:"cluster"`
	Version   word   `json:"version"`
	At        stamp  `json:"time"`
	Every     number `json:"every_seconds"`
	Problem   word   `json:"problem"`
	Remedy    word   `json:"remedy"`
	Since     stamp  `json:"problem_since"`
	Nodes     int    `json:"nodes"`
	Joined    int    `json:"nodes_watched"`
	Proven    int    `json:"nodes_proven"`
	Running   int    `json:"jobs_running"`
	Elsewhere int    `json:"jobs_running_elsewhere"`
	Pending   int    `json:"jobs_pending"`
	Cut       int    `json:"jobs_not_told"`
}

func schedOf(s *fleet.Scheduler) schedDoc {
	d := schedDoc{Kind: s.Kind, Cluster: word(s.Cluster), Version: word(s.Version), At: stamp(s.At), Every: known(s.Every.Seconds(), s.Every > 0), Nodes: s.Nodes, Joined: s.Joined, Proven: s.Proven,
		Running: s.Running, Elsewhere: s.Elsewhere, Pending: s.Pending, Cut: s.Cut}
	if p := s.Problem; p != nil {
		d.Problem, d.Remedy, d.Since = word(p.Text), word(p.Remedy), stamp(p.Since)
	}
	return d
}

// scheduledDoc is a node as a scheduler knows it.
type scheduledDoc struct {
	Kind       string   `json:"kind"`
	Cluster    word     `json:"cluster"`
	Name       word     `json:"name"`
	Proof      word     `json:"proof"`
	Proven     bool     `json:"proven"`
	Why        word     `json:"why"`
	Condition  word     `json:"condition"`
	State      word     `json:"state"`
	Reason     word     `json:"reason"`
	ReasonBy   word     `json:"reason_by"`
	ReasonAt   stamp    `json:"reason_time"`
	Partitions []string `json:"partitions"`
	GPUs       index    `json:"gpus"`
	GPUsUsed   index    `json:"gpus_given"`
}

func scheduledOf(s *fleet.ScheduledNode) scheduledDoc {
	d := scheduledDoc{Kind: s.Kind, Cluster: word(s.Cluster), Why: word(s.Why), Partitions: []string{}, GPUs: -1, GPUsUsed: -1}
	if n := s.Node; n != nil {
		d.Name, d.Condition, d.State, d.Reason, d.ReasonBy, d.ReasonAt = word(n.Name), word(n.Condition.String()), word(n.State), word(n.Reason), word(n.ReasonBy), stamp(n.ReasonAt)
		d.Partitions, d.GPUs, d.GPUsUsed = orEmpty(n.Partitions), index(n.GPUs), index(n.GPUsUsed)
		d.Proof, d.Proven = word(s.Proof.String()), s.Proof.Proven()
	}
	return d
}

// toldDoc is what a scheduler says of a job.
type toldDoc struct {
	Kind       string   `json:"kind"`
	Cluster    word     `json:"cluster"`
	ID         string   `json:"id"`
	Phase      string   `json:"phase"`
	State      word     `json:"state"`
	Reason     word     `json:"reason"`
	ExitCode   word     `json:"exit_code"`
	QOS        word     `json:"qos"`
	Submit     stamp    `json:"submit"`
	Start      stamp    `json:"start"`
	End        stamp    `json:"end"`
	Limit      stamp    `json:"limit"`
	Nodes      []string `json:"nodes"`
	Elsewhere  []string `json:"nodes_not_watched"`
	NodesN     int      `json:"nodes_count"`
	GPUs       index    `json:"gpus"`
	Tasks      number   `json:"tasks"`
	Restarts   int      `json:"restarts"`
	Command    word     `json:"command"`
	WorkDir    word     `json:"work_dir"`
	LogFile    word     `json:"log_file"`
	Dependency word     `json:"dependency"`
}

func toldOf(t *fleet.Told) *toldDoc {
	if t == nil {
		return nil
	}
	return &toldDoc{Kind: t.Kind, Cluster: word(t.Cluster), ID: t.ID, Phase: t.Phase.String(), State: word(t.State), Reason: word(t.Reason), ExitCode: word(t.ExitCode), QOS: word(t.QOS),
		Submit: stamp(t.SubmitAt), Start: stamp(t.StartAt), End: stamp(t.EndAt), Limit: stamp(t.LimitAt), Nodes: orEmpty(t.Job.Nodes), Elsewhere: orEmpty(t.Elsewhere), NodesN: t.NodesN, GPUs: index(t.GPUs),
		Tasks: known(float64(t.Tasks), t.Tasks > 0), Restarts: t.Restarts, Command: word(t.Command), WorkDir: word(t.WorkDir), LogFile: word(t.LogFile), Dependency: word(t.Dependency)}
}

func askedWord(a fleet.Asked) string {
	return string(pick(int(a), "not asked", "knows it", "knows of no such job"))
}

// waitDoc is a job that waits.
type waitDoc struct {
	Key       string   `json:"key"`
	ID        string   `json:"id"`
	Name      word     `json:"name"`
	User      word     `json:"user"`
	Account   word     `json:"account"`
	Partition word     `json:"partition"`
	Told      *toldDoc `json:"scheduler_says"`
}

func pendingOf(list []*fleet.Job) []waitDoc {
	out := make([]waitDoc, len(list))
	for i, j := range list {
		out[i] = waitDoc{Key: j.Key, ID: j.ID, Name: word(j.Name), User: word(j.User), Account: word(j.Account), Partition: word(j.Partition), Told: toldOf(j.Told)}
	}
	return out
}

// logDoc is the end of a job's log, without its lines.
type logDoc struct {
	Path    string      `json:"path"`
	Node    word        `json:"node"`
	At      stamp       `json:"time"`
	ModTime stamp       `json:"written"`
	Size    index       `json:"size_bytes"`
	Error   word        `json:"error"`
	Numbers []numberDoc `json:"numbers"`
}

type numberDoc struct {
	Name string `json:"name"`
	Text string `json:"text"`
}

func logOf(l *fleet.LogTail) *logDoc {
	if l == nil {
		return nil
	}
	return &logDoc{Path: l.Path, Node: word(l.Node), At: stamp(l.At), ModTime: stamp(l.ModTime), Size: index(l.Size), Error: word(l.Error),
		Numbers: listOf(l.Numbers, func(n *fleet.LogNumber) numberDoc { return numberDoc{n.Name, n.Text} })}
}

type findingDoc struct {
	Severity string `json:"severity"`
	State    word   `json:"state"`
	Text     string `json:"text"`
}

// userDoc is what a person holds.
type userDoc struct {
	Name      word         `json:"name"`
	Jobs      int          `json:"jobs"`
	Pending   int          `json:"jobs_pending"`
	Wanted    int          `json:"gpus_wanted"`
	GPUs      int          `json:"gpus"`
	Idle      int          `json:"gpus_idle"`
	Empty     int          `json:"gpus_given_and_no_process"`
	Nodes     int          `json:"nodes"`
	UtilPct   number       `json:"util_percent"`
	PowerPct  number       `json:"power_percent_of_limit"`
	IdleNow   number       `json:"idle_now_gpu_hours"`
	HeldHours number       `json:"held_gpu_hours"`
	IdleHours number       `json:"idle_gpu_hours"`
	Since     stamp        `json:"hours_since"`
	IdleGPUs  []idleGPUDoc `json:"idle_gpus"`
}

type idleGPUDoc struct {
	Node     string `json:"node"`
	Index    int    `json:"index"`
	Job      string `json:"job"`
	Since    stamp  `json:"since"`
	MemBytes number `json:"mem_used_bytes"`
}

func usersOf(list []*fleet.User) []userDoc {
	out := make([]userDoc, len(list))
	for i, u := range list {
		out[i] = userDoc{Name: word(u.Name), Jobs: u.Jobs, Pending: u.Pending, Wanted: u.Wanted, GPUs: u.GPUs, Idle: u.Idle, Empty: u.Empty, Nodes: u.Nodes, UtilPct: number(u.UtilPct), PowerPct: number(u.PowerPct),
			IdleNow: number(u.IdleNowHours), HeldHours: number(u.HeldHours), IdleHours: number(u.IdleHours), Since: stamp(u.Since),
			IdleGPUs: listOf(u.IdleGPUs, func(g *fleet.IdleGPU) idleGPUDoc {
				return idleGPUDoc{Node: g.Node, Index: g.Index, Job: g.Job, Since: stamp(g.Since), MemBytes: number(g.MemBytes)}
			})}
	}
	return out
}
