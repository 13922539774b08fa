package simfleet

import (
	"math"
	"time"

	"foretop/telemetry"
)

// gpuVitals is what lasts from one reading of a GPU to the next.
type gpuVitals struct {
	tempC    float64
	energyMJ float64
	nvTX     float64
	nvRX     float64
	warm     bool
	pcie     float64              // bytes a second, each way
	heldBack [numHeldBack]float64 // ms, by cause
}

// Causes of being held back that drivers count the time of, as far as something happens here that is one.
const (
	heldPower = iota
	heldSWHeat
	heldHWHeat
	numHeldBack
)

// NVML clock event reasons.
const (
	throttleIdle     = 0x1
	throttlePowerCap = 0x4
	throttleHW       = 0x8
	throttleSWHeat   = 0x20
	throttleHWHeat   = 0x40
)

// use is what one GPU did in a window, with whose pattern.
type use struct {
	shares
	pattern *pattern
	held    int64 // memory of the processes on it
}

func (v *vitals) use(n *Node, g int, l *load) use {
	o := n.owner[g]
	if o.slot < 0 {
		return use{shares: shares{down: 1}}
	}
	s, d := n.slots[o.slot], &l.slots[o.slot]
	u := use{shares: d.all, pattern: &s.job.pattern, held: s.job.held(o.place)}
	if d.guilty && d.at.is(s.member, o.place) {
		u.shares = d.culprit
	}
	if !s.job.uses(o.place) {
		u.shares = shares{idle: 1 - d.all.down, down: d.all.down}
	}
	return u
}

// gpu reads one GPU's fast readings.
func (v *vitals) gpu(n *Node, g int, l *load, local time.Duration) {
	st, self := &v.state, &v.gpus[g]
	if n.struck(GPULost, g, local) {
		st.ClearEntity(telemetry.ScopeGPU, g)
		st.Set(telemetry.GPUStatus, g, telemetry.GPULost)
		*self = gpuVitals{energyMJ: self.energyMJ, nvTX: self.nvTX, nvRX: self.nvRX, heldBack: self.heldBack}
		return
	}
	fresh := st.Get(telemetry.GPUStatus, g) != telemetry.GPUOK
	u := v.use(n, g, l)
	key := n.id(word("chip"), uint64(g))
	hot := n.struck(ThermalThrottle, g, local)

	clockShare, wattScale := 1.0, 0.985+0.03*hashUnit(key, 1)
	if s := n.strikeOn(ThermalThrottle, g, local); s != nil && local >= s.from+hotAfter {
		clockShare = max(0.3, 1/s.Factor)
		wattScale *= 0.35 + 0.65*clockShare
	}
	watts := u.watts(n.machine, wattScale, &v.noise) + n.machine.tenantWatts(g)
	v.heat(n, g, watts, hot, l.seconds)
	self.energyMJ += watts * 1000 * l.seconds

	st.Set(telemetry.GPUStatus, g, telemetry.GPUOK)
	busy := u.compute + u.comm + u.wait + u.stall + 0.08*u.load + 0.1*u.checkpoint
	util := 100 * busy
	switch {
	case busy > 0.02 && busy < 0.985:
		util += 4 * v.noise.about()
	case u.stall < 0.5: // gaps between kernels; a rank that spins in a collective has none
		util -= 2.4 * u.compute * v.noise.unit()
	}
	st.Set(telemetry.GPUUtilPct, g, clampPct(util))
	st.Set(telemetry.GPUPowerMW, g, round(watts*1000))
	st.Set(telemetry.GPUTempC, g, round(self.tempC+0.7*v.noise.about()))
	st.Set(telemetry.GPUMemTempC, g, round(self.tempC*1.04+9+0.7*v.noise.about()))
	v.activity(g, &u, clockShare)
	v.clocks(n.machine, g, &u, watts, clockShare, hot, l.seconds)
	if u.pattern != nil {
		rate := u.pattern.nvlinkGBs * 1e9 * (0.8*u.compute + 1.2*u.comm)
		self.nvTX += rate * l.seconds
		self.nvRX += rate * l.seconds * (1 + 0.002*v.noise.about())
		if n.machine.links > 0 {
			st.Set(telemetry.GPUNVLinkTXBytes, g, int64(self.nvTX))
			st.Set(telemetry.GPUNVLinkRXBytes, g, int64(self.nvRX))
		}
		self.pcie = 1e9 * (0.4*u.compute + 5*u.comm*u.pattern.netGBs/38 + 6*u.load + 2*u.checkpoint)
	}
	v.memory(n.machine, g, &u, n.strikeOn(MemoryCreep, g, local), local)
	if fresh {
		v.gpuStatic(n.machine, g)
	}
	n.machine.withhold(st, g)
}

// watts is the power drawn, averaged over the window.
func (u *use) watts(k *machine, scale float64, r *noise) float64 {
	if u.pattern == nil || u.down == 1 {
		return k.idleW*scale + 0.7*r.about()
	}
	w := k.limitW * (u.compute*u.pattern.power + u.comm*(0.2+0.55*u.pattern.power) + u.stall*0.222 + u.wait*0.31 + u.data*0.27 + u.load*0.2 + u.checkpoint*0.2)
	w += 1.634*k.idleW*u.idle + k.idleW*u.down
	return min(k.limitW+3, w*scale*(1+0.03*r.about()))
}

// heat lets the temperature follow the power, some half a minute behind.
func (v *vitals) heat(n *Node, g int, watts float64, hot bool, seconds float64) {
	self := &v.gpus[g]
	inlet := 24 + 4*hashUnit(n.id(word("inlet"))) + 2*float64(g%4)/3
	target, lag := inlet+watts*0.052, 26.0
	if hot { // its fan wall has failed
		target, lag = 88.5, 7
	}
	if !self.warm {
		self.tempC, self.warm = target, true
		if hot {
			self.tempC = 80
		}
		return
	}
	self.tempC += (target - self.tempC) * (1 - math.Exp(-seconds/lag))
}

func (v *vitals) activity(g int, u *use, clockShare float64) {
	sm, tensor, dram := 0.0, 0.0, 0.0
	if p := u.pattern; p != nil {
		c := u.compute * (1 + 0.04*v.noise.about())
		sm = c*p.sm + 0.13*(u.comm+u.wait+u.stall) + 0.02*u.load
		tensor = c * p.tensor * clockShare
		dram = c*p.dram*clockShare + 0.12*u.comm + 0.01*(u.stall+u.wait) + 0.04*u.load
	}
	st := &v.state
	st.Set(telemetry.GPUSMActivityPermille, g, round(1000*min(1, sm)))
	st.Set(telemetry.GPUTensorActivityPermille, g, round(1000*min(1, tensor)))
	st.Set(telemetry.GPUDRAMActivityPermille, g, round(1000*min(1, dram)))
	st.Set(telemetry.GPUMemUtilPct, g, clampPct(100*dram*1.05))
}

// clocks: boost while there is power to spare, less at the power limit, much less when it is too hot.
func (v *vitals) clocks(k *machine, g int, u *use, watts, clockShare float64, hot bool, seconds float64) {
	clock, bits := float64(k.smClock), int64(0)
	switch {
	case u.down > 0.5:
		clock, bits = float64(k.idleClock), throttleIdle
	case clockShare < 1:
		clock *= clockShare
		bits = throttleHW | throttleSWHeat | throttleHWHeat
	case hot:
		bits = throttleSWHeat
	case watts > 0.9*k.limitW:
		clock -= (watts - 0.9*k.limitW) * 3.4
		if watts > 0.955*k.limitW {
			bits = throttlePowerCap
		}
	}
	v.state.Set(telemetry.GPUSMClockMHz, g, int64(clock)/15*15)
	v.state.Set(telemetry.GPUThrottleBits, g, bits)
	for i, bit := range [numHeldBack]int64{throttlePowerCap, throttleSWHeat, throttleHWHeat} {
		if bits&bit != 0 {
			v.gpus[g].heldBack[i] += 1000 * seconds
		}
	}
}

// memory of a GPU: what its processes hold, less while they load.
func (v *vitals) memory(k *machine, g int, u *use, creep *strike, local time.Duration) {
	used := 4*float64(mib) + float64(k.tenantBytes(g))
	if u.pattern != nil {
		used += float64(u.held) * (1 - u.down) * (1 - 0.62*u.load)
	}
	if creep != nil && used > float64(gib) {
		used += creep.filled(local) * (float64(k.gpuMemory) - used)
	}
	v.state.Set(telemetry.GPUMemUsedBytes, g, int64(used))
}

// gpuStatic sets what a GPU says always.
func (v *vitals) gpuStatic(k *machine, g int) {
	for _, r := range []struct {
		m telemetry.Metric
		v int64
	}{
		{telemetry.GPUMemTotalBytes, k.gpuMemory}, {telemetry.GPUPowerLimitMW, int64(k.limitW * 1000)}, {telemetry.GPUMemClockMHz, k.memClock},
		{telemetry.GPUSMClockMaxMHz, k.smClock}, {telemetry.GPUMemClockMaxMHz, k.memClock},
	} {
		v.state.Set(r.m, g, r.v)
	}
}

// struck says whether a fault of that kind is upon a GPU.
func (n *Node) struck(k Kind, g int, local time.Duration) bool { return n.strikeOn(k, g, local) != nil }

func (n *Node) strikeOn(k Kind, g int, local time.Duration) *strike {
	for i := range n.strikes {
		if s := &n.strikes[i]; s.Kind == k && s.GPU == g && s.on(local) {
			return s
		}
	}
	return nil
}

func (n *Node) remapPending(g int, local time.Duration) bool {
	return n.struck(ECC, g, local) || n.struck(RowRemap, g, local)
}

func clampPct(f float64) int64 { return round(max(0, min(100, f))) }
