package ui

import (
	"foretop/config"
	"foretop/fleet"
)

// metric is what the grid shows of a GPU: a place in metrics.
type metric int

// metricDef says how a metric is read, worded and scaled.
type metricDef struct {
	title  string // "power % of limit"
	short  string // "power"
	unit   string
	series fleet.SeriesID
	// high says that the highest value is the worst one: the lowest is otherwise.
	high bool
	// from and to are the values at the ends of the ramp, in the unit shown.
	from, to float64
	read     func(g *fleet.GPU) fleet.Reading // in the unit shown
}

// networkFullGBps is the ramp's upper end for the network: one 400 Gbit/s port, both ways, since what is shown is the sum of both.
const networkFullGBps = 2 * 50

// nvlinkFullGBps is the upper end for NVLink: the eighteen links of an H100, both ways.
const nvlinkFullGBps = 900

// metrics are in the order of config.Metrics.
var metrics = []metricDef{
	{"power % of limit", "power", "%", fleet.SeriesPower, false, 0, 100, (*fleet.GPU).PowerPct},
	{"utilisation %", "util", "%", fleet.SeriesUtil, false, 0, 100, func(g *fleet.GPU) fleet.Reading { return g.UtilPct }},
	{"tensor activity %", "tensor", "%", fleet.SeriesTensor, false, 0, 100, func(g *fleet.GPU) fleet.Reading { return g.TensorActivityPct }},
	{"memory used %", "mem", "%", fleet.SeriesMem, true, 0, 100, (*fleet.GPU).MemPct},
	{"temperature °C", "temp", "°", fleet.SeriesTempC, true, 25, 90, func(g *fleet.GPU) fleet.Reading { return g.TempC }},
	{"SM clock % of maximum", "clock", "%", fleet.SeriesClock, false, 0, 100, (*fleet.GPU).ClockPct},
	{"network in+out GB/s", "net", " GB/s", fleet.SeriesNet, false, 0, networkFullGBps, networkGBps},
	{"NVLink in+out GB/s", "nvlink", " GB/s", noSeries, false, 0, nvlinkFullGBps, func(g *fleet.GPU) fleet.Reading { return g.NVLinkBytesPerS() / 1e9 }},
}

func networkGBps(g *fleet.GPU) fleet.Reading { return sum(g.NetRxBytesPerS, g.NetTxBytesPerS) / 1e9 }

// sum adds what is known; it is absent only where nothing is.
func sum(readings ...fleet.Reading) fleet.Reading {
	total, known := fleet.Reading(0), false
	for _, r := range readings {
		if r.Known() {
			total, known = total+r, true
		}
	}
	if !known {
		return fleet.None()
	}
	return total
}

// plus is sum of two.
func plus(a, b fleet.Reading) fleet.Reading {
	switch {
	case !a.Known():
		return b
	case !b.Known():
		return a
	}
	return a + b
}

// metricOf finds a metric by its word in the configuration; the first one where there is none such.
func metricOf(word string) metric {
	for i, w := range config.Metrics() {
		if w == word && i < len(metrics) {
			return metric(i)
		}
	}
	return 0
}

func (m metric) def() *metricDef { return &metrics[m] }

// step goes d metrics on, round and round.
func (m metric) step(d int) metric {
	n := len(metrics)
	return metric(((int(m)+d)%n + n) % n)
}

// level is the step of a ramp with n steps for a value.
func (d *metricDef) level(v float64, n int) int {
	share := (v - d.from) / (d.to - d.from)
	return max(0, min(n-1, int(share*float64(n))))
}
