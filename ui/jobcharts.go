package ui

import (
	"math"
	"strconv"
	"time"

	"foretop/fleet"

	tea "charm.land/bubbletea/v2"
)

// jobCharts are the past of a job: means over its GPUs, or over as many of them, spread evenly, as can be asked without waiting.
type jobCharts struct {
	asked   jobAsk
	askedAt time.Time
	asking  bool
	history jobHistoryMsg
}

// jobAsk is what curves are wanted of which job.
type jobAsk struct {
	job    string
	metric fleet.SeriesID
	until  time.Time // the moment on screen; zero: now
}

// jobHistoryMsg is the past of a job.
type jobHistoryMsg struct {
	ask    jobAsk
	of     int // GPUs that it is the mean of
	curves map[fleet.SeriesID][]float64
}

// chartGPUs bounds how many GPUs of a job are asked for their past.
const chartGPUs = 48

// jobHistoryEvery is how often: it is dearer than a node's.
const jobHistoryEvery = 3 * time.Second

// chartsLeast is the height of the charts' section at least.
const chartsLeast = 9

func (c *jobCharts) take(msg jobHistoryMsg) { c.asking, c.history = false, msg }

func (c *jobCharts) title(j *fleet.Job, span string) string {
	words := span + ", mean of "
	if n := c.history.of; n > 0 && n < len(j.GPUs) && c.history.ask.job == j.Key {
		return words + strconv.Itoa(n) + " of " + count(len(j.GPUs), "GPU")
	}
	return words + count(len(j.GPUs), "GPU")
}

// jobHistoryCmd asks for the curves of the job on screen, when they are due and none are on their way.
func (m *Model) jobHistoryCmd() tea.Cmd {
	c := &m.job.charts
	if m.snap == nil || m.screen != screenJob || m.opt.Source == nil && !m.travels() || c.asking {
		return nil
	}
	j := m.jobs.selectedJob()
	if j == nil || len(j.GPUs) == 0 {
		return nil
	}
	ask := jobAsk{j.Key, m.metric.def().series, m.chartsUntil(jobHistoryEvery)}
	if ask == c.asked && m.snap.At.Sub(c.askedAt) < jobHistoryEvery {
		return nil
	}
	c.asked, c.askedAt, c.asking = ask, m.snap.At, true
	history := m.historyUntil(ask.until)
	n := min(len(j.GPUs), chartGPUs)
	gpus := make([]gpuKey, n)
	for i := range gpus {
		ref := &j.GPUs[i*len(j.GPUs)/n]
		gpus[i] = gpuKey{ref.Node, ref.Index}
	}
	return func() tea.Msg {
		msg := jobHistoryMsg{ask: ask, of: n, curves: map[fleet.SeriesID][]float64{}}
		for _, id := range []fleet.SeriesID{ask.metric, fleet.SeriesNet, fleet.SeriesMem} {
			if _, ok := msg.curves[id]; !ok && id < noSeries {
				msg.curves[id] = meanCurve(history, gpus, id)
			}
		}
		return msg
	}
}

// meanCurve is the mean of the GPUs' curves, at each point of those that are known there.
func meanCurve(history func(fleet.Query) []float64, gpus []gpuKey, id fleet.SeriesID) []float64 {
	total, known := make([]float64, historyPoints), make([]int, historyPoints)
	for _, g := range gpus {
		for i, v := range history(fleet.Query{Node: g.node, GPU: g.gpu, Series: id, Span: historySpan, Points: historyPoints}) {
			if v == v && i < len(total) {
				total[i] += v
				known[i]++
			}
		}
	}
	for i := range total {
		if total[i] /= float64(known[i]); known[i] == 0 {
			total[i] = math.NaN()
		}
	}
	return total
}

// drawJobCharts draws the chosen metric, what goes over the network, and memory, one below another.
func (m *Model) drawJobCharts(a area, j *fleet.Job) {
	c := &m.job.charts
	if len(j.GPUs) == 0 || c.history.ask.job != j.Key {
		a.cut(tableIndent, 0, a.w-tableIndent, "no past is known yet", fg(colDim))
		return
	}
	d := m.metric.def()
	type chart struct {
		id       fleet.SeriesID
		title    string
		from, to float64
		words    func(float64) string
	}
	percent := func(v float64) string { return formatWhole(v) }
	rate := func(v float64) string { return formatRate(fleet.Reading(v)) }
	charts := []chart{}
	if d.series < noSeries && d.series != fleet.SeriesNet && d.series != fleet.SeriesMem {
		charts = append(charts, chart{d.series, d.title + " (m)", d.from, curveTop(d), percent})
	}
	charts = append(charts, chart{fleet.SeriesNet, "network of one GPU", 0, highest(c.history.curves[fleet.SeriesNet], 1e9), rate},
		chart{fleet.SeriesMem, "memory used, %", 0, 100, percent})
	each := max(2, a.h/len(charts))
	for i, ch := range charts {
		box := a.sub(0, i*each, a.w, min(each, a.h-i*each))
		if box.h < 2 {
			return
		}
		const axis = 10
		box.cut(tableIndent, 0, box.w-tableIndent, ch.title+", "+lastKnown(c.history.curves[ch.id], m.nowWord(), ch.words), fg(colDim))
		box.right(0, 1, axis-1, ch.words(ch.to), fg(colDim))
		if box.h > 2 {
			box.right(0, box.h-1, axis-1, ch.words(ch.from), fg(colDim))
		}
		drawCurve(box.sub(axis, 1, box.w-axis-1, box.h-1), c.history.curves[ch.id], ch.from, ch.to, fg(colAccent))
	}
}

// highest is the top of a scale for a curve: a power of two times least.
func highest(curve []float64, least float64) float64 {
	top := least
	for _, v := range curve {
		for v > top && top < 1e15 {
			top *= 2
		}
	}
	return top
}

// lastKnown is the newest value of a curve in words.
func lastKnown(curve []float64, now string, words func(float64) string) string {
	for i := len(curve) - 1; i >= 0; i-- {
		if curve[i] == curve[i] {
			return now + " " + words(curve[i])
		}
	}
	return "not known"
}
