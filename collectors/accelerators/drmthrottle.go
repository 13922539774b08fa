package accelerators

import "foretop/telemetry"

// Bits of GPUThrottleBits: NVML's clock event reasons (nvml.h, nvmlClocksEventReasons). Of what the other makers' firmware tells, only that is said with them
// which means the same; limits of current (TDC, EDC, ICCmax) have no word there and are not told.
const (
	throttlePowerCap   = 0x04 // the power limit holds the clocks back
	throttleHWSlowdown = 0x08 // a signal of the hardware does, at once and by much; it comes with its reason
	throttleSWThermal  = 0x20 // the firmware does, for the chip or its memory is too hot
	throttleHWThermal  = 0x40 // the hardware does, for the chip, or the board by its signal, is too hot
)

// residencies measures for how long a card was held back, from counters that the firmware's loop makes: in each of its turns it counts the turn, and counts
// it once more for each reason that held the clocks back. How long a turn takes is not said, so the share of turns between two readings is taken of the time
// between them. Sums begin at 0 with the collector.
type residencies struct {
	turns  int64 // at the last reading; absent: none yet
	counts [numResidencies]int64
	ms     int64
	sumUS  [numResidencies]int64
	bits   int64 // of the last interval
}

const (
	residentProchot = iota
	residentPower
	residentSocket
	residentVR
	residentHBM
	numResidencies
)

var residencyFields = [numResidencies]metricsField{prochotResidency, pptResidency, socketThermalResidency, vrThermalResidency, hbmThermalResidency}

// residencyBits maps what counts: PPT to the power limit; socket, regulators and HBM, which the firmware itself watches, to software's slowdown for heat;
// PROCHOT, a wire that slows the chip down whatever the firmware does, to the hardware's.
var residencyBits = [numResidencies]int64{
	throttleHWSlowdown | throttleHWThermal, throttlePowerCap, throttleSWThermal, throttleSWThermal, throttleSWThermal,
}

func newResidencies() residencies {
	return residencies{turns: telemetry.Absent, bits: telemetry.Absent}
}

// add takes a reading. Counters that went back (the firmware was loaded anew, or 32 bits were full) begin anew.
func (r *residencies) add(m *gpuMetrics, ms int64) {
	turns := m[accumulationCounter]
	was := *r
	r.turns, r.ms, r.bits = turns, ms, telemetry.Absent
	for i, f := range residencyFields {
		r.counts[i] = m[f]
	}
	if turns == telemetry.Absent || was.turns == telemetry.Absent || turns <= was.turns || ms <= was.ms {
		return
	}
	r.bits = 0
	for i, now := range r.counts {
		if now == telemetry.Absent || was.counts[i] == telemetry.Absent || now <= was.counts[i] {
			continue
		}
		share := float64(min(now-was.counts[i], turns-was.turns)) / float64(turns-was.turns)
		r.sumUS[i] += int64(share * float64(ms-was.ms) * 1000)
		r.bits |= residencyBits[i]
	}
}

// put tells the sums. The three reasons of heat may hold at the same time, so the longest of them is told.
func (r *residencies) put(s *sheet) {
	if r.turns == telemetry.Absent {
		return
	}
	for _, t := range [...]struct {
		metric telemetry.Metric
		which  []int
	}{
		{telemetry.GPUThrottlePowerMS, []int{residentPower}},
		{telemetry.GPUThrottleSWThermalMS, []int{residentSocket, residentVR, residentHBM}},
		{telemetry.GPUThrottleHWThermalMS, []int{residentProchot}},
	} {
		sum := telemetry.Absent
		for _, i := range t.which {
			if r.counts[i] != telemetry.Absent {
				sum = max(sum, r.sumUS[i]/1000)
			}
		}
		s.put(t.metric, sum)
	}
}

// indepThrottlers maps bits of indep_throttle_status (amdgpu_smu.h, SMU_THROTTLER_*_BIT): PPT0 to PPT3; the temperatures, of the chip, its memory, its
// regulators and the liquid; VRHOT and PROCHOT, which are wires. Not mapped: currents (16–23), and PPM and FIT (56, 57).
var indepThrottlers = [...]struct{ mask, bits int64 }{
	{0x0f, throttlePowerCap},
	{0x0fff << 32, throttleSWThermal},
	{0x0f << 44, throttleHWSlowdown | throttleHWThermal},
}

func throttleOfIndep(status int64) int64 {
	if status == telemetry.Absent {
		return status
	}
	bits := int64(0)
	for _, t := range indepThrottlers {
		if status&t.mask != 0 {
			bits |= t.bits
		}
	}
	return bits
}
