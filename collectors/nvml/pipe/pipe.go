// Package pipe holds the words between foretop-nvml and the collector, which starts it as a child: telemetry's frames, over the child's standard
// output and, the other way, its standard input.
//
// To the collector go samples (telemetry.Encoder over a State with the scopes GPU and Group, everything at detail level) and the types of this package.
// To foretop-nvml go [Settings]; end of input means exit. A frame of some kind comes at least once a second, also while a call into the
// driver does not return. It is a package of its own so that the reader links nothing of what starts it.
package pipe

import (
	"fmt"
	"math"

	"foretop/telemetry"
)

// Kinds of frames.
const (
	KindInventory = telemetry.KindInventory
	KindSample    = telemetry.KindSample
	KindProcesses = telemetry.KindProcesses
	KindStatus    = telemetry.KindSourceNotes
	KindSettings  = telemetry.KindControl // to the reader

	// MaxFrame bounds a frame on the pipe.
	MaxFrame = telemetry.MaxFrameBytes
)

// Settings start the reader; later ones change its pace.
type Settings struct {
	FastMS      int    // a round of fast readings; 0 the usual
	SlowMS      int    // ECC, remapped rows, PCIe link
	ProcessesMS int    // which processes hold a GPU
	ReinitMS    int    // how soon after a GPU was lost the library is initialised again, the first time
	Sys         string // where sysfs is mounted
	Known       []GPU  // the GPUs of an earlier run, in their order, so that each keeps its index
}

// Status is the reader's own condition. With health unknown it says only that the reader is alive.
type Status struct {
	Health  Health
	Text    string
	Remedy  string
	Call    string // the call that is not back yet, when it is late
	GPU     int    // the GPU that it is on; -1 none
	ForMS   int64  // how long it has been out
	RoundUS int64  // wall time of the last round of fast readings
}

// Processes is the list of all compute processes.
type Processes struct {
	Known     bool // false: no GPU told
	Processes []Process
}

// Append appends the payload of a KindSettings frame.
func (v Settings) Append(dst []byte) []byte {
	for _, n := range []int{v.FastMS, v.SlowMS, v.ProcessesMS, v.ReinitMS} {
		dst = appendInt(dst, int64(n))
	}
	return appendGPUs(appendString(dst, v.Sys), v.Known)
}

// ParseSettings reads a KindSettings payload.
func ParseSettings(b []byte) (Settings, error) {
	s := scan{b: b}
	v := Settings{FastMS: s.small(), SlowMS: s.small(), ProcessesMS: s.small(), ReinitMS: s.small(), Sys: s.text(math.MaxInt16), Known: s.gpus()}
	return v, wrap("settings", s.end())
}

// Append appends the payload of a KindInventory frame.
func (v Inventory) Append(dst []byte) []byte {
	for _, s := range []string{v.Driver, v.CUDA, v.NVML} {
		dst = appendString(dst, s)
	}
	return appendGPUs(dst, v.GPUs)
}

// ParseInventory reads a KindInventory payload.
func ParseInventory(b []byte) (*Inventory, error) {
	s := scan{b: b}
	v := &Inventory{Driver: s.text(MaxWord), CUDA: s.text(MaxWord), NVML: s.text(MaxWord), GPUs: s.gpus()}
	return v, wrap("inventory", s.end())
}

// Append appends the payload of a KindProcesses frame.
func (v Processes) Append(dst []byte) []byte {
	dst = appendInt(appendBool(dst, v.Known), int64(len(v.Processes)))
	for _, p := range v.Processes {
		dst = appendInt(appendInt(dst, int64(p.PID)), int64(p.GPU))
		dst = appendBool(appendInt(dst, int64(p.MemoryBytes)), p.MemoryKnown)
		dst = appendInt(dst, int64(p.GPUInstance))
	}
	return dst
}

// ParseProcesses reads a KindProcesses payload. Processes of GPUs that are not there are left out.
func ParseProcesses(b []byte, gpus int) (Processes, error) {
	s := scan{b: b}
	v := Processes{Known: s.bool()}
	for range s.count(MaxProcesses) {
		p := Process{PID: s.small(), GPU: s.small(), MemoryBytes: uint64(s.int()), MemoryKnown: s.bool(), GPUInstance: s.small()}
		if p.PID > 0 && p.GPU >= 0 && p.GPU < gpus {
			v.Processes = append(v.Processes, p)
		}
	}
	return v, wrap("processes", s.end())
}

// Append appends the payload of a KindStatus frame.
func (v Status) Append(dst []byte) []byte {
	dst = appendInt(dst, int64(v.Health))
	for _, s := range []string{v.Text, v.Remedy, v.Call} {
		dst = appendString(dst, s)
	}
	return appendInt(appendInt(appendInt(dst, int64(v.GPU)), v.ForMS), v.RoundUS)
}

// ParseStatus reads a KindStatus payload.
func ParseStatus(b []byte) (Status, error) {
	s := scan{b: b}
	health := s.int()
	v := Status{Health: Health(health), Text: s.text(MaxText), Remedy: s.text(MaxText), Call: s.text(MaxWord), GPU: s.small(),
		ForMS: max(s.int(), 0), RoundUS: max(s.int(), 0)}
	if health < 0 || health > int64(Stuck) {
		s.bad = true
	}
	return v, wrap("status", s.end())
}

func appendGPUs(dst []byte, gpus []GPU) []byte {
	dst = appendInt(dst, int64(len(gpus)))
	for _, g := range gpus {
		for _, s := range []string{g.UUID, g.Name, g.PCI, g.Serial, g.VBIOS, g.ComputeCapability, g.Note} {
			dst = appendString(dst, s)
		}
		dst = appendInt(appendInt(dst, int64(g.Minor)), int64(g.NUMANode))
		dst = appendInt(appendBool(dst, g.MIG), int64(g.MemoryBytes))
	}
	return dst
}

func (s *scan) gpus() []GPU {
	var out []GPU
	for range s.count(MaxGPUs) {
		out = append(out, GPU{UUID: s.text(MaxWord), Name: s.text(MaxWord), PCI: s.text(MaxWord), Serial: s.text(MaxWord), VBIOS: s.text(MaxWord),
			ComputeCapability: s.text(MaxWord), Note: s.text(MaxText), Minor: s.small(), NUMANode: s.small(), MIG: s.bool(), MemoryBytes: uint64(s.int())})
	}
	return out
}

// small is an integer that fits 32 bits.
func (s *scan) small() int {
	v := s.int()
	if v < math.MinInt32 || v > math.MaxInt32 {
		s.bad = true
		return 0
	}
	return int(v)
}

func wrap(what string, err error) error {
	if err != nil {
		return fmt.Errorf("parse %s: %w", what, err)
	}
	return nil
}
