package findings

import (
	"fmt"
	"time"

	"foretop/fleet"
	"foretop/telemetry"
)

// Clock event reasons of NVML that slow a GPU down for a cause that is not its own power limit (nvml.h, nvmlClocksEventReasons).
const (
	hwSlowdown   = 0x8
	swThermal    = 0x20
	hwThermal    = 0x40
	hwPowerBrake = 0x80
)

// throttleFor is how long a GPU must be slowed to be told: drivers set the bits for a moment at every clock change.
const throttleFor = 3 * time.Second

// gpuProblems adds what is wrong with one GPU.
func gpuProblems(found []fleet.Problem, g *fleet.GPU, at time.Time, m remembered) []fleet.Problem {
	add := func(s fleet.Severity, text string, since time.Duration) {
		p := fleet.Problem{Severity: s, Text: fmt.Sprintf("GPU%d %s", g.Index, text), GPU: g.Index, Port: -1}
		if since > 0 {
			p.Since = at.Add(-since)
		}
		found = append(found, p)
	}
	bad := g.Status > telemetry.GPUOK
	if since := m.since(gpuStatus, g.Index, bad, at); bad {
		switch g.Status {
		case telemetry.GPULost:
			add(fleet.Critical, "lost: fell off the bus", since)
		case telemetry.GPUUnanswered:
			add(fleet.Critical, "not answering"+seconds(max(since, g.Stale).Seconds()), since)
		default:
			add(fleet.Critical, "failing: the driver returns errors", since)
		}
		return found // its other readings are old
	}
	bits := max(0, g.ThrottleBits) & (hwSlowdown | swThermal | hwThermal | hwPowerBrake)
	if since := m.since(gpuSlowed, g.Index, bits != 0, at); bits != 0 && since >= throttleFor {
		add(fleet.Warning, "slowed: "+throttleWords(bits), since)
	}
	if g.ECCVolatileUncorrected > 0 {
		add(fleet.Warning, fmt.Sprintf("ECC: %.0f uncorrected", float64(g.ECCVolatileUncorrected)), 0)
	}
	if g.RemapFailure > 0 {
		add(fleet.Critical, "row remap failed: replace it", 0)
	} else if g.RemapPending > 0 {
		add(fleet.Warning, "row remap pending: needs a reset", 0)
	}
	if g.PCIeWidth > 0 && g.PCIeWidth < g.PCIeWidthMax {
		add(fleet.Warning, fmt.Sprintf("PCIe ×%.0f of ×%.0f", float64(g.PCIeWidth), float64(g.PCIeWidthMax)), 0)
	}
	return found
}

func throttleWords(bits int64) string {
	switch {
	case bits&hwThermal != 0:
		return "too hot (hardware)"
	case bits&hwPowerBrake != 0:
		return "power brake"
	case bits&swThermal != 0:
		return "too hot (driver)"
	}
	return "hardware slowdown"
}
