// Package accelerators reads the accelerators that are not NVIDIA's: from the kernel's own files, from a local service of the vendor's runtime, or
// from the vendor's command, whose output is streamed. No SDK is linked. There is one file, or a few, a vendor, and one shape for all: what a
// kind does not have is absent.
//
// The package only reads. It connects to nothing but the machine itself (the TPU runtime's metric service), and starts a program only where a kind is
// read through one, once. Package collectors runs each [Kind] as a source of its own and merges what they say; nothing else calls this package.
package accelerators

import (
	"context"
	"io"
	"time"

	"foretop/collectors/kernfs"
	"foretop/telemetry"
	"foretop/telemetry/facts"
)

// Kind is one entry of the table: a family of accelerators that is read in one way.
type Kind struct {
	Name  string        // of the source
	Every time.Duration // how often it is read, at the usual pace
	New   func(Machine) Reader
}

// Kinds is the table. Its order is that in which accelerators are numbered where a machine has several kinds.
func Kinds() []Kind {
	return []Kind{
		{"amdgpu", time.Second, newAMD},
		{"intel_gpu", time.Second, newIntel},
		{"tpu", time.Second, newTPU},
		{"neuron", time.Second, newNeuron},
		{"gaudi", time.Second, newGaudi},
		{"ascend", time.Second, newAscend},
	}
}

// Machine is what a reader is given.
type Machine struct {
	Root kernfs.Root
	Mono func() int64 // the node's monotonic clock in ms
	// Start runs a program whose output is read as it comes. It gets no input; it ends with ctx. nil: the machine is played, and has no programs.
	Start func(ctx context.Context, name string, args ...string) (Program, error)
}

// Program is a program that runs.
type Program struct {
	Out  io.Reader
	Kill func()       // ends it without waiting
	End  func() error // waits for it once its output has ended; the error holds its last words
}

// Reader reads one kind. Its calls come from one goroutine.
type Reader interface {
	// Read takes one reading into what Reading gives. detail says that somebody looks at this node. What cannot be read is absent and told by the
	// error, a [*Condition] where the words are for the user; the rest is there. A kind that the machine does not have costs next to nothing.
	Read(ctx context.Context, detail bool) error
	// Reading is what the last Read left; it is valid until the next one.
	Reading() *Reading
	Close()
}

// Reading is the one shape in which every kind is told. Lists are never changed once they were given out: Generation grows when others take their place.
type Reading struct {
	Generation uint64
	GPUs       []*facts.GPU
	Parts      []*facts.GPUPart // their gpu is an index in GPUs
	Links      []*facts.GPULink // as well
	Unseen     []*facts.UnseenGPU

	// State has the scopes GPU, GPULink and GPUPart, with as many entities as the lists.
	State telemetry.State
	// When readings of a group were last taken, by the machine's Mono; 0: never.
	FastMS, SlowMS, LinksMS int64

	// Holders are the processes that hold an accelerator. A new slice whenever it changed.
	Holders []Holder
}

// Holder is a process that holds an accelerator. Its pid is that of the collector's own view.
type Holder struct {
	PID    int32
	GPU    uint32 // index in Reading.GPUs
	Part   uint32 // index in Reading.Parts plus one; 0: the whole of it, or unknown
	Memory uint64 // bytes
	Known  bool   // Memory is
}

// maxHolders bounds Reading.Holders of one kind.
const maxHolders = 4096

// Condition is an error by which a reader states itself in words for the user.
type Condition struct {
	State  facts.SourceState
	Text   string
	Remedy string
	Stuck  time.Duration // for how long a call has not returned, in state stuck
}

func (c *Condition) Error() string { return c.Text }

// Unsupported: the machine has no such thing. That is no fault.
func Unsupported(text string) error {
	return &Condition{State: facts.SourceState_SOURCE_UNSUPPORTED, Text: text}
}

// Denied: the thing is there and may not be read; remedy says by what it could be.
func Denied(text, remedy string) error {
	return &Condition{State: facts.SourceState_SOURCE_DENIED, Text: text, Remedy: remedy}
}

// Remark: all is well, and there is something to say.
func Remark(text string) error {
	return &Condition{State: facts.SourceState_SOURCE_OK, Text: text}
}
