package ui

import (
	"slices"
	"strconv"
	"strings"
	"time"

	"foretop/fleet"
)

func (v *gpuView) activity(w int) []lineDraw {
	g, d := v.g, v.d
	list := []fact{
		number("mem controller", formatPct(g.MemUtilPct), false), number("occupancy", formatPct(d.SMOccupancyPct), false),
		number("graphics", formatPct(d.GraphicsActivityPct), false), number("FP64", formatPct(d.FP64ActivityPct), false),
		number("FP32", formatPct(d.FP32ActivityPct), false), number("FP16", formatPct(d.FP16ActivityPct), false),
		number("encoder", formatPct(d.EncoderPct), false), number("decoder", formatPct(d.DecoderPct), false),
		number("waiting runs", formatUnit(d.QueueSize, ""), false),
	}
	meters := []meter{
		{"util", g.UtilPct, formatPct(g.UtilPct), 5, fleet.SeriesUtil}, {v.unit(), g.SMActivityPct, formatPct(g.SMActivityPct), 5, fleet.SeriesSM},
		{"tensor", g.TensorActivityPct, formatPct(g.TensorActivityPct), 5, fleet.SeriesTensor}, {"DRAM", g.DRAMActivityPct, formatPct(g.DRAMActivityPct), 5, noSeries},
	}
	if net := sum(g.NetRxBytesPerS, g.NetTxBytesPerS); net.Known() || slices.ContainsFunc(v.n.Ports, func(p fleet.Port) bool { return p.GPU == g.Index }) {
		meters = append(meters, meter{"network", net.Share(networkFullGBps * 1e9), formatRate(net), 9, fleet.SeriesNet})
	}
	return v.meters("activity", w, list, meters...)
}

// unit is what the maker calls the cores of the GPU.
func (v *gpuView) unit() string {
	switch v.g.Info.Vendor {
	case "amd":
		return "CUs"
	case "nvidia", "":
		return "SMs"
	}
	return "cores"
}

func (v *gpuView) memory(w int) []lineDraw {
	g, d := v.g, v.d
	list := []fact{
		number("reserved", formatBytes(d.MemReservedBytes), false),
		number("BAR1", formatUsedOf(d.BAR1UsedBytes, d.BAR1TotalBytes), false),
		number("of the host", formatUsedOf(d.HostMemUsedBytes, d.HostMemTotalBytes), false),
	}
	return v.meters("memory", w, list, meter{"used", g.MemPct(), formatUsed(g.MemUsedBytes, g.MemTotalBytes), 9, fleet.SeriesMem})
}

// formatUsedOf is used and whole memory, each in its own unit.
func formatUsedOf(used, whole fleet.Reading) string {
	if !used.Known() && !whole.Known() {
		return absent
	}
	return formatBytes(used) + " of " + formatBytes(whole)
}

func (v *gpuView) power(w int) []lineDraw {
	g, d := v.g, v.d
	list := []fact{
		number("average", formatUnit(d.PowerAvgW, " W"), false), number("limit", formatUnit(g.PowerLimitW, " W"), false),
		number("default limit", formatUnit(d.PowerDefaultLimitW, " W"), false), number("may be set to", formatSpan(d.PowerMinLimitW, d.PowerMaxLimitW, " W"), false),
		number("energy", formatEnergy(d.EnergyJ), false),
	}
	return v.meters("power", w, list, meter{"now", g.PowerPct(), formatOf(g.PowerW, g.PowerLimitW, " W"), 10, fleet.SeriesPower})
}

func formatSpan(from, to fleet.Reading, unit string) string {
	if !from.Known() && !to.Known() {
		return absent
	}
	return formatUnit(from, "") + "–" + formatUnit(to, unit)
}

// formatEnergy is an amount of energy in the unit that bills are written in.
func formatEnergy(joules fleet.Reading) string {
	if !joules.Known() {
		return absent
	}
	v, unit := scale(float64(joules)/3600, 1000, "Wh", "kWh", "MWh", "GWh")
	return format3(v) + " " + unit
}

func (v *gpuView) temperature(w int) []lineDraw {
	g, d, s := v.g, v.d, v.slow
	hot := s.SlowdownTempC.Known() && g.TempC >= s.SlowdownTempC-5 || d.TempMarginC <= 5
	list := []fact{
		number("memory", formatUnit(g.MemTempC, "°"), g.MemTempC >= d.MemMaxTempC), number("memory at most", formatUnit(d.MemMaxTempC, "°"), false),
		number("regulators", formatUnit(d.VRTempC, "°"), false), number("margin", formatUnit(d.TempMarginC, "°"), d.TempMarginC <= 5),
		number("slows down at", tempLimit(s.SlowdownTempC, d.SlowdownTLimitC), false), number("shuts down at", tempLimit(s.ShutdownTempC, d.ShutdownTLimitC), false),
	}
	words := formatUnit(g.TempC, "°")
	if hot {
		words = string(markWarning) + words
	}
	return v.meters("temperature", w, list, meter{"GPU", (g.TempC - 25) / (90 - 25) * 100, words, 5, fleet.SeriesTempC})
}

// tempLimit words a limit: a temperature, or where that is not told, the margin at which it is reached.
func tempLimit(temp, margin fleet.Reading) string {
	if !temp.Known() && margin.Known() {
		return "margin " + formatUnit(margin, "°")
	}
	return formatUnit(temp, "°")
}

// heldBack is one cause of being held back: the bit that says that it is so now, and the counter of for how long it was.
type heldBack struct {
	words string
	bit   int64 // of NVML's clock event reasons; 0: it has none
	cause fleet.ThrottleCause
	bad   bool // beside what is usual
}

// noCounter is for a cause that nobody counts the time of.
const noCounter = fleet.NumThrottleCauses

var heldBacks = [...]heldBack{
	{"power limit", 0x4, fleet.ThrottlePower, false}, {"heat, driver", 0x20, fleet.ThrottleSWThermal, true}, {"heat, hardware", 0x40, fleet.ThrottleHWThermal, true},
	{"heat, in all", 0, fleet.ThrottleThermal, true}, {"power brake", 0x80, fleet.ThrottlePowerBrake, true}, {"voltage", 0x400, fleet.ThrottleReliability, true},
	{"board limit", 0x200, fleet.ThrottleBoard, true}, {"sync boost", 0x10, fleet.ThrottleSyncBoost, false}, {"hardware slowdown", 0x8, noCounter, true},
	{"clocks that were set", 0x2, noCounter, false}, {"display clock", 0x100, noCounter, false}, {"idleness", 0x1, noCounter, false},
}

func (v *gpuView) clocks(w int) []lineDraw {
	g, d := v.g, v.d
	pstate := absent
	if d.PState >= 0 {
		pstate = "P" + strconv.Itoa(d.PState)
	}
	lines := v.meters("clocks", w, []fact{number("P-state", pstate, false)},
		meter{v.clockName(), g.ClockPct(), formatOf(g.SMClockMHz, g.SMClockMaxMHz, " MHz"), 16, fleet.SeriesClock},
		meter{"memory", g.MemClockMHz.Share(g.MemClockMaxMHz), formatOf(g.MemClockMHz, g.MemClockMaxMHz, " MHz"), 16, noSeries})
	return append(lines, v.heldBackLines(w)...)
}

// clockName is what the maker calls the clock of its cores.
func (v *gpuView) clockName() string {
	switch v.g.Info.Vendor {
	case "amd":
		return "GFX"
	case "nvidia", "":
		return "SM"
	}
	return "core"
}

func formatOf(a, b fleet.Reading, unit string) string {
	if !a.Known() && !b.Known() {
		return absent
	}
	return formatUnit(a, "") + "/" + formatUnit(b, unit)
}

// heldCell is the room of one cause of being held back.
const heldCell = 29

// heldBackLines tell what holds the clocks back now, by name, and of each cause for how much of the time between the last readings it did, and for how long
// since the driver was loaded.
func (v *gpuView) heldBackLines(w int) []lineDraw {
	var lines []lineDraw
	if v.g.ThrottleBits >= 0 {
		words, st := v.heldNow()
		lines = append(lines, func(a area) {
			x := a.text(1, 0, "held back now by ", fg(colDim))
			a.cut(x, 0, a.w-x, words, st)
		})
	}
	var counted []heldBack
	for _, h := range heldBacks {
		if h.cause < noCounter && v.d.Throttle[h.cause].Total.Known() {
			counted = append(counted, h)
		}
	}
	if len(counted) == 0 {
		return lines
	}
	per := max(1, (w-1)/heldCell)
	rows := (len(counted) + per - 1) / per
	draw := func(a area, label, late, ever string, st style) {
		a.cut(0, 0, 14, label, fg(colDim))
		a.right(14, 0, 5, late, st)
		a.right(20, 0, 7, ever, st)
	}
	lines = append(lines, func(a area) {
		for k := range min(per, (len(counted)+rows-1)/rows) {
			draw(a.sub(1+k*heldCell, 0, heldCell-1, 1), "for how long", "LATE", "EVER", fg(colDim))
		}
	})
	for i := range rows {
		lines = append(lines, func(a area) {
			for k := range per {
				if at := k*rows + i; at < len(counted) {
					h := counted[at]
					c, st := v.d.Throttle[h.cause], style{}
					if h.bad && c.Pct >= 1 {
						st = fg(colWarn).with(bold)
					}
					draw(a.sub(1+k*heldCell, 0, heldCell-1, 1), h.words, formatPct(c.Pct), formatHeld(c.Total), st)
				}
			}
		})
	}
	return lines
}

// heldNow names what holds the clocks back now, worst first.
func (v *gpuView) heldNow() (string, style) {
	var bad, usual []string
	for _, h := range heldBacks {
		switch {
		case v.g.ThrottleBits&h.bit == 0:
		case h.bad:
			bad = append(bad, h.words)
		default:
			usual = append(usual, h.words)
		}
	}
	switch {
	case len(bad) > 0:
		return string(markWarning) + " " + strings.Join(append(bad, usual...), " · "), fg(colWarn).with(bold)
	case len(usual) > 0:
		return strings.Join(usual, " · "), style{}
	}
	return "nothing", style{}
}

// formatHeld is a time of seconds that may be long: "0s", "12s", "3h20m".
func formatHeld(seconds fleet.Reading) string {
	return formatShort(time.Duration(min(float64(seconds), 1e9) * float64(time.Second)))
}

// errors are what wore out, and what was done about it: by the driver's verdict first.
func (v *gpuView) errors(w int) []lineDraw {
	s := v.slow
	list := []fact{
		yes("ECC on", s.ECCMode, 0), yes("SRAM limit hit", s.SRAMThresholdExceeded, 1),
		number("ECC corrected", formatCount(s.ECCVolatileCorrected), false), damage("ECC uncorrected", s.ECCVolatileUncorrected),
		number("corrected ever", formatCount(s.ECCAggregateCorrected), false), damage("uncorrected ever", s.ECCAggregateUncorrected),
		damage("SRAM ever", s.SRAMUncorrected), number("rows remapped", formatPair(s.RemappedCorrected, s.RemappedUncorrected), s.RemappedUncorrected > 0),
		yes("remap pending", s.RemapPending, 1), yes("remap failed", s.RemapFailure, 1),
		number("pages retired", formatPair(s.RetiredPagesCorrected, s.RetiredPagesUncorrected), s.RetiredPagesUncorrected > 0), yes("pages pending", s.RetiredPending, 1),
		damage("resets", s.Resets.Total), damage("runs failed", s.ExecErrors.Total),
	}
	verdict, severity, told := s.Recovery()
	if !told && !known(list) {
		return v.nothing("errors")
	}
	var lines []lineDraw
	if told {
		k := severityMark(severity)
		lines = append(lines, func(a area) {
			x := a.text(1, 0, "the driver asks: ", fg(colDim))
			a.cut(x, 0, a.w-x, string(k.r)+" "+verdict, k.st)
		})
	}
	return append(lines, factLines(w, list)...)
}

// formatPair is counts for corrected and for uncorrected errors.
func formatPair(corrected, uncorrected fleet.Reading) string {
	if !corrected.Known() && !uncorrected.Known() {
		return absent
	}
	return formatCount(corrected) + "c " + formatCount(uncorrected) + "u"
}

func (v *gpuView) pcie(w int) []lineDraw {
	s, d := v.slow, v.d
	list := []fact{
		number("generation", formatNowMost(s.PCIeGen, s.PCIeGenMax, ""), false), number("width", formatNowMost(s.PCIeWidth, s.PCIeWidthMax, "×"), s.PCIeWidth < s.PCIeWidthMax),
		number("out", formatRate(d.PCIeTXBytesPerS), false), number("in", formatRate(d.PCIeRXBytesPerS), false),
		number("replays", formatCount(s.PCIeReplays), false), damage("rollovers", d.PCIeReplayRollovers),
		number("correctable", formatCount(d.PCIeCorrectableErrors), false), damage("non-fatal", d.PCIeNonFatalErrors),
		damage("fatal", d.PCIeFatalErrors), number("L0 to recovery", formatCount(d.PCIeL0ToRecovery), false),
		number("NAKs received", formatCount(d.PCIeNAKsReceived), false), number("NAKs sent", formatCount(d.PCIeNAKsSent), false),
		number("bad TLPs", formatCount(d.PCIeBadTLPs), false), number("bad DLLPs", formatCount(d.PCIeBadDLLPs), false), number("LCRC errors", formatCount(d.PCIeLCRCErrors), false),
	}
	if !known(list) {
		return v.nothing("PCIe")
	}
	return factLines(w, list)
}

// formatNowMost is "4 of 5".
func formatNowMost(now, most fleet.Reading, sign string) string {
	if !now.Known() && !most.Known() {
		return absent
	}
	return formatSigned(now, sign) + " of " + formatSigned(most, sign)
}

func formatSigned(r fleet.Reading, sign string) string {
	if !r.Known() {
		return absent
	}
	return sign + formatUnit(r, "")
}
