// Package pipe holds the words between foretop-nvml and the collector, which starts it as a child: telemetry's frames, over the child's standard
// output and, the other way, its standard input.
//
// To the collector go samples (telemetry.Encoder over a State with the scopes GPU, GPULink, GPUPart, Call and Group, everything at detail level) and the types
// of this package.
// To foretop-nvml go [Settings]; end of input means exit. A frame of some kind comes at least once a [Beat], also while a call into the
// driver does not return. It is a package of its own so that the reader links nothing of what starts it.
package pipe

import (
	"fmt"
	"math"
	"time"

	"foretop/telemetry"
)

// Kinds of frames.
const (
	KindInventory = telemetry.KindInventory
	KindSample    = telemetry.KindSample
	KindProcesses = telemetry.KindProcesses
	KindStatus    = telemetry.KindSourceNotes
	KindEvents    = telemetry.KindGPUEvents
	KindSettings  = telemetry.KindControl // to the reader

	// MaxFrame bounds a frame on the pipe.
	MaxFrame = telemetry.MaxFrameBytes
)

// Settings start the reader; later ones change its pace and level.
type Settings struct {
	FastMS      int    // a round of fast readings; 0 the usual
	SlowMS      int    // ECC, remapped rows, PCIe link
	ProcessesMS int    // which processes hold a GPU
	ReinitMS    int    // how soon after a GPU was lost the library is initialised again, the first time
	Detail      bool   // somebody looks at this node: read what is of level telemetry.Detail as well
	Root        string // what stands for "/": where /sys, /proc and /dev are looked for
	Name        string // of the reader's process, at most MaxMark bytes
	Known       []GPU  // the GPUs of an earlier run, in their order, so that each keeps its index
}

// Beat is how often the reader says something at least, at a pace of its fast readings: once a second, and seldomer where these are slow, for waking two
// programs costs as much as a reading.
func Beat(fast time.Duration) time.Duration { return max(time.Second, fast/4) }

// Scopes are those of a sample on the pipe, besides telemetry.ScopeGroup.
var Scopes = [...]telemetry.Scope{telemetry.ScopeGPU, telemetry.ScopeGPULink, telemetry.ScopeGPUPart, telemetry.ScopeCall}

// Count is how many entities of a scope there are.
func (v *Inventory) Count(sc telemetry.Scope) int {
	switch sc {
	case telemetry.ScopeGPU:
		return len(v.GPUs)
	case telemetry.ScopeGPULink:
		return len(v.Links)
	case telemetry.ScopeGPUPart:
		return len(v.Parts)
	}
	return len(v.Calls)
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
	return appendGPUs(appendString(appendString(appendBool(dst, v.Detail), v.Root), v.Name), v.Known)
}

// ParseSettings reads a KindSettings payload.
func ParseSettings(b []byte) (Settings, error) {
	s := scan{b: b}
	v := Settings{FastMS: s.small(), SlowMS: s.small(), ProcessesMS: s.small(), ReinitMS: s.small(), Detail: s.bool(), Root: s.text(math.MaxInt16),
		Name: s.text(MaxMark), Known: s.gpus()}
	return v, wrap("settings", s.end())
}

// Append appends the payload of a KindInventory frame.
func (v *Inventory) Append(dst []byte) []byte {
	for _, s := range []string{v.Driver, v.CUDA, v.NVML} {
		dst = appendString(dst, s)
	}
	dst = appendInt(appendGPUs(dst, v.GPUs), int64(len(v.Parts)))
	for _, p := range v.Parts {
		dst = appendString(appendString(appendInt(dst, int64(p.GPU)), p.Name), p.UUID)
		dst = appendInt(appendInt(dst, int64(p.Instance)), int64(p.ComputeInstance))
	}
	dst = appendInt(dst, int64(len(v.Links)))
	for _, l := range v.Links {
		dst = appendInt(appendInt(appendInt(dst, int64(l.GPU)), int64(l.Link)), int64(l.Version))
		dst = appendString(appendString(dst, l.Remote), l.RemotePCI)
	}
	dst = appendInt(dst, int64(len(v.Calls)))
	for _, c := range v.Calls {
		dst = appendString(dst, c)
	}
	dst = appendInt(dst, int64(len(v.Unseen)))
	for _, u := range v.Unseen {
		dst = appendString(appendString(dst, u.PCI), u.Why)
	}
	return dst
}

// ParseInventory reads a KindInventory payload. Parts and links of GPUs that are not there make it broken.
func ParseInventory(b []byte) (*Inventory, error) {
	s := scan{b: b}
	v := &Inventory{Driver: s.text(MaxWord), CUDA: s.text(MaxWord), NVML: s.text(MaxWord), GPUs: s.gpus()}
	for range s.count(MaxParts) {
		v.Parts = append(v.Parts, Part{GPU: s.below(len(v.GPUs)), Name: s.text(MaxWord), UUID: s.text(MaxWord), Instance: s.below(math.MaxInt32), ComputeInstance: s.below(math.MaxInt32)})
	}
	for range s.count(MaxLinks) {
		v.Links = append(v.Links, Link{GPU: s.below(len(v.GPUs)), Link: s.below(MaxLinks), Version: s.below(MaxLinks), Remote: s.text(MaxWord), RemotePCI: s.text(MaxWord)})
	}
	for range s.count(MaxCalls) {
		v.Calls = append(v.Calls, s.text(MaxWord))
	}
	for range s.count(MaxGPUs) {
		v.Unseen = append(v.Unseen, Unseen{PCI: s.text(MaxWord), Why: s.text(MaxText)})
	}
	return v, wrap("inventory", s.end())
}

// Append appends the payload of a KindProcesses frame.
func (v Processes) Append(dst []byte) []byte {
	dst = appendInt(appendBool(dst, v.Known), int64(len(v.Processes)))
	for _, p := range v.Processes {
		dst = appendInt(appendInt(appendInt(dst, int64(p.PID)), int64(p.GPU)), int64(p.Part))
		dst = appendBool(appendInt(dst, int64(p.MemoryBytes)), p.MemoryKnown)
		dst = appendInt(dst, int64(p.GPUInstance))
	}
	return dst
}

// ParseProcesses reads a KindProcesses payload. Processes of GPUs that are not there are left out, and so are parts that are not.
func ParseProcesses(b []byte, gpus, parts int) (Processes, error) {
	s := scan{b: b}
	v := Processes{Known: s.bool()}
	for range s.count(MaxProcesses) {
		p := Process{PID: s.small(), GPU: s.small(), Part: s.small(), MemoryBytes: uint64(s.int()), MemoryKnown: s.bool(), GPUInstance: s.small()}
		if p.Part < 0 || p.Part > parts {
			p.Part = 0
		}
		if p.PID > 0 && p.GPU >= 0 && p.GPU < gpus {
			v.Processes = append(v.Processes, p)
		}
	}
	return v, wrap("processes", s.end())
}

// Append appends the payload of a KindEvents frame.
func (v Event) Append(dst []byte) []byte {
	dst = appendInt(appendString(appendInt(dst, int64(v.GPU)), v.What), int64(v.Code))
	return appendInt(appendInt(dst, v.MonoUS), int64(v.Instance))
}

// ParseEvent reads a KindEvents payload.
func ParseEvent(b []byte, gpus int) (Event, error) {
	s := scan{b: b}
	v := Event{GPU: s.below(gpus), What: s.text(MaxWord)}
	code := s.int()
	v.Code, v.MonoUS, v.Instance = uint32(code), max(s.int(), 0), s.below(math.MaxInt32)
	if code < 0 || code > math.MaxUint32 {
		s.bad = true
	}
	return v, wrap("event", s.end())
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

// words are a GPU's texts, in the order in which they travel.
func (g *GPU) words() [12]*string {
	return [...]*string{&g.UUID, &g.Name, &g.PCI, &g.Serial, &g.VBIOS, &g.ComputeCapability, &g.Architecture, &g.BoardPart, &g.Firmware, &g.InfoROM,
		&g.FabricCluster, &g.Chassis}
}

func appendGPUs(dst []byte, gpus []GPU) []byte {
	dst = appendInt(dst, int64(len(gpus)))
	for i := range gpus {
		g := &gpus[i]
		for _, s := range g.words() {
			dst = appendString(dst, *s)
		}
		dst = appendInt(appendInt(appendInt(dst, int64(g.Minor)), int64(g.NUMANode)), int64(g.ModuleID))
		dst = appendInt(appendInt(appendInt(dst, int64(g.FabricClique)), int64(g.Slot)), int64(g.Tray))
		dst = appendString(appendString(appendInt(appendBool(dst, g.MIG), int64(g.MemoryBytes)), g.CPUs), g.Note)
	}
	return dst
}

func (s *scan) gpus() []GPU {
	var out []GPU
	for range s.count(MaxGPUs) {
		var g GPU
		for _, w := range g.words() {
			*w = s.text(MaxWord)
		}
		g.Minor, g.NUMANode, g.ModuleID = s.small(), s.small(), s.small()
		g.FabricClique, g.Slot, g.Tray = uint32(s.int()), uint32(s.int()), uint32(s.int())
		g.MIG, g.MemoryBytes, g.CPUs, g.Note = s.bool(), uint64(s.int()), s.text(MaxText), s.text(MaxText)
		out = append(out, g)
	}
	return out
}

// below is an integer from 0 up to, not including, end.
func (s *scan) below(end int) int {
	v := s.int()
	if v < 0 || v >= int64(end) {
		s.bad = true
		return 0
	}
	return int(v)
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

// A reader's process has the name (/proc/PID/comm) that Settings give it; while it is in the driver, MarkBusy and one more byte, another each round, follow.
const (
	MaxMark  = 12
	MarkBusy = "*"
)
