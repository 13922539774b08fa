package report

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"time"

	"foretop/fleet"
)

// heatMap is one quantity over time: a row a GPU or a node, columns of equal time.
type heatMap struct {
	Title    string
	Unit     string
	Of       string // what a row is, in words
	Low, Top float64
	Rows     []heatRow
	From, To time.Time
	Notes    []string // which rows are unlike the others
}

type heatRow struct {
	Label  string
	Values []float64 // NaN where nothing is known
}

const (
	heatColumns = 120
	maxGPURows  = 128 // of more GPUs a row is a node
	maxNodeRows = 512
	heatLevels  = 10
)

// device is a GPU that the report is about.
type device struct {
	node string
	gpu  int
	rank int // -1 none known
}

type deviceKey struct {
	node string
	gpu  int
}

// hold notes the GPUs of the job, or of the fleet.
func (g *gathered) hold(s *fleet.Snapshot) {
	add := func(node string, gpu, rank int) {
		k := deviceKey{node, gpu}
		i, known := g.seen[k]
		if !known {
			i = len(g.devices)
			g.seen[k] = i
			g.devices = append(g.devices, device{node, gpu, -1})
		}
		if rank >= 0 {
			g.devices[i].rank = rank
		}
	}
	if g.opt.Job != "" {
		if j := g.job; j != nil {
			for i := range j.GPUs {
				add(j.GPUs[i].Node, j.GPUs[i].Index, j.GPUs[i].Rank)
			}
		}
		return
	}
	for _, n := range s.Nodes {
		for i := range n.GPUs {
			add(n.Name, n.GPUs[i].Index, -1)
		}
	}
}

// quantity is a series as a map shows it.
type quantity struct {
	series   fleet.SeriesID
	title    string
	unit     string
	low, top float64 // of the scale; top 0: the most that was seen
	highest  bool    // of a node the highest of its GPUs is told, else the lowest
}

var quantities = []quantity{
	{fleet.SeriesPower, "Power", "% of its limit", 0, 100, false},
	{fleet.SeriesUtil, "Utilisation", "%", 0, 100, false},
	{fleet.SeriesTensor, "Tensor activity", "%", 0, 100, false},
	{fleet.SeriesMem, "GPU memory", "%", 0, 100, true},
	{fleet.SeriesTempC, "Temperature", "°C", 20, 100, true},
	{fleet.SeriesClock, "SM clock", "% of its maximum", 0, 100, false},
	{fleet.SeriesNet, "Network of the GPU's ports", "bytes/s", 0, 0, false},
}

var hostQuantities = []quantity{
	{fleet.SeriesCPU, "CPU", "% busy", 0, 100, true},
	{fleet.SeriesHostMem, "Host memory", "%", 0, 100, true},
	{fleet.SeriesHostDisk, "Disks", "bytes/s", 0, 0, true},
}

// row is what a row of a map is made of.
type row struct {
	label string
	node  string
	gpus  []int // none: the node's own numbers
}

// maps are the heat maps of all quantities that have numbers, and how many rows were left out.
func (g *gathered) maps(src Source, from, to time.Time) (maps []heatMap, left int) {
	if !to.After(from) {
		return nil, 0
	}
	nodes := slices.Clone(g.order)
	if len(nodes) > maxNodeRows {
		left = len(nodes) - maxNodeRows
		nodes = g.worstNodes()[:maxNodeRows]
	}
	rows, of := g.rows(nodes)
	add := func(q quantity, rows []row, of string) {
		if m := g.draw(src, q, rows, from, to); m != nil {
			m.Of = of
			maps = append(maps, *m)
		}
	}
	for _, q := range quantities {
		words := of
		if len(rows) > 0 && len(rows[0].gpus) > 1 {
			words += map[bool]string{true: ", its highest GPU", false: ", its lowest GPU"}[q.highest]
		}
		add(q, rows, words)
	}
	host := make([]row, len(nodes))
	for i, name := range nodes {
		host[i] = row{label: name, node: name}
	}
	for _, q := range hostQuantities {
		add(q, host, "a row is a node")
	}
	return maps, left
}

// rows are those of the GPUs.
func (g *gathered) rows(nodes []string) ([]row, string) {
	var rows []row
	if len(g.devices) <= maxGPURows {
		for _, d := range g.devices {
			label := fmt.Sprintf("%s GPU%d", d.node, d.gpu)
			if d.rank >= 0 {
				label += fmt.Sprintf(" rank %d", d.rank)
			}
			rows = append(rows, row{label, d.node, []int{d.gpu}})
		}
		return rows, "a row is a GPU"
	}
	at := map[string]int{}
	for _, name := range nodes {
		at[name] = len(rows)
		rows = append(rows, row{label: name, node: name})
	}
	for _, d := range g.devices {
		if i, shown := at[d.node]; shown {
			rows[i].gpus = append(rows[i].gpus, d.gpu)
		}
	}
	return slices.DeleteFunc(rows, func(r row) bool { return len(r.gpus) == 0 }), "a row is a node"
}

// worstNodes are all nodes, those with the worst findings first.
func (g *gathered) worstNodes() []string {
	worst := map[string]fleet.Severity{}
	for _, e := range g.found.list {
		worst[e.Node] = max(worst[e.Node], e.Severity)
	}
	nodes := slices.Clone(g.order)
	slices.SortStableFunc(nodes, func(a, b string) int { return -cmp.Compare(worst[a], worst[b]) })
	return nodes
}

// draw reads a quantity's past; nil: nothing is known of it.
func (g *gathered) draw(src Source, q quantity, rows []row, from, to time.Time) *heatMap {
	m := &heatMap{Title: q.title, Unit: q.unit, Low: q.low, Top: q.top, From: from, To: to}
	columns := int(min(heatColumns, max(1, to.Sub(from)/time.Second)))
	if !reaches(src, to.Sub(from)) {
		columns = min(columns, maxSteps)
	}
	known := false
	for _, r := range rows {
		values := nothing(columns)
		gpus := r.gpus
		if len(gpus) == 0 {
			gpus = []int{-1}
		}
		for _, gpu := range gpus {
			merge(values, g.numbersOf(src, fleet.Query{Node: r.node, GPU: gpu, Series: q.series, Span: to.Sub(from), Points: columns}, from, to), q.highest)
		}
		for _, v := range values {
			if v == v {
				known = true
				if q.top == 0 {
					m.Top = max(m.Top, v)
				}
			}
		}
		m.Rows = append(m.Rows, heatRow{plain(r.label), values})
	}
	if !known {
		return nil
	}
	if m.Top <= m.Low {
		m.Top = m.Low + 1
	}
	m.Notes = m.unlike(g.opt.Location)
	return m
}

// reaches says that histories are kept for so long.
func reaches(src Source, span time.Duration) bool {
	return src.History != nil && (src.Reach == 0 || span <= src.Reach)
}

// numbersOf is a quantity over time: its history, or the readings of snapshots where that does not reach so far.
func (g *gathered) numbersOf(src Source, q fleet.Query, from, to time.Time) []float64 {
	switch {
	case reaches(src, q.Span):
		return src.History(to, q)
	case q.GPU < 0:
		if i := slices.Index(g.order, q.Node); i >= 0 {
			return g.numbers.host(i, q.Series, from, to, q.Points)
		}
	default:
		if i, known := g.seen[deviceKey{q.Node, q.GPU}]; known {
			return g.numbers.gpu(i, q.Series, from, to, q.Points)
		}
	}
	return nil
}

func nothing(n int) []float64 {
	out := make([]float64, n)
	for i := range out {
		out[i] = math.NaN()
	}
	return out
}

// merge takes over what is known of another row, where it is higher or lower.
func merge(into, from []float64, highest bool) {
	if len(from) != len(into) {
		return
	}
	for i, v := range from {
		if v == v && !math.IsInf(v, 0) && (into[i] != into[i] || (v > into[i]) == highest) {
			into[i] = v
		}
	}
}

// level is a value's place on the scale, 0 to heatLevels-1; -1 unknown.
func (m *heatMap) level(v float64) int {
	if v != v {
		return -1
	}
	return min(heatLevels-1, max(0, int((v-m.Low)/(m.Top-m.Low)*heatLevels)))
}

// at is when a column begins.
func (m *heatMap) at(column int) time.Time {
	return m.From.Add(m.To.Sub(m.From) * time.Duration(column) / time.Duration(len(m.Rows[0].Values)))
}

// mean is that of what is known; NaN nothing.
func mean(values []float64) float64 {
	sum, n := 0.0, 0
	for _, v := range values {
		if v == v {
			sum += v
			n++
		}
	}
	return sum / float64(n)
}

// number is a value with three digits or so.
func number(v float64) string {
	for _, unit := range []string{"", "k", "M", "G"} {
		if math.Abs(v) < 1000 || unit == "G" {
			if math.Abs(v) < 10 && unit != "" {
				return fmt.Sprintf("%.1f%s", v, unit)
			}
			return fmt.Sprintf("%.0f%s", v, unit)
		}
		v /= 1000
	}
	return ""
}

// mapsNote says of what time numbers are told, where that is not all of it.
func mapsNote(maps []heatMap, src Source, first, end, from time.Time) string {
	if len(maps) == 0 {
		return "No numbers were kept."
	}
	words := "Numbers are there for " + end.Sub(first).Round(time.Second).String()
	if src.Kept != "" {
		words += " (" + plain(src.Kept) + ")"
	}
	if !reaches(src, end.Sub(first)) {
		words += ", a reading every " + (end.Sub(first) / maxSteps).Round(time.Second).String()
	}
	if first.After(from) {
		return words + ", from when this program looked: foretop record keeps them while nobody looks."
	}
	return words + "."
}
