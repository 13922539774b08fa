package export

import (
	"time"

	"foretop/fleet"
	"foretop/telemetry/facts"
)

type nodeDoc struct {
	Name         string         `json:"name"`
	State        string         `json:"state"`
	Cause        word           `json:"cause"`
	Remedy       word           `json:"remedy"`
	Since        stamp          `json:"state_since"`
	AgeS         number         `json:"age_seconds"`
	Attempt      int            `json:"connect_attempts"`
	NextTry      stamp          `json:"next_attempt"`
	Banner       word           `json:"login_banner"`
	Boot         stamp          `json:"boot_time"`
	Identity     *identityDoc   `json:"identity"`
	Inventory    *inventory     `json:"inventory"`
	Host         hostDoc        `json:"host"`
	GPUs         []gpuDoc       `json:"gpus"`
	Unseen       []unseenDoc    `json:"unseen_gpus"`
	Ports        []portDoc      `json:"rdma_ports"`
	Nets         []netDoc       `json:"network_interfaces"`
	Disks        []diskDoc      `json:"disks"`
	FS           []fsDoc        `json:"filesystems"`
	Processes    []processDoc   `json:"processes"`
	Kernel       []kernelDoc    `json:"kernel_log"`
	KernelLost   uint64         `json:"kernel_log_records_lost"`
	KernelUntold uint64         `json:"kernel_log_records_only_counted"`
	XidEvents    bool           `json:"xid_events"`
	Sources      []sourceDoc    `json:"sources"`
	Calls        []callDoc      `json:"driver_calls"`
	Problems     []problemDoc   `json:"problems"`
	Jobs         []string       `json:"jobs"`
	Scheduled    []scheduledDoc `json:"scheduled"`
	CollectorUse selfDoc        `json:"collector"`
}

type identityDoc struct {
	Hostname  string `json:"hostname"`
	BootID    string `json:"boot_id"`
	MachineID string `json:"machine_id"`
	OS        string `json:"os"`
	Kernel    string `json:"kernel"`
	Arch      string `json:"arch"`
	User      string `json:"collector_user"`
	Build     string `json:"collector_version"`
}

type inventory struct {
	Product     string `json:"product"`
	CPUModel    string `json:"cpu_model"`
	CPUSockets  uint32 `json:"cpu_sockets"`
	CPUCores    uint32 `json:"cpu_cores"`
	CPUThreads  uint32 `json:"cpu_threads"`
	NUMANodes   uint32 `json:"numa_nodes"`
	MemoryBytes uint64 `json:"memory_total_bytes"`
	GPUDriver   string `json:"gpu_driver_version"`
	CUDA        string `json:"cuda_version"`
}

type selfDoc struct {
	CPUPct        number `json:"cpu_percent_of_core"`
	RSSBytes      number `json:"rss_bytes"`
	SentBytesPerS number `json:"sent_bytes_per_second"`
}

type sourceDoc struct {
	Name    string `json:"name"`
	State   word   `json:"state"`
	Text    word   `json:"text"`
	Remedy  word   `json:"remedy"`
	EveryMS int64  `json:"every_milliseconds"`
	CallUS  number `json:"call_microseconds"`
	StuckS  number `json:"stuck_seconds"`
}

type problemDoc struct {
	Severity string `json:"severity"`
	Text     string `json:"text"`
	GPU      index  `json:"gpu"`
	Port     index  `json:"rdma_port"`
	Since    stamp  `json:"since"`
}

type processDoc struct {
	PID        int32             `json:"pid"`
	StartTicks uint64            `json:"start_ticks"`
	PPID       int32             `json:"ppid"`
	UID        uint32            `json:"uid"`
	User       string            `json:"user"`
	Comm       string            `json:"comm"`
	Command    string            `json:"command"`
	Cgroup     string            `json:"cgroup"`
	Cwd        word              `json:"cwd"`
	Start      stamp             `json:"start"`
	State      word              `json:"state"`
	CPUPct     number            `json:"cpu_percent_of_core"`
	RSSBytes   number            `json:"rss_bytes"`
	Threads    number            `json:"threads"`
	Job        word              `json:"job"`
	Rank       index             `json:"rank"`
	Launcher   bool              `json:"launcher"`
	Versions   word              `json:"versions"`
	EnvState   word              `json:"environment_state"`
	Env        map[string]string `json:"environment"`
	GPUs       []heldDoc         `json:"gpus"`
}

type heldDoc struct {
	Index    uint32 `json:"index"`
	Part     index  `json:"part"`
	MemBytes number `json:"mem_used_bytes"`
}

func nodeOf(n *fleet.Node, at time.Time) nodeDoc {
	age := n.Age(at)
	return nodeDoc{
		Name: n.Name, State: n.State.String(), Cause: word(n.Cause), Remedy: word(n.Remedy), Since: stamp(n.Since), AgeS: known(age.Seconds(), age >= 0),
		Attempt: n.Attempt, NextTry: stamp(n.NextTry), Banner: word(n.Banner), Boot: stamp(n.Boot),
		Identity: identityOf(n.Hello), Inventory: inventoryOf(n.Inventory), Host: hostOf(n),
		GPUs: gpusOf(n), Unseen: unseenOf(n), Ports: listOf(n.Ports, portOf), Nets: listOf(n.Nets, netOf), Disks: listOf(n.Disks, diskOf), FS: listOf(n.FS, fsOf),
		Processes: listOf(n.Processes, func(p **fleet.Process) processDoc { return processOf(n, *p) }), Kernel: listOf(n.Kernel, kernelOf), KernelLost: n.KernelLost, KernelUntold: n.KernelUntold, XidEvents: n.XidEvents,
		Sources: listOf(n.Sources, sourceOf), Calls: callsOf(n), Jobs: orEmpty(n.Jobs),
		Scheduled: listOf(n.Scheduled, scheduledOf),
		Problems: listOf(n.Problems, func(p *fleet.Problem) problemDoc {
			return problemDoc{p.Severity.String(), p.Text, index(p.GPU), index(p.Port), stamp(p.Since)}
		}),
		CollectorUse: selfDoc{number(n.Self.CPUPct), number(n.Self.RSSBytes), number(n.Self.SentBytesPerS)},
	}
}

func identityOf(h *facts.Hello) *identityDoc {
	if h == nil {
		return nil
	}
	return &identityDoc{h.Hostname, h.BootId, h.MachineId, h.Os, h.Kernel, h.Arch, h.User, h.Build}
}

func inventoryOf(v *facts.Inventory) *inventory {
	if v == nil {
		return nil
	}
	c := v.GetCpu()
	return &inventory{v.Product, c.GetModel(), c.GetSockets(), c.GetCores(), c.GetThreads(), c.GetNumaNodes(), v.MemoryTotalBytes, v.GpuDriverVersion, v.CudaVersion}
}

func sourceOf(s *fleet.Source) sourceDoc {
	return sourceDoc{s.Name, sourceState(s.State), word(s.Text), word(s.Remedy), s.EveryMS, number(s.CallUS), number(s.StuckS)}
}

func processOf(n *fleet.Node, p *fleet.Process) processDoc {
	d := processDoc{
		PID: p.Pid, StartTicks: p.StartTicks, PPID: p.Ppid, UID: p.Uid, User: p.User, Comm: p.Comm, Command: p.Command, Cgroup: p.Cgroup, Cwd: word(p.Cwd),
		State: word(p.Status), CPUPct: number(p.CPUPct), RSSBytes: number(p.RSS), Threads: number(p.Threads), Job: word(p.Job), Rank: index(p.Rank),
		Launcher: p.Launcher, Versions: word(p.Versions), EnvState: environState(p.EnvState), Env: p.Env, GPUs: make([]heldDoc, len(p.Held)),
	}
	if p.StartWallMs > 0 {
		d.Start = stamp(time.UnixMilli(p.StartWallMs))
	}
	if d.Env == nil {
		d.Env = map[string]string{}
	}
	for i, h := range p.Held {
		d.GPUs[i] = heldDoc{h.Gpu, partIndex(n, h), known(float64(h.MemoryBytes), h.MemoryKnown)}
	}
	return d
}

// partIndex is the place of a held part among its GPU's parts; -1: the whole GPU is held, or nobody knows.
func partIndex(n *fleet.Node, h *facts.Held) index {
	if n.Inventory == nil || h.Part == 0 || int(h.Part) > len(n.Inventory.GpuParts) {
		return -1
	}
	at := index(0)
	for _, p := range n.Inventory.GpuParts[:h.Part-1] {
		if p.Gpu == h.Gpu {
			at++
		}
	}
	return at
}
