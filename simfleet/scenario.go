package simfleet

import (
	_ "embed"
	"time"
)

// Scenario says which faults come over a fleet, and when. It is checked when it is parsed; see [Parse] for the format.
type Scenario struct {
	Name   string
	Repeat time.Duration // after which it starts again, everything healed; 0: it happens once
	Faults []Fault       // and phases
}

// Kind is what goes wrong.
type Kind string

// Kinds of faults, as scenario files name them.
const (
	NodeDies           Kind = "node-dies"           // connections end, the port refuses; heals by a reboot
	NodeFreezes        Kind = "node-freezes"        // the collector says nothing, SSH still answers
	HalfOpen           Kind = "half-open"           // packets vanish: nothing is read or written any more
	SlowLink           Kind = "slow-link"           // the way to the node carries bytes_per_second only
	KernelLogDenied    Kind = "kernel-log-denied"   // the collector may not read the kernel log
	GPULost            Kind = "gpu-lost"            // Xid 79: fallen off the bus; its job hangs
	ThermalThrottle    Kind = "thermal-throttle"    // a GPU overheats and clocks down; its job slows with it
	ECC                Kind = "ecc"                 // Xid 94 and 63: an uncorrectable error, contained; the job restarts
	RowRemap           Kind = "row-remap"           // Xid 63: a row is marked for remapping, nothing else happens
	RecoveryAction     Kind = "recovery-action"     // Xid 154: the driver asks for the GPU to be drained and reset
	SRAMThreshold      Kind = "sram-threshold"      // so many SRAM errors that the maker replaces the board
	NVLinkDown         Kind = "nvlink-down"         // Xid 74: one link of a GPU is down
	FabricUnregistered Kind = "fabric-unregistered" // a GPU could not join the NVSwitches
	GPUsHidden         Kind = "gpus-hidden"         // the collector's user is shown half of the GPUs
	LinkFlap           Kind = "link-flap"           // a port goes down and up again, some times
	Straggler          Kind = "straggler"           // one rank is slower, its peers wait
	NodeSlow           Kind = "node-slow"           // all ranks of a node are slower, their peers wait
	CPUSteal           Kind = "cpu-steal"           // another machine takes a node's CPUs: its GPUs have gaps
	NICSlow            Kind = "nic-slow"            // a port runs at half its rate: its rank communicates longer
	RankStopped        Kind = "rank-stopped"        // a rank's process is stopped as by SIGSTOP; its job hangs
	Dataloader         Kind = "dataloader"          // the data loaders of a job cannot keep up
	CheckpointStall    Kind = "checkpoint-stall"    // a checkpoint does not end: one node cannot write
	MemoryCreep        Kind = "memory-creep"        // memory fills, of a GPU or of the host
	Hang               Kind = "hang"                // a job stops for no cause that can be seen
	OOMKill            Kind = "oom-kill"            // host memory runs out, the kernel kills a rank, the job starts again
)

// Kinds of phases: what jobs do on a healthy day beside their steps.
const (
	Evaluation     Kind = "evaluation"      // all ranks evaluate: less power, no traffic
	SoloEvaluation Kind = "solo-evaluation" // one rank evaluates, the others wait for it in a collective
	Compilation    Kind = "compilation"     // all ranks compile: CPUs work, GPUs do nothing
	Checkpoint     Kind = "checkpoint"      // all ranks save
	SoloCheckpoint Kind = "solo-checkpoint" // one rank saves, the others wait for it in a collective
	Away           Kind = "away"            // the job's processes are gone; then they start anew
)

// kinds lists what each kind of fault needs and takes beside at, for and a target.
var kinds = map[Kind]struct {
	gpu, port, factor, rate, flaps, restart, reboot bool
	job                                             bool // it needs a job to fall upon
	always                                          bool // it lasts from the beginning to the end
	phase                                           bool // it is no fault
	loose                                           bool // gpu may be left out, and then it is of none in particular
}{
	NodeDies: {}, NodeFreezes: {}, HalfOpen: {}, KernelLogDenied: {},
	SlowLink:        {rate: true},
	GPULost:         {gpu: true, reboot: true},
	ThermalThrottle: {gpu: true, factor: true},
	ECC:             {gpu: true},
	RowRemap:        {gpu: true},
	RecoveryAction:  {gpu: true}, SRAMThreshold: {gpu: true}, NVLinkDown: {gpu: true}, FabricUnregistered: {gpu: true},
	GPUsHidden: {always: true},
	LinkFlap:   {port: true, flaps: true},
	Straggler:  {gpu: true, factor: true, job: true},
	NodeSlow:   {factor: true, job: true}, CPUSteal: {factor: true, job: true}, NICSlow: {port: true, factor: true, job: true},
	RankStopped: {gpu: true, job: true}, Dataloader: {factor: true, job: true}, CheckpointStall: {job: true},
	MemoryCreep: {gpu: true, loose: true},
	Hang:        {gpu: true, restart: true, job: true, loose: true},
	OOMKill:     {job: true},
	Evaluation:  {job: true, phase: true}, SoloEvaluation: {job: true, phase: true}, Compilation: {job: true, phase: true},
	Checkpoint: {job: true, phase: true}, SoloCheckpoint: {job: true, phase: true}, Away: {job: true, phase: true},

	PCIeNarrow: {gpu: true},
	SlowClock:  {gpu: true, factor: true},
	OldDriver:  {always: true},
	PortSlow:   {port: true},
	WrongNIC:   {job: true},
	ClockSkew:  {}, MemoryErrors: {}, FSHung: {}, DiskFull: {},
}

// Fault is one thing that goes wrong, or a phase of a job.
type Fault struct {
	At   time.Duration // since the scenario started, or started again
	For  time.Duration // 0: until the scenario ends or starts again
	Kind Kind

	// Where: Node, or the member-th node of Job. A number counts nodes (or the job's nodes) from 0 and goes round: 5 of 4 nodes is 1.
	Node   string // name or number; "" when Job says where
	Job    string // the job's role or name
	Member int

	GPU            int     // index on the node; -1: none in particular (hang, memory-creep)
	Port           int     // index in the inventory's ports
	Factor         float64 // straggler, thermal-throttle: how many times as long a step takes
	Flaps          int     // link-flap: how often
	BytesPerSecond int     // slow-link
	Restart        bool    // hang: the job is started anew at the end instead of going on
	Reboot         bool    // gpu-lost: the node reboots in the last rebootLength, as the driver asks for

	Line int // in the file, for messages
}

//go:embed demo.yaml
var demoYAML []byte

// Demo is the scenario of `foretop demo`: something happens within the first ten seconds, then every half minute, and all of it heals.
func Demo() *Scenario {
	s, err := Parse("demo.yaml", demoYAML)
	if err != nil {
		panic(err) // embedded, and parsed by a test
	}
	return s
}

// Healthy is the scenario in which nothing goes wrong.
func Healthy() *Scenario { return &Scenario{Name: "healthy"} }

// DemoSource is the text of the embedded scenario: the example to start one's own from.
func DemoSource() []byte { return append([]byte(nil), demoYAML...) }
