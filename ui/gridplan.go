package ui

import (
	"slices"
	"strconv"

	"foretop/fleet"
	"foretop/jobs/layout"
)

// plan is where the ranks of a layout go in a grid: pipeline stages down, replicas side by side, and in each of their crossings the ranks that work on
// one batch there, tensor parallel neighbours first. It is made once for a layout.
type plan struct {
	l     *layout.Layout
	down  string   // the dimension of the rows; "" one row
	along []string // dimensions of the stacks
	deep  int      // rows of a stack
	wide  int      // stacks
	cells int      // of a row
	part  int      // cells that stand together: more than one context parallel part is set apart
	spots []spot   // of each rank: row is stack × deep + stage
}

// within are the dimensions of a crossing: their ranks share a batch.
var within = []string{layout.TP, layout.GTP, layout.SP, layout.CP}

func makePlan(l *layout.Layout) *plan {
	p := &plan{l: l, deep: 1, wide: 1, cells: 1, part: max(1, l.Size(layout.TP)), spots: make([]spot, l.World)}
	var names, data []string
	for _, d := range l.Dims {
		if slices.Contains(names, d.Name) {
			continue
		}
		names = append(names, d.Name)
		if d.Name != layout.PP && !slices.Contains(within, d.Name) {
			data = append(data, d.Name)
		}
	}
	switch {
	case l.Size(layout.PP) > 1:
		p.down = layout.PP
	case len(data) > 1: // the slowest of two
		p.down = data[len(data)-1]
	case l.Size(layout.Replicate) > 1 && l.Size(layout.Replicate) < l.World:
		p.down = layout.Replicate
	}
	// Each dimension has a stride in one of the three: a rank's digits times these add up to its spot.
	for _, name := range names {
		size := l.Size(name)
		row, col := 0, 0
		switch {
		case name == p.down:
			p.deep, row = size, 1
		case slices.Contains(within, name):
			col = p.cells
			p.cells *= size
		default:
			p.along = append(p.along, name)
			row = -p.wide // of stacks: their depth is not known yet
			p.wide *= size
		}
		p.spread(name, row, col)
	}
	for i, s := range p.spots {
		stack := s.row / stackUnit
		p.spots[i].row = stack*p.deep + s.row%stackUnit
	}
	return p
}

// stackUnit keeps stacks and stages apart in one number while a plan is made.
const stackUnit = 1 << 21

// spread adds what a dimension gives to each rank's spot. A negative row counts stacks.
func (p *plan) spread(name string, row, col int) {
	if row < 0 {
		row *= -stackUnit
	}
	stride, whole := 1, 1
	for _, d := range p.l.Dims {
		if d.Name == name {
			for rank := range p.spots {
				digit := rank / stride % d.Size * whole
				p.spots[rank].row += digit * row
				p.spots[rank].col += digit * col
			}
			whole *= d.Size
		}
		stride *= d.Size
	}
}

// rowLabel names a row by its stage: "pp 3".
func (p *plan) rowLabel(row int) string {
	if p.deep == 1 {
		return ""
	}
	return shortDim(p.down) + " " + strconv.Itoa(row%p.deep)
}

// stackName is what the stacks are counted in.
func (p *plan) stackName() string {
	if len(p.along) == 1 {
		return shortDim(p.along[0])
	}
	return "dp"
}

// shortDim is a dimension's name as it stands beside a number.
func shortDim(name string) string {
	switch name {
	case layout.Shard:
		return "shard"
	case layout.Replicate:
		return "rep"
	}
	return name
}

// units gives, in the room of to, each GPU of a job its number in the layout: its rank's, or where GPUs are counted its own among those of all ranks; -1 where it has none.
func units(to []int32, l *layout.Layout, job *fleet.Job) []int32 {
	to = to[:0]
	each := 1
	if l.PerGPU && job.World > 0 {
		each = max(1, l.World/job.World)
	}
	last, nth := -1, 0
	for i := range job.GPUs {
		r := job.GPUs[i].Rank
		if nth++; r != last {
			last, nth = r, 0
		}
		u := r
		if l.PerGPU {
			if u = r*each + nth; nth >= each {
				u = -1
			}
		}
		if r < 0 || u >= l.World {
			u = -1
		}
		to = append(to, int32(u))
	}
	return to
}

// ofPlan fills the grid by a job's layout. A rank that is not seen has a cell too.
func (g *grid) ofPlan(job *fleet.Job) {
	p := g.plan
	all := g.room(p.l.World)[:p.l.World]
	at := func(unit int) int { s := p.spots[unit]; return s.row*p.cells + s.col }
	for unit := range p.spots {
		i := at(unit)
		all[i] = fleet.GPURef{Index: -1, Rank: unit, State: fleet.Waiting}
		if p.l.PerGPU {
			all[i].Rank = -1
		}
		g.units[i] = int32(unit)
	}
	g.given = units(g.given, p.l, job)
	for i, u := range g.given {
		if u < 0 {
			continue
		}
		cell := &all[at(int(u))]
		if cell.Node == "" || markRank(gpuMark(job.GPUs[i].GPU, job.GPUs[i].State)) > markRank(gpuMark(cell.GPU, cell.State)) { // of a rank with several, the worst
			*cell = job.GPUs[i]
		}
	}
	for row := range p.deep * p.wide {
		from, to := row*p.cells, (row+1)*p.cells
		g.rows = append(g.rows, gridRow{label: p.rowLabel(row), state: fleet.Live, refs: all[from:to:to], units: g.units[from:to:to]})
	}
}
