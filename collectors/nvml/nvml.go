// Package nvml is the collector's side of the NVIDIA readings. It starts foretop-nvml, the one program that calls into the driver's
// library, as a child process, reads what it says over a pipe, and always knows the child's condition in words. Where foretop-nvml
// cannot start (a glibc older than 2.17, musl, no such file) it streams `nvidia-smi` instead and says so.
//
// It never calls the driver itself (no cgo), never waits for a child without a deadline (a thread parked in the driver cannot be killed),
// never lets a child have the collector's own stdin, stdout or stderr, and never has two children that read the driver: a dead one is
// started again with backoff, a stuck one is left alone until it is dead.
//
// The source "nvml" of package collectors calls it; foretop-nvml uses the pipe's words (pipe.go).
package nvml

import (
	"time"

	"foretop/telemetry"
)

// Health is the condition of the source. The numbers are those of facts.SourceState.
type Health uint8

// Conditions.
const (
	Unknown     Health = 0 // nothing was heard yet
	OK          Health = 1
	Unsupported Health = 2 // no driver, no GPU
	Denied      Health = 3 // the driver refuses this user
	Failing     Health = 4
	Stuck       Health = 5 // in a call that does not return
)

// Bounds on what a child may say.
const (
	MaxGPUs      = 64
	MaxProcesses = 4096
	maxText      = 300
	maxWord      = 96
)

// Inventory is what the driver knows of this node's GPUs. The index in GPUs is the entity of telemetry.ScopeGPU, and keeps its meaning as
// long as the source lives: a GPU that falls off the bus keeps its place.
type Inventory struct {
	Driver string `json:"driver"` // 550.90.07
	CUDA   string `json:"cuda"`   // newest CUDA that the driver runs: 12.4
	NVML   string `json:"nvml"`
	GPUs   []GPU  `json:"gpus"`
}

// GPU is what does not change of one GPU.
type GPU struct {
	UUID              string `json:"uuid"`
	Name              string `json:"name"`
	PCI               string `json:"pci"`   // dddd:bb:dd.f, lower case
	Minor             int    `json:"minor"` // N of /dev/nvidiaN; -1 unknown
	Serial            string `json:"serial,omitempty"`
	VBIOS             string `json:"vbios,omitempty"`
	ComputeCapability string `json:"cc,omitempty"`   // 9.0
	NUMANode          int    `json:"numa"`           // of the GPU's PCI device; -1 unknown
	MIG               bool   `json:"mig,omitempty"`  // MIG mode is on
	MemoryBytes       uint64 `json:"mem,omitempty"`  // total; 0 unknown
	Note              string `json:"note,omitempty"` // why its status is not telemetry.GPUOK
}

// Process is one compute process on one GPU. Pids are those of the host's namespace.
type Process struct {
	PID         int    `json:"pid"`
	GPU         int    `json:"gpu"` // index in Inventory.GPUs
	MemoryBytes uint64 `json:"mem,omitempty"`
	MemoryKnown bool   `json:"known,omitempty"`
	GPUInstance int    `json:"gi"` // MIG; -1 none
}

// Report is the present condition of the source and what it last read.
type Report struct {
	Health Health
	Text   string // why Health is not OK, or what is noteworthy ("nvidia-smi is used: …"); fit to be shown
	Remedy string // what the user can do, where something is known
	Via    string // "nvml" or "nvidia-smi"

	// Inventory is nil before the first one; it is never written to again. Generation changes with it.
	Inventory  *Inventory
	Generation uint64

	// FastMS and SlowMS are when the fast (telemetry.GroupGPU) and slow (GroupGPUSlow) readings were last taken: CLOCK_MONOTONIC, 0 never.
	FastMS, SlowMS int64
	Rounds         uint64        // how many samples were taken in: what the caller saw already has the same number
	Round          time.Duration // what the last round of fast readings cost in wall time
	StuckFor       time.Duration // how long nothing was heard, or a call did not return, when Health is Stuck

	// Processes is never written to again; nil with ProcessesKnown false where the driver did not tell.
	Processes      []Process
	ProcessesKnown bool

	PID int // the child, 0 none: its CPU and memory are part of the collector's cost
}

// words are a Health with its reason.
type words struct {
	health       Health
	text, remedy string
}

func clean(s string, n int) string { return telemetry.Clean(s, n) }
