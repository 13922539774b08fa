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
	rows   []rankRow
	tasks  bool             // some row has a task
	at     map[string]int32 // rows by key
	of     []int32          // the row of each of the job's GPUs
	ranks  []fleet.Rank     // that the rows were made of
	pass   int              // how often they were read
	placed []placed
	page   int
}

// rankRow is a rank, or a GPU of the job without one.
type rankRow struct {
	key   string
	rank  *fleet.Rank // nil: none is known
	ref   *fleet.GPURef
	node  string // of its first GPU
	index int    // of its GPU, where there is no rank
	pass  int    // of the table in which it was last read
	with  int32  // the row of the rank whose GPU it shares; -1: it has its own, or none
	rankReading
}

// rankReading is what a rank's GPUs come to.
type rankReading struct {
	gpus   int
	values [numCompared]fleet.Reading // means over its GPUs
	known  [numCompared]int
	mem    fleet.Reading
	memAll fleet.Reading
	temp   fleet.Reading
	net    fleet.Reading
	mark   rune    // the worst of its GPUs; 0: none
	score  float64 // how unlike its peers it is, in percent points
	differ int     // in what: one of those compared; -1: in nothing
	by     float64
}

// unread is a reading before any GPU was added.
var unread = rankReading{mem: fleet.None(), memAll: fleet.None(), temp: fleet.None(), net: fleet.None(), differ: -1}

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
		{id: "task", title: "TASK", width: 10, ideal: 24, drop: 12},
		{id: "unlike", title: "UNLIKE ITS PEERS", width: 18, rest: true, down: true},
	}
}

// columns are those of a job's ranks: what none of them has is left out.
func (t *rankTable) columns() []column {
	all := rankColumns()
	if !t.tasks {
		all = slices.DeleteFunc(all, func(c column) bool { return c.id == "task" })
	}
	return all
}

// refresh takes over a job's ranks. Which rows there are seldom changes: then only their numbers are read anew.
func (t *rankTable) refresh(j *fleet.Job, snap *fleet.Snapshot, touched time.Time, force bool) {
	same := t.read(j)
	if !same {
		t.build(j)
		t.read(j)
	}
	t.compare()
	if same && !force && !t.mayResort(snap.At, touched) {
		return
	}
	rows := make([]rowKey, len(t.rows))
	for i := range t.rows {
		rows[i] = t.rows[i].sortKey(t.sort)
	}
	t.arrange(sortRows(rows, t.descending()), force || t.mayResort(snap.At, touched), snap.At)
}

type gpuKey struct {
	node string
	gpu  int
}

// build makes the rows: one a rank, and one for each GPU that no rank has.
func (t *rankTable) build(j *fleet.Job) {
	t.ranks, t.rows, t.of = j.Ranks, make([]rankRow, 0, max(len(j.Ranks), len(j.GPUs))), make([]int32, len(j.GPUs))
	owner := make(map[gpuKey]int32, len(j.GPUs))
	for i := range j.Ranks {
		r := &j.Ranks[i]
		with := int32(-1)
		for _, g := range r.GPUs {
			first, taken := owner[gpuKey{r.Node, g}]
			switch {
			case !taken:
				owner[gpuKey{r.Node, g}], with = int32(len(t.rows)), int32(len(t.rows))
			case with < 0:
				with = first
			}
		}
		if with == int32(len(t.rows)) {
			with = -1
		}
		t.rows = append(t.rows, rankRow{key: "rank " + strconv.Itoa(i), rank: r, node: r.Node, with: with, rankReading: unread})
	}
	for i := range j.GPUs {
		ref := &j.GPUs[i]
		row, ok := owner[gpuKey{ref.Node, ref.Index}]
		if !ok {
			row = int32(len(t.rows))
			owner[gpuKey{ref.Node, ref.Index}] = row
			t.rows = append(t.rows, rankRow{key: ref.Node + " GPU " + strconv.Itoa(ref.Index), node: ref.Node, index: ref.Index, with: -1, rankReading: unread})
		}
		t.of[i] = row
	}
	t.at, t.tasks = make(map[string]int32, len(t.rows)), false
	for i := range t.rows {
		t.tasks = t.tasks || t.rows[i].task() != ""
		t.at[t.rows[i].key] = int32(i)
	}
}

// task is a rank's place in its framework's words, and its pod's name.
func (r *rankRow) task() string {
	switch {
	case r.rank == nil:
		return ""
	case r.rank.Task == "" || r.rank.Pod == "":
		return r.rank.Task + r.rank.Pod
	}
	return r.rank.Task + " " + r.rank.Pod
}

// row finds a row by its key; nil when it is gone.
func (t *rankTable) row(key string) *rankRow {
	if i, ok := t.at[key]; ok {
		return &t.rows[i]
	}
	return nil
}

// read fills in what each row's GPUs come to; false: the rows are not those of the job as it is now.
func (t *rankTable) read(j *fleet.Job) bool {
	if len(t.of) != len(j.GPUs) || len(t.ranks) != len(j.Ranks) || len(t.rows) == 0 || len(j.Ranks) > 0 && &t.ranks[0] != &j.Ranks[0] {
		return false
	}
	t.pass++
	for i := range j.GPUs {
		r, ref := &t.rows[t.of[i]], &j.GPUs[i]
		if r.node != ref.Node || r.rank == nil && r.index != ref.Index {
			return false
		}
		if r.pass != t.pass {
			r.pass, r.ref, r.rankReading = t.pass, ref, unread
		}
		r.add(ref)
	}
	for i := range t.rows {
		r := &t.rows[i]
		for k, n := range r.known {
			if r.values[k] /= fleet.Reading(n); n == 0 {
				r.values[k] = fleet.None()
			}
		}
	}
	for i := range t.rows {
		if r := &t.rows[i]; r.with >= 0 && r.pass != t.pass { // several ranks on one GPU: its readings are those of all of them
			r.ref, r.rankReading = t.rows[r.with].ref, t.rows[r.with].rankReading
		}
	}
	return true
}

func (r *rankRow) add(ref *fleet.GPURef) {
	r.gpus++
	if k := gpuMark(ref.GPU, ref.State); markRank(k) > markRank(r.mark) {
		r.mark = k
	}
	g := ref.GPU
	if g == nil || ref.State != fleet.Live {
		return
	}
	if g.Stale == 0 {
		for i, v := range [numCompared]fleet.Reading{g.PowerPct(), g.UtilPct, g.TensorActivityPct, g.ClockPct()} {
			if v.Known() {
				r.values[i] += v
				r.known[i]++
			}
		}
	}
	r.mem, r.memAll = plus(r.mem, g.MemUsedBytes), plus(r.memAll, g.MemTotalBytes)
	r.net = plus(r.net, plus(g.NetRxBytesPerS, g.NetTxBytesPerS))
	if g.TempC.Known() && !(r.temp >= g.TempC) {
		r.temp = g.TempC
	}
}

// compare says of each rank how far it is from the middle of all, where there are peers to speak of.
func (t *rankTable) compare() {
	middle := t.middle()
	for i := range t.rows {
		r := &t.rows[i]
		for k := range middle {
			if by := float64(r.values[k]) - middle[k]; math.Abs(by) > r.score {
				r.by, r.score, r.differ = by, math.Abs(by), k
			}
		}
	}
}

// middle is the median of what the rows have of each thing, to the half percent; NaN where fewer than three have it. It is found by counting: ten thousand values are
// not sorted for each picture.
func (t *rankTable) middle() (middle [numCompared]float64) {
	const steps = 512 // up to 256 %
	var count [numCompared][steps]int32
	var n [numCompared]int32
	for i := range t.rows {
		for k, v := range t.rows[i].values {
			if v.Known() {
				count[k][max(0, min(steps-1, int(2*v+0.5)))]++
				n[k]++
			}
		}
	}
	for k := range middle {
		middle[k] = math.NaN()
		seen := int32(0)
		for i, c := range count[k] {
			if seen += c; n[k] >= 3 && seen > n[k]/2 {
				middle[k] = float64(i) / 2
				break
			}
		}
	}
	return middle
}

// how is in what a rank differs from its peers: "power -62"; "" where it does not.
func (r *rankRow) how() string {
	if r.score < unlikeLeast || r.differ < 0 {
		return ""
	}
	return comparedWords[r.differ] + " " + signed(r.by)
}

// signed is "+12" or "−12".
func signed(d float64) string {
	if d < 0 {
		return "-" + formatWhole(-d)
	}
	return "+" + formatWhole(d)
}

func (r *rankRow) sortKey(by string) rowKey {
	k := rowKey{key: r.key, num: math.NaN()}
	switch by {
	case "rank":
		if r.rank != nil {
			k.num = float64(r.rank.Rank)
		}
	case "node":
		k.word = r.node
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
	case "task":
		k.word = r.task()
	case "unlike":
		k.num = 1000*float64(markRank(r.mark)) + math.Round(r.score/2)
	}
	return k
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
	if r := t.row(t.selected()); r != nil {
		return r.node
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
