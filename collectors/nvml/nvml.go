// Package nvml is the collector's side of the NVIDIA readings. It starts foretop-nvml, the one program that calls into the driver's
// library, as a child process, reads what it says over a pipe, and always knows the child's condition in words. Where foretop-nvml
// cannot start (a glibc older than 2.17, musl, no such file) it streams `nvidia-smi` instead and says so.
//
// It never calls the driver itself (no cgo), never waits for a child without a deadline (a thread parked in the driver cannot be killed),
// never lets a child have the collector's own stdin, stdout or stderr, and never has two children that read the driver: a dead one is
// started again with backoff, a stuck one is left alone until it is dead. Nor does it start one beside another of the same user that is stuck, whoever
// started that, and be its collector long dead.
//
// The source "nvml" of package collectors calls it; foretop-nvml itself imports only the words of the pipe (package pipe).
package nvml

import (
	"time"

	"foretop/collectors/nvml/pipe"
	"foretop/telemetry"
)

// The pipe's words that are part of this package's own.
type (
	// Inventory is what the driver knows of this node's GPUs.
	Inventory = pipe.Inventory
	// GPU is what does not change of one GPU.
	GPU = pipe.GPU
	// Process is one compute process on one GPU.
	Process = pipe.Process
	// Event is what the driver reports of a GPU by itself.
	Event = pipe.Event
	// Health is the condition of the source. The numbers are those of facts.SourceState.
	Health = pipe.Health
)

// Conditions.
const (
	Unknown     = pipe.Unknown
	OK          = pipe.OK
	Unsupported = pipe.Unsupported
	Denied      = pipe.Denied
	Failing     = pipe.Failing
	Stuck       = pipe.Stuck
)

const (
	maxText = pipe.MaxText
	maxWord = pipe.MaxWord
)

// Report is the present condition of the source and what it last read.
type Report struct {
	Health Health
	Text   string // why Health is not OK, or what is noteworthy ("nvidia-smi is used: …"); fit to be shown
	Remedy string // what the user can do, where something is known
	Via    string // "nvml" or "nvidia-smi"

	// Inventory is nil before the first one; it is never written to again. Generation changes with it.
	Inventory  *Inventory
	Generation uint64

	// When the fast (telemetry.GroupGPU) and slow (GroupGPUSlow) readings, the traffic of links (GroupGPULinks) and the costs of calls (GroupCalls) were last
	// taken: CLOCK_MONOTONIC, 0 never.
	FastMS, SlowMS, LinksMS, CallsMS int64
	Rounds                           uint64        // how many samples were taken in: what the caller saw already has the same number
	Round                            time.Duration // what the last round of fast readings cost in wall time
	StuckFor                         time.Duration // how long nothing was heard, or a call did not return, when Health is Stuck

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
