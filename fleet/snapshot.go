package fleet

import (
	"cmp"
	"slices"
	"time"

	"foretop/jobs"
	"foretop/jobs/layout"
	"foretop/telemetry/facts"
)

// State says how a node is reached. It is always exactly one of these.
type State uint8

// States of a node, from not yet tried to live, and what can go wrong.
const (
	Waiting     State = iota // its turn to connect has not come
	Connecting               // dialling or authenticating
	NeedsTrust               // its host key is unknown, changed or revoked
	NeedsAuth                // no key that we have was accepted
	Refused                  // the node says no, in its own words
	Deploying                // the collector is being put there
	Live                     // samples arrive
	Stale                    // connected, or so it seems, but silent
	Lost                     // the connection ended or could not be made
	Misbehaving              // it broke the protocol
	NumStates
)

var stateWords = [NumStates]string{"waiting", "connecting", "needs-trust", "needs-auth", "refused", "deploying", "live", "stale", "lost", "misbehaving"}

func (s State) String() string {
	if s < NumStates {
		return stateWords[s]
	}
	return "unknown"
}

// Out says that the node was reached, or was tried, and cannot be watched.
func (s State) Out() bool { return s >= NeedsTrust && s != Deploying && s != Live }

// Pending says that the node may still become live without anybody doing anything.
func (s State) Pending() bool { return s == Waiting || s == Connecting || s == Deploying }

// Snapshot is the fleet at one moment. It and all it points to is immutable: readers hold no lock and may keep it.
type Snapshot struct {
	Sequence uint64
	At       time.Time
	Nodes    []*Node // ordered by name, numbers in names compared as numbers
	Jobs     []*Job  // worst first, then most GPUs, then name; ended ones last
	Pending  []*Job  // that wait for a scheduler to start them: the next first. The list is shared by snapshots
	// Incidents are what was found, folded: those that ask for somebody first, then worst first.
	Incidents []Incident
	Users     []*User // most GPUs held first
	// Schedulers are those that are asked.
	Schedulers []Scheduler
	Questions  []Question // that wait for a person, in the order in which they are to be answered
	Totals     Totals
	Empty      string // why no node is watched, where that is known and none is
	byName     map[string]*Node
}

// Node finds a node by the name that the user gave it; nil when there is none.
func (s *Snapshot) Node(name string) *Node {
	if s.byName == nil { // made by hand
		for _, n := range s.Nodes {
			if n.Name == name {
				return n
			}
		}
	}
	return s.byName[name]
}

// Job finds a job by its key; nil when there is none.
func (s *Snapshot) Job(key string) *Job {
	for _, j := range s.Jobs {
		if j.Key == key {
			return j
		}
	}
	for _, j := range s.Pending {
		if j.Key == key {
			return j
		}
	}
	return nil
}

// Process finds a rank's process, with what it uses now; nil when it is gone.
func (s *Snapshot) Process(r *Rank) *Process {
	n := s.byName[r.Node]
	if n == nil {
		return nil
	}
	i, ok := slices.BinarySearchFunc(n.Processes, r.PID, func(p *Process, pid int32) int { return cmp.Compare(p.Pid, pid) })
	for ; ok && i < len(n.Processes) && n.Processes[i].Pid == r.PID; i++ {
		if n.Processes[i].StartTicks == r.StartTicks {
			return n.Processes[i]
		}
	}
	return nil
}

// Totals counts the fleet.
type Totals struct {
	Nodes    int
	ByState  [NumStates]int
	GPUs     int // of nodes whose inventory is known
	GPUsHeld int // a process holds it
	GPUsIdle int // held, but below idleUtilPct for idleAfter
	GPUsBad  int // lost, failing or not answering
	Jobs     int // that run
	// KernelLogRead is how many live nodes let us read their kernel log: the others are "not checked", not "fine". Of XidRead ones we hear Xids, from
	// the log or from the driver itself (NVML's events), which tells nothing else that a log would.
	KernelLogRead, XidRead int
	Critical               int // problems on nodes and jobs, by severity
	Warning                int
	// KnownBad are problems on nodes that are out of service, so that somebody knows of them; they are not among the others.
	KnownBad int
	// Of nodes that a scheduler knows: Draining or Drained, and Down or not heard from by it.
	Drained, Down int
	Pending       int // jobs
}

// Severity ranks a problem.
type Severity uint8

const (
	Fine Severity = iota
	Notice
	Warning
	Critical
)

func (s Severity) String() string {
	return [...]string{"fine", "notice", "warning", "critical"}[min(s, Critical)]
}

// Problem is one thing that is wrong, or may be, with the evidence for it. Inference is worded as inference.
type Problem struct {
	Severity Severity
	Text     string    // short: "Xid 79 GPU3: fell off the bus"
	GPU      int       // index, -1 for none in particular
	Port     int       // index in Ports, -1
	Since    time.Time // zero when unknown
	Cause    Cause     // what it most likely comes from, of those that a kernel line tells
	Rule     string    // id of the rule that says so: "hw.xid"
	Evidence []string  // numbers and lines that show it, at most a few; clean
	Remedy   string    // what to do about it; may be ""
}

// Node is what is known of one node.
type Node struct {
	Name      string // as the user named it: the key everywhere
	State     State
	Cause     string // why it is not live, in words; "" when it is
	Remedy    string // what to do about it; may be ""
	Since     time.Time
	Attempt   int       // connection attempts since it was last live
	NextTry   time.Time // zero when none is planned
	Banner    string    // what the login printed before the stream, shortened
	HostKey   *HostKey  // that the host showed and that is not trusted, in NeedsTrust
	LastFrame time.Time // when a frame last arrived; zero: never
	LastData  time.Time // when a sample last arrived
	Via       string    // whose word this is where the node itself is not connected: "prometheus"; "" its own

	Hello     *facts.Hello     // nil before it said hello
	Inventory *facts.Inventory // nil before it was told
	Boot      time.Time        // zero when unknown

	Host          Host
	GPUs          []GPU
	Parts         []Part // of GPUs that are used in parts, by GPU
	Links         []Link // of GPUs to others, by GPU; empty but at detail level
	Calls         []Call // into drivers' libraries; empty but at detail level
	Ports         []Port
	Nets          []Net
	Disks         []Disk
	FS            []Filesystem
	Cores         []Core // empty but at detail level
	Sources       []Source
	Processes     []*Process
	ProcessesTold bool                  // false: the node has not said yet which there are
	Top           []*facts.ProcessUsage // busiest processes, detail level
	Kernel        []KernelLine          // the tail, oldest first
	KernelLost    uint64                // records the node lost before they were read
	KernelUntold  uint64                // records of a flood that were only counted: too many kinds of them
	XidEvents     bool                  // the driver tells Xids by itself, whether or not the kernel log may be read
	Problems      []Problem             // worst first
	Jobs          []string              // keys of jobs with ranks here
	Scheduled     []ScheduledNode       // as schedulers know it; nearly always at most one
	Self          Self
}

// Age is how old the node's data is at the snapshot's time; negative: it has none.
func (n *Node) Age(at time.Time) time.Duration {
	if n.LastData.IsZero() {
		return -1
	}
	return max(0, at.Sub(n.LastData))
}

// Worst is the node's worst problem, nil when it has none.
func (n *Node) Worst() *Problem {
	if len(n.Problems) == 0 {
		return nil
	}
	return &n.Problems[0]
}

// Host is the node's CPUs and memory. Shares are of all CPUs, in percent, over the last interval.
type Host struct {
	CPUBusyPct, CPUUserPct, CPUSystemPct, CPUIowaitPct, CPUStealPct Reading
	Load1, Load5, Load15                                            Reading
	// Share of time in which some, or all, tasks waited, in percent.
	PSICPUSomePct, PSIMemorySomePct, PSIMemoryFullPct, PSIIOSomePct, PSIIOFullPct Reading
	ProcsRunning, ProcsBlocked, Processes                                         Reading
	MemTotalBytes, MemAvailableBytes, MemUsedBytes                                Reading
	MemFreeBytes, MemCachedBytes, MemBuffersBytes, MemShmemBytes                  Reading
	MemDirtyBytes, MemSlabBytes                                                   Reading
	SwapTotalBytes, SwapUsedBytes                                                 Reading
	HugePagesTotal, HugePagesFree, HugePageBytes                                  Reading
	UptimeS                                                                       Reading
}

// Disk is one block device.
type Disk struct {
	Name, Model                   string
	SizeBytes                     Reading
	ReadBytesPerS, WriteBytesPerS Reading
	ReadsPerS, WritesPerS         Reading
	BusyPct                       Reading
}

// Filesystem is one mounted file system.
type Filesystem struct {
	Mount, Device, Type       string
	SizeBytes, AvailableBytes Reading
}

// Core is one logical CPU, in percent of it.
type Core struct{ BusyPct, SystemPct, IowaitPct Reading }

// Source is one source of readings on the node and how it does.
type Source struct {
	Name    string
	State   facts.SourceState
	Text    string
	Remedy  string
	CallUS  Reading // wall time of the last read
	StuckS  Reading // how long the present call has not returned
	EveryMS int64
}

// Self is what the collector itself costs.
type Self struct {
	CPUPct        Reading // of one core
	RSSBytes      Reading
	SentBytesPerS Reading
	// Every is how often it was asked for samples because its way here is slow, 0: as usual; Late is by how much the last one came late.
	Every, Late time.Duration
}

// Process is a process that holds an accelerator, or is a rank or launcher.
type Process struct {
	*facts.Process
	CPUPct  Reading // of one core; detail level
	RSS     Reading
	Threads Reading
	Status  string // R S D Z T
	Job     string // key of its job, ""
	Rank    int    // -1
	// Scheduler is the kind of scheduler that its job is of, by what it says itself; "" none.
	Scheduler string
}

// Job is what runs under one name on any number of nodes.
type Job struct {
	Key           string // unique: "slurm/8123", "torchrun/HASH"
	ID            string // as the person knows it: "8123"
	Name          string
	User          string
	Framework     string    // torchrun, mpi, …; "" unknown
	Libraries     []Library // versions of what its ranks have loaded, where they tell
	Scheduler     string    // slurm, kubernetes, ""
	Partition     string    // or namespace
	Account       string
	Asked         Asked
	Told          *Told    // what its scheduler says of it; nil unless Asked is AskedKnown
	Log           *LogTail // nil: not read
	Restarts      int
	Start         time.Time      // of its oldest rank; zero unknown
	EndLimit      time.Time      // when its time limit ends; zero unknown
	Ended         time.Time      // when its last process was seen to be gone; zero: it runs. Then Ranks and Nodes are those that it had, and it holds no GPU
	World         int            // ranks there should be; 0 unknown
	Ranks         []Rank         // those seen, by rank number
	Missing       []int          // ranks that should be there and are not seen, at most MaxMissing of them
	MissingN      int            // how many
	NodesPending  int            // nodes of the fleet that have not answered yet: missing ranks may be there
	Nodes         []string       // names of nodes with ranks of it
	Unwatched     []string       // hosts where it should be and that no node of the fleet is, by its scheduler's or launcher's names
	UnwatchedText string         // the same as a node set
	Leftovers     []Leftover     // by node
	GPUs          []GPURef       // devices that its ranks hold, or see, by rank
	Layout        *layout.Layout // where its ranks stand; nil unknown
	LayoutTrouble string         // why the layout cannot be told though something was said of it; ""
	State         JobState
	StateText     string // in words: the worst finding, or "running"; inference worded as inference
	Severity      Severity
	Findings      []Verdict // all that was found, in no order; StateText is the worst of it

	// Means over its GPUs, of those that are known; sums for traffic and memory.
	PowerPct, UtilPct, TensorPct, SMPct, MemPct, TempC, ClockPct Reading
	MemUsedBytes, MemTotalBytes                                  Reading
	NetBytesPerS                                                 Reading
	IdleGPUs                                                     int
}

// MaxMissing bounds Job.Missing.
const MaxMissing = 64

// JobState is a job's condition in one word.
type JobState uint8

const (
	JobRunning   JobState = iota
	JobStarting           // ranks are still appearing
	JobPartial            // some ranks are not seen
	JobIdle               // it holds GPUs and uses none
	JobSuspect            // something is wrong, perhaps: see StateText
	JobUnchecked          // its nodes are not live
	JobEnded              // its processes are gone, not long ago
	JobPending            // it waits for its scheduler to start it
	JobUnseen             // its scheduler says that it runs, and no process of it is seen
)

// Rank is one rank of a job as seen on a node; [Snapshot.Process] finds its process.
type Rank struct {
	Rank, LocalRank int // LocalRank -1: unknown
	Node            string
	PID             int32
	StartTicks      uint64
	GPUs            []int       // indices on its node
	Inferred        bool        // its number was found by how it was started: it does not say it itself
	Task            string      // in its framework's words: "chief 0", "worker 3"; "" none
	Pod             string      // name of its pod, or the beginning of its container's id; "" in none
	InnerPID        int32       // its number in its container; 0 the same
	Orphan          jobs.Orphan // why it should not be there any more
}

// Library is a version of a library and how many ranks of a job have loaded it; the one that most have comes first of those of one name.
type Library struct {
	Name, Version string
	Ranks         int
	Node          string // of the first of these
}

// Leftover is a process of a job that has no business any more on the GPUs that it holds.
type Leftover struct {
	Node       string
	PID        int32
	StartTicks uint64
	GPUs       int // that it holds
	Why        jobs.Orphan
}

// GPURef names a GPU and the rank on it.
type GPURef struct {
	Node  string
	Index int
	Rank  int // -1: none known
	GPU   *GPU
	State State // of its node
	Empty bool  // its scheduler gave it to the job a while ago, and no process holds it
}
