// Package pipe holds the words between foretop-nvml and the collector, which starts it as a child: telemetry's frames over the child's standard
// output, lines over its standard input.
//
// To the collector go samples (telemetry.Encoder over a State with the scopes GPU and Group, everything at detail level) and, as JSON, the types of
// this package. To foretop-nvml goes one [Settings] a line; end of input means exit. A frame of some kind comes at least once a second, also
// while a call into the driver does not return. It is a package of its own so that the reader links nothing of what starts it.
package pipe

import (
	"encoding/json"
	"fmt"

	"foretop/telemetry"
)

// Kinds of frames.
const (
	KindInventory = telemetry.KindInventory
	KindSample    = telemetry.KindSample
	KindProcesses = telemetry.KindProcesses
	KindStatus    = telemetry.KindSourceNotes

	// MaxFrame bounds a frame on the pipe.
	MaxFrame = telemetry.MaxFrameBytes
)

// Settings is a line that foretop-nvml reads: the first starts it, later ones change its pace.
type Settings struct {
	FastMS      int    `json:"fast_ms"`      // a round of fast readings
	SlowMS      int    `json:"slow_ms"`      // ECC, remapped rows, PCIe link
	ProcessesMS int    `json:"processes_ms"` // which processes hold a GPU
	Sys         string `json:"sys"`          // where sysfs is mounted
	Known       []GPU  `json:"known,omitempty"`
	// Known are the GPUs of an earlier run, in their order, so that each keeps its index.
}

// Status is the reader's own condition.
type Status struct {
	Health  Health `json:"health"`
	Text    string `json:"text,omitempty"`
	Remedy  string `json:"remedy,omitempty"`
	Call    string `json:"call,omitempty"`     // the call that is not back yet, when it is late
	GPU     int    `json:"gpu"`                // the GPU that it is on; -1 none
	ForMS   int64  `json:"for_ms,omitempty"`   // how long it has been out
	RoundUS int64  `json:"round_us,omitempty"` // wall time of the last round of fast readings
}

// Processes is the list of all compute processes.
type Processes struct {
	Known     bool      `json:"known"` // false: no GPU told
	Processes []Process `json:"processes"`
}

// ParseInventory reads a KindInventory payload. What is wrong in it is an error, what is ugly is cleaned.
func ParseInventory(b []byte) (*Inventory, error) {
	var inv Inventory
	if err := json.Unmarshal(b, &inv); err != nil {
		return nil, fmt.Errorf("parse inventory: %w", err)
	}
	if len(inv.GPUs) > MaxGPUs {
		return nil, fmt.Errorf("parse inventory: %d GPUs, more than the %d allowed", len(inv.GPUs), MaxGPUs)
	}
	for _, s := range []*string{&inv.Driver, &inv.CUDA, &inv.NVML} {
		*s = telemetry.Clean(*s, MaxWord)
	}
	for i := range inv.GPUs {
		g := &inv.GPUs[i]
		for _, s := range []*string{&g.UUID, &g.Name, &g.PCI, &g.Serial, &g.VBIOS, &g.ComputeCapability} {
			*s = telemetry.Clean(*s, MaxWord)
		}
		g.Note = telemetry.Clean(g.Note, MaxText)
	}
	return &inv, nil
}

// ParseProcesses reads a KindProcesses payload. Processes of GPUs that are not there are left out.
func ParseProcesses(b []byte, gpus int) (Processes, error) {
	var p Processes
	if err := json.Unmarshal(b, &p); err != nil {
		return Processes{}, fmt.Errorf("parse processes: %w", err)
	}
	kept := p.Processes[:0]
	for _, x := range p.Processes {
		if x.PID > 0 && x.GPU >= 0 && x.GPU < gpus && len(kept) < MaxProcesses {
			kept = append(kept, x)
		}
	}
	p.Processes = kept
	return p, nil
}

// ParseStatus reads a KindStatus payload.
func ParseStatus(b []byte) (Status, error) {
	var s Status
	if err := json.Unmarshal(b, &s); err != nil {
		return Status{}, fmt.Errorf("parse status: %w", err)
	}
	if s.Health > Stuck {
		return Status{}, fmt.Errorf("parse status: health %d", s.Health)
	}
	s.Text, s.Remedy, s.Call = telemetry.Clean(s.Text, MaxText), telemetry.Clean(s.Remedy, MaxText), telemetry.Clean(s.Call, MaxWord)
	s.ForMS, s.RoundUS = max(s.ForMS, 0), max(s.RoundUS, 0)
	return s, nil
}
