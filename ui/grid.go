package ui

import (
	"slices"
	"strings"

	"foretop/fleet"
	"foretop/jobs/layout"
)

// gridRow is a node of the grid and the GPUs of it that belong there, by rank.
type gridRow struct {
	node  string
	label string
	state fleet.State
	alarm bool   // its host key has changed or is revoked
	ranks string // "128-135"
	refs  []fleet.GPURef
	looks []look  // of refs
	units []int32 // their numbers in the layout; nil where none is known
}

// grid is what a grid shows: of one job, or of the whole fleet.
type grid struct {
	snap  *fleet.Snapshot // what it was made of
	key   string          // the job's; "" the fleet's
	rows  []gridRow
	cols  int            // the most GPUs of a row
	label int            // cells of the longest label
	first spot           // the worst one
	def   *metricDef     // what its cells show
	refs  []fleet.GPURef // backing of all rows
	looks []look         // of all rows
	names []string       // of which rowOf was made
	rowOf map[string]int

	layout *layout.Layout // of the job; nil none
	plan   *plan          // the rows are those of the layout; nil: nodes
	plans  *plan          // the last that was made
	units  []int32        // backing of all rows
	given  []int32        // the number in the layout of each GPU of the job
	peers  peers
}

// build fills the grid from a job, or from all nodes when job is nil: by node, or where planned by its layout. It does nothing when it already holds that.
func (g *grid) build(snap *fleet.Snapshot, job *fleet.Job, l *layout.Layout, planned bool, def *metricDef, state func(string) fleet.State) {
	key := ""
	if job != nil {
		key = job.Key
	}
	if g.snap == snap && g.key == key && g.def == def && g.layout == l && (g.plan != nil) == (planned && l != nil) {
		return
	}
	g.layout, g.plan, g.def = l, nil, def
	g.snap, g.key, g.rows, g.cols, g.label = snap, key, g.rows[:0], 0, 0
	if l != nil {
		if n := max(l.World, len(job.GPUs)); len(g.units) < n {
			g.units = make([]int32, n)
		}
	}
	switch {
	case job == nil:
		g.ofFleet(snap)
	case planned && l != nil:
		if g.plans == nil || g.plans.l != l {
			g.plans = makePlan(l)
		}
		g.plan = g.plans
		g.ofPlan(job)
	default:
		g.ofJob(job, state)
	}
	short := commonDomain(g.rows)
	g.looks = g.looks[:0]
	for i := range g.rows {
		r := &g.rows[i]
		from := len(g.looks)
		for j := range r.refs {
			g.looks = append(g.looks, lookOf(&r.refs[j], def))
		}
		r.looks = g.looks[from:]
		if g.plan == nil {
			r.label = strings.TrimSuffix(r.node, short)
		}
		g.cols, g.label = max(g.cols, len(r.refs)), max(g.label, textWidth(r.label, false))
	}
	g.first = g.worst()
}

func (g *grid) ofFleet(snap *fleet.Snapshot) {
	total := 0
	for _, n := range snap.Nodes {
		total += len(n.GPUs)
	}
	refs := g.room(total)
	for _, n := range snap.Nodes {
		from := len(refs)
		for i := range n.GPUs {
			rank := -1
			if h := n.GPUs[i].Holders; len(h) > 0 {
				rank = h[0].Rank
			}
			refs = append(refs, fleet.GPURef{Node: n.Name, Index: n.GPUs[i].Index, Rank: rank, GPU: &n.GPUs[i], State: n.State})
		}
		g.rows = append(g.rows, gridRow{node: n.Name, state: n.State, alarm: n.State != fleet.Live && reachSeverity(n) == fleet.Critical, refs: refs[from:]})
	}
}

func (g *grid) ofJob(job *fleet.Job, state func(string) fleet.State) {
	if g.names == nil || !slices.Equal(g.names, job.Nodes) { // the names seldom change
		g.names, g.rowOf = job.Nodes, make(map[string]int, len(job.Nodes))
		for i, name := range job.Nodes {
			g.rowOf[name] = i
		}
	}
	for _, name := range job.Nodes {
		g.rows = append(g.rows, gridRow{node: name, state: state(name)})
	}
	// Count, then fill: each row is a piece of one slice. Ranks of a node mostly follow one another, so the last row is tried first.
	counts, last := make([]int, len(g.rows)), -1
	rowOf := func(name string) int {
		if last >= 0 && g.rows[last].node == name {
			return last
		}
		i, ok := g.rowOf[name]
		if !ok {
			i = len(g.rows)
			g.names, g.rowOf[name], g.rows, counts = nil, i, append(g.rows, gridRow{node: name, state: state(name)}), append(counts, 0)
		}
		last = i
		return i
	}
	for i := range job.GPUs {
		counts[rowOf(job.GPUs[i].Node)]++
	}
	all, at := g.room(len(job.GPUs))[:len(job.GPUs)], 0
	var numbers []int32
	if g.layout != nil {
		g.given = units(g.given, g.layout, job)
		numbers = g.given
	}
	for i, n := range counts {
		g.rows[i].refs = all[at:at:(at + n)]
		if numbers != nil {
			g.rows[i].units = g.units[at:at:(at + n)]
		}
		at += n
	}
	for i := range job.GPUs {
		r := &g.rows[rowOf(job.GPUs[i].Node)]
		r.refs = append(r.refs, job.GPUs[i])
		if numbers != nil {
			r.units = append(r.units, numbers[i])
		}
	}
}

func (g *grid) room(n int) []fleet.GPURef {
	if cap(g.refs) < n {
		g.refs = make([]fleet.GPURef, 0, n+n/4)
	}
	return g.refs[:0]
}

// rankRoom words the ranks of each row and gives the columns that they need, with a blank before them.
func (g *grid) rankRoom() int {
	most := 0
	for i := range g.rows {
		r := &g.rows[i]
		list := make([]int, 0, len(r.refs))
		for j := range r.refs {
			if r.refs[j].Rank >= 0 {
				list = append(list, r.refs[j].Rank)
			}
		}
		r.ranks = tail(ranges(sortedUnique(list)), 10)
		most = max(most, textWidth(r.ranks, false))
	}
	if most == 0 {
		return 0
	}
	return most + 1
}

// commonDomain is what all nodes' names end in, from a dot on: it is left out of labels. Names that begin with a digit may be addresses.
func commonDomain(rows []gridRow) string {
	if len(rows) < 2 {
		return ""
	}
	first := rows[0].node
	dot := strings.IndexByte(first, '.')
	if dot <= 0 || first[0] >= '0' && first[0] <= '9' {
		return ""
	}
	for _, r := range rows {
		if len(r.node) <= len(first[dot:]) || !strings.HasSuffix(r.node, first[dot:]) {
			return ""
		}
	}
	return first[dot:]
}

// spot is a place in a grid: a row and a GPU of it.
type spot struct{ row, col int }

// worst is the place that should be looked at first: of the worst shapes the first one. Values alone do not count, for they change every second.
func (g *grid) worst() spot {
	best, rank := spot{}, 0
	for i := range g.rows {
		for j := range g.rows[i].looks {
			if k := markRank(g.rows[i].looks[j].mark); k > rank {
				best, rank = spot{i, j}, k
			}
		}
	}
	return best
}

// find gives the place of a GPU; ok is false when it is not in the grid.
func (g *grid) find(node string, index int) (spot, bool) {
	if g.plan != nil {
		for i := range g.rows {
			for j := range g.rows[i].refs {
				if r := &g.rows[i].refs[j]; r.Index == index && r.Node == node {
					return spot{i, j}, true
				}
			}
		}
		return spot{}, false
	}
	for i := range g.rows {
		if g.rows[i].node != node {
			continue
		}
		for j := range g.rows[i].refs {
			if g.rows[i].refs[j].Index == index {
				return spot{i, j}, true
			}
		}
		return spot{i, 0}, true
	}
	return spot{}, false
}

// at gives the GPU at a place; nil where the row has none.
func (g *grid) at(s spot) *fleet.GPURef {
	if s.row < 0 || s.row >= len(g.rows) || s.col < 0 || s.col >= len(g.rows[s.row].refs) {
		return nil
	}
	return &g.rows[s.row].refs[s.col]
}

// unit is the number in the layout of the GPU at a place; -1 where it has none.
func (g *grid) unit(s spot) int {
	if s.row < 0 || s.row >= len(g.rows) || s.col < 0 || s.col >= len(g.rows[s.row].units) {
		return -1
	}
	return int(g.rows[s.row].units[s.col])
}
