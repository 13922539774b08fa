// Package schedulers says what a cluster's scheduler knows: its nodes and its jobs, in one shape for all kinds. Each kind has a package of its own below this
// one. A scheduler is asked seldom and by one poller, or watched where it can tell by itself; what it said last stays true, with its age, while it does not answer.
//
// It knows neither the fleet nor a screen. Everything in it comes from another machine: kinds bound it and strip control characters before they tell it.
package schedulers

import (
	"context"
	"errors"
	"slices"
	"strconv"
	"time"
)

// Picture is what a scheduler knows at one moment. Who receives it changes none of it.
//
// A picture holds on until the next one is told: without a Problem it is still true, with one it is as old as At.
type Picture struct {
	Kind    string        // slurm, kubernetes
	Cluster string        // its own name of the cluster, or the name of the context; "" unknown
	Version string        // of the scheduler; "" unknown
	At      time.Time     // when the scheduler said it; zero: it never did
	Every   time.Duration // how often it is asked; 0: it tells by itself
	Nodes   []Node        // by name
	Jobs    []Job         // by key
	Cut     int           // jobs beyond MaxJobs that are not told
	Whole   bool          // every job that ran at that time is in Jobs: one that is not has ended
	Unseen  []string      // what this user may not see, in words: "nodes: forbidden"; nil: nothing is known to be hidden
	Problem *Problem      // nil: it answers
}

// Bounds of a picture.
const (
	MaxNodes = 1 << 16
	MaxJobs  = 1 << 17
	MaxText  = 1 << 10 // bytes of one string
)

// Problem is why a scheduler does not answer.
type Problem struct {
	Text   string    // its own words, or the system's
	Remedy string    // "" none is known
	Since  time.Time // of the first try that failed
}

// Node is a machine as its scheduler knows it.
type Node struct {
	Name       string   // the scheduler's own, the only one to act on
	Hostname   string   // "" unknown
	Addresses  []string // host names and IP addresses, as the scheduler reaches it
	MachineID  string   // /etc/machine-id, of Kubernetes; "" unknown
	BootID     string   // the same of its boot id
	Partitions []string // of Slurm
	Condition  Condition
	State      string            // in the scheduler's words: "MIXED+DRAIN", "Ready,SchedulingDisabled"
	Flags      []string          // State in parts
	Reason     string            // why it is in that state, as somebody wrote it
	ReasonBy   string            // who wrote it
	ReasonAt   time.Time         // when
	GPUs       int               // accelerators that it has; -1 unknown
	GPUsUsed   int               // of these given to jobs; -1 unknown
	GPUModel   string            // "h100"; "" unknown
	BootAt     time.Time         // zero unknown
	Labels     map[string]string // of Kubernetes; of Slurm "topology"
}

// Condition is what a node's state means to somebody who wants to run on it.
type Condition uint8

// Conditions, from good to bad.
const (
	Unknown     Condition = iota
	Usable                // new work may start
	Reserved              // for somebody: a reservation, planned maintenance
	Starting              // powered down or booting, comes when needed
	Draining              // runs on, takes nothing new
	Drained               // runs nothing, takes nothing new
	Unreachable           // the scheduler does not hear from it
	Down
)

var conditionWords = [...]string{"unknown", "usable", "reserved", "starting", "draining", "drained", "unreachable", "down"}

func (c Condition) String() string {
	if int(c) < len(conditionWords) {
		return conditionWords[c]
	}
	return conditionWords[Unknown]
}

// Job is one job, array element, part of a heterogeneous job, or workload object, as its scheduler knows it.
type Job struct {
	Key        string // as the key of a jobs.Job: "slurm/8123", "kubernetes/NAMESPACE/KIND/NAME"
	ID         string // as the person types it: "8123", "8123_4", "8123+1", "NAMESPACE/NAME"
	Name       string
	User       string // who the person would recognise
	Account    string
	Partition  string // or the namespace
	QOS        string
	Phase      Phase
	State      string // in the scheduler's words
	Reason     string // why it waits, or how it ended
	SubmitAt   time.Time
	StartAt    time.Time        // of a pending job: when the scheduler expects it to start; zero unknown
	EndAt      time.Time        // of an ended one; zero: it has not ended
	LimitAt    time.Time        // when its time is up; zero: never, or unknown
	Nodes      []string         // that it runs on, by the scheduler's names
	NodesN     int              // that it has or wants
	Tasks      int              // 0 unknown
	GPUs       int              // that it has or wants; -1 unknown
	GPUsOn     map[string][]int // which GPUs of a node, by index, where the scheduler tells
	Restarts   int
	ExitCode   string // of an ended one: "1:0", "OOMKilled"; "" unknown
	Command    string
	WorkDir    string
	LogFile    string // its standard output, patterns filled in; "" unknown
	Pods       []Pod  // of Kubernetes
	SLUID      string // of Slurm from 26.05 on
	Dependency string
}

// Phase is where a job is in its life.
type Phase uint8

// Phases.
const (
	PhaseUnknown Phase = iota
	Pending
	Running
	Suspended
	Completing // ends, and still holds its nodes
	Ended
)

var phaseWords = [...]string{"unknown", "pending", "running", "suspended", "completing", "ended"}

func (p Phase) String() string {
	if int(p) < len(phaseWords) {
		return phaseWords[p]
	}
	return phaseWords[PhaseUnknown]
}

// Pod is one pod of a job.
type Pod struct {
	UID        string // with hyphens, as the API writes it
	Name       string
	Node       string   // "" not scheduled yet
	Index      int      // which of the job's pods, as its operator counts them; -1 unknown
	Role       string   // "Worker", "launcher", a replicated job's name; ""
	Containers []string // ids without the runtime's prefix
}

// Scheduler is one cluster's. It serves one reader.
type Scheduler interface {
	// Kind is slurm or kubernetes.
	Kind() string
	// Watch tells a picture at once when there is one, and then each that differs, until ctx ends; what fails is told in the picture too.
	Watch(ctx context.Context, tell func(*Picture))
	// Hurry asks for a new picture soon, as after an action. It never makes the scheduler be asked faster than its bound.
	Hurry()
}

// Runner runs a command where a scheduler's own programs are: here, or on a login node. argv[0] is found in PATH. What it prints on standard output is
// bounded by limit bytes: more is ErrTooMuch. A command that ran and failed is an *ExitError, beside what it had printed.
type Runner interface {
	Run(ctx context.Context, limit int, argv ...string) (stdout []byte, err error)
	// Where it runs, as a person would say: "here", or the node's name.
	Where() string
}

// ErrTooMuch is a command that printed more than it may.
var ErrTooMuch = errors.New("the answer is too long")

// ExitError is a command that ran and failed.
type ExitError struct {
	Status int    // 127: there is no such program
	Words  string // what it said on standard error, bounded by MaxText
}

func (e *ExitError) Error() string {
	if e.Words == "" {
		return "exit status " + strconv.Itoa(e.Status)
	}
	return e.Words
}

// JobsOf are the jobs of a person, as the scheduler knows their name; none of an unnamed one.
func (p *Picture) JobsOf(user string) []Job {
	var out []Job
	for _, j := range p.Jobs {
		if user != "" && j.User == user {
			out = append(out, j)
		}
	}
	return out
}

// NodesOf are the names of the nodes that a person's jobs hold now, in order.
func (p *Picture) NodesOf(user string) []string {
	var out []string
	for _, j := range p.JobsOf(user) {
		if j.Phase == Running || j.Phase == Suspended || j.Phase == Completing {
			out = append(out, j.Nodes...)
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}
