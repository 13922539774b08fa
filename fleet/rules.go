package fleet

import "time"

// Rules judge the fleet. They stand above this package (in findings) and are injected, so that the state knows no verdicts. All are pure over what they
// are given, called from one goroutine at a time per subject, and may be nil.
type Rules struct {
	// Kernel reads one kernel line.
	Kernel func(text string) KernelClass
	// Node lists what is wrong on a node, worst first.
	Node func(n *Node, at time.Time, m *Memory) []Problem
	// Job says how a job does, and puts all that it finds into j.Findings. j's ranks, devices and means are filled in; nodes are found by name.
	Job func(j *Job, nodes func(name string) *Node, at time.Time, m *Memory) Verdict
	// Fleet holds nodes against one another, every few seconds, and lists by node what is unlike its peers. Node is given it as Node.Unlike.
	Fleet func(s *Snapshot, at time.Time, m *Memory) map[string][]Problem
	// Incidents folds what was found in a snapshot into incidents. before are those of the snapshot before it, which nobody may change.
	Incidents func(s *Snapshot, before []Incident) []Incident
}

// KernelClass is what a kernel line says.
type KernelClass struct {
	Severity Severity `json:",omitzero"`
	Cause    Cause    `json:",omitzero"`
	Follows  bool     `json:",omitzero"` // it tells more of the line before it, of the same kind and device: it is no event of its own
	Kind     string   `json:",omitzero"` // xid, oom, link, …; "" for an ordinary line
	Text     string   `json:",omitzero"` // in short words: "subject: what"
	Detail   string   `json:",omitzero"` // more of what the line tells, in words
	Action   string   `json:",omitzero"` // what to do about it
	PCI      string   `json:",omitzero"` // dddd:bb:dd.f of the device it names, "" for none
	Device   string   `json:",omitzero"` // the name of one: nvme0, mlx5_0, eth0, md0, sda
	Process  string   `json:",omitzero"` // comm of the process it names
	PID      int32    `json:",omitzero"` // and its number; 0: none
	Cgroup   string   `json:",omitzero"`
	Xid      int      `json:",omitzero"` // 0: none
	SXid     int      `json:",omitzero"`
	Unit     string   `json:",omitzero"` // of an Xid of NVLink 5: NETIR_LINK_EVT
	Subcode  int      `json:",omitzero"` // where Unit is: bits 20 to 25 of its intrinfo
	MIG      int      `json:",omitzero"` // GPU instance, plus one; 0: the whole GPU
	MIGPart  int      `json:",omitzero"` // compute instance, plus one
}

// Cause is what a fault most likely comes from.
type Cause uint8

const (
	CauseUnknown Cause = iota
	Hardware
	Driver
	Application
	Environment // power, cooling, cables, servers elsewhere
)

func (c Cause) String() string {
	return [...]string{"unknown", "hardware", "driver", "application", "environment"}[min(c, Environment)]
}

// Verdict is a job's condition.
type Verdict struct {
	State    JobState
	Severity Severity
	Text     string
	Rule     string    // id of the rule that says so: "job.hang"
	Since    time.Time // zero when unknown
	Evidence []string  // numbers and lines that show it, at most a few; clean
	Remedy   string    // what to do about it; may be ""
	Suspects []Suspect // whom it accuses, the likeliest first; nil: nobody
}

// Memory is where rules keep what they remember of one subject, a node, a job or the fleet, from one look to the next. What is kept there, and in which form, is
// theirs alone; it goes when the subject goes.
type Memory struct{ Kept any }
