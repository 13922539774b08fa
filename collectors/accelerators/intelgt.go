package accelerators

import (
	"strings"

	"foretop/telemetry"
)

// intelGT is a graphics unit.
type intelGT struct {
	sys               sysfs
	dir               string
	tile              int
	most, mostMemory  string // files of the highest clocks
	freq              gauge
	idle              meter
	limited           gauge                       // is anything holding the clock back?
	reasons           [len(throttleReasons)]gauge // by throttleReasons
	clock, busy, bits int64
}

func newXeGT(sys sysfs, dir string, tile int) *intelGT {
	g := &intelGT{sys: sys, dir: dir, tile: tile, most: dir + "/freq0/rp0_freq", mostMemory: dir[:strings.LastIndexByte(dir, '/')] + "/memory/freq0/max_freq",
		freq: sys.gauge(dir + "/freq0/act_freq"), idle: newMeter(sys.gauge(dir + "/gtidle/idle_residency_ms")),
		limited: sys.gauge(dir + "/freq0/throttle/status")}
	g.open(dir + "/freq0/throttle/reason_")
	return g
}

func newI915GT(sys sysfs, dir string, tile int) *intelGT {
	g := &intelGT{sys: sys, dir: dir, tile: tile, most: dir + "/rps_RP0_freq_mhz", mostMemory: dir + "/mem_RP0_freq_mhz",
		freq: sys.gauge(dir + "/rps_act_freq_mhz"), idle: newMeter(sys.gauge(dir + "/rc6_residency_ms")),
		limited: sys.gauge(dir + "/throttle_reason_status")}
	g.open(dir + "/throttle_reason_")
	return g
}

// open takes the files of the reasons, by how their names begin. A file is opened in truth when it is first read.
func (g *intelGT) open(prefix string) {
	for i, r := range throttleReasons {
		g.reasons[i] = g.sys.gauge(prefix + r.name)
	}
}

func (g *intelGT) close() {
	g.freq.drop()
	g.idle.file.drop()
	g.limited.drop()
	for i := range g.reasons {
		g.reasons[i].drop()
	}
}

// throttleReasons maps the drivers' reasons, a file each, to the shared words: PL1 and PL2 are limits of power, thermal, RATL (a running mean of it) and the
// regulators' alert are the firmware's answer to heat, PROCHOT is a wire. PL4 and TDC limit currents, and are not told.
var throttleReasons = [...]struct {
	name string
	bits int64
}{
	{"pl1", throttlePowerCap}, {"pl2", throttlePowerCap}, {"thermal", throttleSWThermal}, {"ratl", throttleSWThermal}, {"vr_thermalert", throttleSWThermal},
	{"prochot", throttleHWSlowdown | throttleHWThermal},
}

// read takes the unit's clock, what holds it back, and for which share of the time since the last reading it was not idle: a share over the last interval,
// as of a CPU's core, for the driver counts idle time and wraps at 32 bits.
func (g *intelGT) read(now int64) error {
	g.busy, g.bits = telemetry.Absent, telemetry.Absent
	clock, err := g.freq.number()
	g.clock = clock
	_, failed := g.idle.read(now)
	if idle := g.idle.perMS(100); idle != telemetry.Absent {
		g.busy = 100 - min(idle, 100)
	}
	limited, unreadable := g.limited.number()
	if limited != telemetry.Absent {
		g.bits = 0
	}
	if limited > 0 {
		for i, r := range throttleReasons {
			if v, err := g.reasons[i].number(); err == nil && v > 0 {
				g.bits |= r.bits
			}
		}
	}
	return firstError(err, failed, unreadable)
}
