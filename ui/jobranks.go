package ui

import (
	"math"
	"slices"
	"strconv"
	"time"

	"foretop/fleet"
)

// rankTable is the table of a job's ranks. Who is unlike its peers comes first: in a job that goes in step all wait for one, so that the mean tells nothing, and the
// low value is as often the victim's as the culprit's.
type rankTable struct {
	list
	rows   map[string]*rankRow
	placed []placed
	page   int
	median [numCompared]float64
}

// rankRow is a rank, or a GPU of the job without one.
type rankRow struct {
	rank   *fleet.Rank // nil: none is known
	ref    *fleet.GPURef
	refs   []*fleet.GPURef
	values [numCompared]fleet.Reading // means over its GPUs
	mem    fleet.Reading
	memAll fleet.Reading
	temp   fleet.Reading
	net    fleet.Reading
	mark   rune    // the worst of its GPUs; 0: none
	score  float64 // how unlike its peers it is, in percent points
	how    string
}

// What is compared between peers, in percent.
const (
	comparePower = iota
	compareUtil
	compareTensor
	compareClock
	numCompared
)

var comparedWords = [numCompared]string{"power", "util", "tensor", "clock"}

// unlikeLeast is how many percent points a rank must differ to be called unlike its peers.
const unlikeLeast = 10

func rankColumns() []column {
	return []column{
		{id: "rank", title: "RANK", width: 5, right: true},
		{id: "node", title: "NODE", width: 8, ideal: 16},
		{id: "gpu", title: "GPU", width: 3, ideal: 5, right: true},
		{id: "pid", title: "PID", width: 7, right: true, drop: 9},
		{id: "power", title: "POWER", width: 5, right: true, down: true},
		{id: "util", title: "UTIL", width: 4, ideal: 5, right: true, drop: 4, down: true},
		{id: "tensor", title: "TENSOR", width: 6, right: true, drop: 5, down: true},
		{id: "clock", title: "CLOCK", width: 5, right: true, drop: 10, down: true},
		{id: "mem", title: "MEM", width: 8, right: true, drop: 7, down: true},
		{id: "net", title: "NET", width: 9, right: true, drop: 8, down: true},
		{id: "temp", title: "TEMP", width: 4, right: true, drop: 11, down: true},
		{id: "unlike", title: "UNLIKE ITS PEERS", width: 18, rest: true, down: true},
	}
}

// refresh takes over a job's ranks.
func (t *rankTable) refresh(j *fleet.Job, snap *fleet.Snapshot, touched time.Time, force bool) {
	t.rows = make(map[string]*rankRow, len(j.Ranks))
	order := make([]*rankRow, 0, len(j.Ranks))
	keys := make([]string, 0, len(j.Ranks))
	at := make(map[gpuKey]*rankRow, len(j.GPUs))
	add := func(key string, r *rankRow) {
		if t.rows[key] == nil {
			t.rows[key] = r
			order, keys = append(order, r), append(keys, key)
		}
	}
	for i := range j.Ranks {
		r := &j.Ranks[i]
		row := &rankRow{rank: r}
		for _, g := range r.GPUs {
			if k := (gpuKey{r.Node, g}); at[k] == nil {
				at[k] = row
			}
		}
		add("rank "+strconv.Itoa(r.Rank), row)
	}
	for i := range j.GPUs {
		ref := &j.GPUs[i]
		row := at[gpuKey{ref.Node, ref.Index}]
		if row == nil {
			row = &rankRow{}
			add(ref.Node+" GPU "+strconv.Itoa(ref.Index), row)
		}
		row.refs = append(row.refs, ref)
	}
	for _, r := range order {
		r.sum()
	}
	t.compare(order)
	rows := make([]rowKey, len(order))
	for i, r := range order {
		rows[i] = r.key(keys[i], t.sort)
	}
	t.arrange(sortRows(rows, t.descending()), force || t.mayResort(snap.At, touched), snap.At)
}

type gpuKey struct {
	node string
	gpu  int
}

// sum fills in what a rank's GPUs come to.
func (r *rankRow) sum() {
	read := [numCompared]func(*fleet.GPU) fleet.Reading{(*fleet.GPU).PowerPct, func(g *fleet.GPU) fleet.Reading { return g.UtilPct },
		func(g *fleet.GPU) fleet.Reading { return g.TensorActivityPct }, (*fleet.GPU).ClockPct}
	r.mem, r.memAll, r.temp, r.net = fleet.None(), fleet.None(), fleet.None(), fleet.None()
	var known [numCompared]int
	for _, ref := range r.refs {
		if r.ref == nil {
			r.ref = ref
		}
		if k := gpuMark(ref.GPU, ref.State); markRank(k) > markRank(r.mark) {
			r.mark = k
		}
		g := ref.GPU
		if g == nil || ref.State != fleet.Live {
			continue
		}
		for i := range read {
			if v := read[i](g); v.Known() && g.Stale == 0 {
				r.values[i] += v
				known[i]++
			}
		}
		r.mem, r.memAll = sum(r.mem, g.MemUsedBytes), sum(r.memAll, g.MemTotalBytes)
		r.net = sum(r.net, sum(g.NetRxBytesPerS, g.NetTxBytesPerS))
		if g.TempC.Known() && !(r.temp >= g.TempC) {
			r.temp = g.TempC
		}
	}
	for i := range r.values {
		if r.values[i] /= fleet.Reading(known[i]); known[i] == 0 {
			r.values[i] = fleet.None()
		}
	}
}

// compare says of each rank how far it is from the middle of all, where there are peers to speak of.
func (t *rankTable) compare(rows []*rankRow) {
	for i := range t.median {
		t.median[i] = math.NaN()
		var list []float64
		for _, r := range rows {
			if r.values[i].Known() {
				list = append(list, float64(r.values[i]))
			}
		}
		if len(list) >= 3 {
			slices.Sort(list)
			t.median[i] = list[len(list)/2]
		}
	}
	for _, r := range rows {
		for i := range t.median {
			if d := float64(r.values[i]) - t.median[i]; math.Abs(d) > math.Abs(r.score) {
				r.score = d
				r.how = comparedWords[i] + " " + signed(d)
			}
		}
		if math.Abs(r.score) < unlikeLeast {
			r.how = ""
		}
		r.score = math.Abs(r.score)
	}
}

// signed is "+12" or "−12".
func signed(d float64) string {
	if d < 0 {
		return "-" + formatWhole(-d)
	}
	return "+" + formatWhole(d)
}

func (r *rankRow) key(key, by string) rowKey {
	k := rowKey{key: key, num: math.NaN()}
	switch by {
	case "rank":
		if r.rank != nil {
			k.num = float64(r.rank.Rank)
		}
	case "node":
		k.word = r.nodeName()
	case "gpu":
		if r.ref != nil {
			k.num = float64(r.ref.Index)
		}
	case "pid":
		if r.rank != nil {
			k.num = float64(r.rank.PID)
		}
	case "power":
		k.num = float64(r.values[comparePower])
	case "util":
		k.num = float64(r.values[compareUtil])
	case "tensor":
		k.num = float64(r.values[compareTensor])
	case "clock":
		k.num = float64(r.values[compareClock])
	case "mem":
		k.num = float64(r.mem.Share(r.memAll))
	case "net":
		k.num = float64(r.net)
	case "temp":
		k.num = float64(r.temp)
	case "unlike":
		k.num = 1000*float64(markRank(r.mark)) + math.Round(r.score/2)
	}
	return k
}

func (r *rankRow) nodeName() string {
	switch {
	case r.rank != nil:
		return r.rank.Node
	case r.ref != nil:
		return r.ref.Node
	}
	return ""
}

func (t *rankTable) descending() bool {
	for _, c := range rankColumns() {
		if c.id == t.sort {
			return c.down != t.reverse
		}
	}
	return false
}

// node is that of the selected rank; "" when there is none.
func (t *rankTable) node() string {
	if r := t.rows[t.selected()]; r != nil {
		return r.nodeName()
	}
	return ""
}

func (t *rankTable) title() string {
	if len(t.keys) == 0 {
		return "ranks"
	}
	words := "ranks"
	if t.sort == "unlike" && !t.reverse {
		words += ", most unlike its peers first"
	}
	if t.page < len(t.keys) && t.page > 0 {
		words += ", " + strconv.Itoa(t.top+1) + "–" + strconv.Itoa(min(t.top+t.page, len(t.keys))) + " of " + strconv.Itoa(len(t.keys))
	}
	return words
}

// openRank goes to the node of the selected rank.
func (m *Model) openRank() {
	r := m.job.ranks.rows[m.job.ranks.selected()]
	if r == nil {
		m.notice = "no rank is selected"
		return
	}
	gpu := -1
	if r.ref != nil {
		gpu = r.ref.Index
	}
	m.openNode(screenNode, r.nodeName(), gpu)
}

// rankInfo is the selected rank in full: its process, and its GPU.
func (m *Model) rankInfo(a area) [][]span {
	r := m.job.ranks.rows[m.job.ranks.selected()]
	if r == nil {
		return nil
	}
	who := []span{{r.nodeName(), fg(colStrong)}}
	rank := -1
	if r.rank != nil && r.rank.Rank >= 0 {
		rank = r.rank.Rank
		who = append(who, span{" rank " + strconv.Itoa(rank), fg(colStrong)})
	}
	n := m.index.node(r.nodeName())
	if r.ref == nil || r.ref.GPU == nil || n == nil {
		return [][]span{append(who, span{"  no GPU of it is known; the node is " + m.index.state(r.nodeName()).String(), fg(colStale)})}
	}
	who = append(who, span{" GPU " + strconv.Itoa(r.ref.Index), fg(colStrong)})
	words, numbers := append(who, gpuWords(n, r.ref.GPU, rank, false)...), []span{{" " + gpuNumbers(r.ref.GPU), style{}}}
	if all := append(words[:len(words):len(words)], numbers...); a.h == 1 || spansWidth(a, all) < a.w {
		return [][]span{all}
	}
	return [][]span{words, numbers}
}

// drawRanks draws the table.
func (m *Model) drawRanks(a area) {
	t := &m.job.ranks
	if len(t.keys) == 0 {
		t.page = 0
		a.cut(tableIndent, 0, a.w-tableIndent, "no rank and no GPU of it is seen", fg(colDim))
		return
	}
	t.placed = placeColumns(rankColumns(), a.w)
	drawHeader(a, 0, t.placed, t.sort, t.descending())
	t.page = max(1, a.h-1)
	top, at := t.scroll(t.page), t.list.index()
	focused := m.place() == placeRanks
	for i, y := top, 1; i < len(t.keys) && y < a.h; i, y = i+1, y+1 {
		r := t.rows[t.keys[i]]
		if r == nil {
			continue
		}
		drawRow(a, y, t.placed, i == at && focused, false, focused, func(box area, p *placed) { t.cell(box, p, r) })
		m.hit(a, y, func() { t.moveTo(i); m.job.focused = secJobRanks })
	}
}

func (t *rankTable) cell(a area, p *placed, r *rankRow) {
	num := func(s string) {
		st := style{}
		if s == absent {
			st = fg(colDim)
		}
		a.right(0, 0, p.cells, s, st)
	}
	switch p.id {
	case "rank":
		if r.rank == nil || r.rank.Rank < 0 {
			num(absent)
			return
		}
		a.right(0, 0, p.cells, strconv.Itoa(r.rank.Rank), fg(colStrong))
	case "node":
		a.cut(0, 0, p.cells, tail(r.nodeName(), p.cells), style{})
	case "gpu":
		switch {
		case r.ref == nil:
			num(absent)
		case len(r.refs) > 1:
			num(strconv.Itoa(r.ref.Index) + "+" + strconv.Itoa(len(r.refs)-1))
		default:
			num(strconv.Itoa(r.ref.Index))
		}
	case "pid":
		if r.rank == nil {
			num(absent)
			return
		}
		num(strconv.Itoa(int(r.rank.PID)))
	case "power":
		num(formatPct(r.values[comparePower]))
	case "util":
		num(formatPct(r.values[compareUtil]))
	case "tensor":
		num(formatPct(r.values[compareTensor]))
	case "clock":
		num(formatPct(r.values[compareClock]))
	case "mem":
		num(formatUsed(r.mem, r.memAll))
	case "net":
		num(formatRate(r.net))
	case "temp":
		num(formatUnit(r.temp, "°"))
	case "unlike":
		t.drawUnlike(a, p, r)
	}
}

// drawUnlike draws what is wrong with a rank's GPU, and how it differs from the others.
func (t *rankTable) drawUnlike(a area, p *placed, r *rankRow) {
	x := 0
	if r.mark != 0 {
		st := fg(colStale)
		switch r.mark {
		case markCritical:
			st = fg(colCrit)
		case markWarning:
			st = fg(colWarn)
		case markIdle:
			st = style{}
		}
		words := map[rune]string{markCritical: "failed", markWarning: "warning", markStale: "not renewed", markUnknown: "not known", markIdle: "idle"}[r.mark]
		if r.ref != nil && r.ref.Empty {
			words = "no process"
		}
		x = a.text(0, 0, string(r.mark)+" "+words+" ", st)
	} else if r.ref != nil && r.ref.Empty {
		x = a.text(0, 0, string(markIdle)+" no process ", style{})
	}
	a.cut(x, 0, p.cells-x, r.how, fg(colWarn))
}
