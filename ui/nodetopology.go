package ui

import (
	"slices"
	"strconv"

	"foretop/fleet"
)

const (
	tieCells   = 5 // "NV18 "
	tieIndent  = tableIndent + 6
	numaTitle  = "NUMA"
	cpusTitle  = "CPUs"
	cpusAtMost = 20
)

// tieBlocks cuts the columns of a matrix into blocks that fit into w cells, accelerators and ports apart where not all fit.
func tieBlocks(t *fleet.TopologyMatrix, w int) (blocks [][2]int) {
	room := max(1, (w-tieIndent)/tieCells)
	if len(t.Columns) <= room {
		return [][2]int{{0, len(t.Columns)}}
	}
	for _, part := range [][2]int{{0, t.GPUs}, {t.GPUs, len(t.Columns)}} {
		for from := part[0]; from < part[1]; from += room {
			blocks = append(blocks, [2]int{from, min(from+room, part[1])})
		}
	}
	return blocks
}

// topologyRows is how many lines the matrix takes.
func (m *Model) topologyRows(n *fleet.Node, w int) int {
	t := fleet.Topology(n.Inventory)
	if len(t.Rows) == 0 {
		return 1
	}
	return len(tieBlocks(t, w))*(1+len(t.Rows)) + len(tieLegend(t, w))
}

// drawTopology draws how the accelerators hang together with one another and with the ports, as nvidia-smi topo -m words it, and what the words mean.
func (m *Model) drawTopology(a area, n *fleet.Node) {
	t := fleet.Topology(n.Inventory)
	if len(t.Rows) == 0 {
		a.cut(tableIndent, 0, a.w-tableIndent, "no accelerator is known of this node", fg(colDim))
		return
	}
	y := 0
	for k, b := range tieBlocks(t, a.w) {
		for i := range t.Columns[b[0]:b[1]] {
			a.right(tieIndent+i*tieCells, y, tieCells-1, tieTitle(t, b[0]+i), fg(colDim))
		}
		end := tieIndent + (b[1]-b[0])*tieCells
		places := k == 0 && a.w-end > len(numaTitle)+1+cpusAtMost
		if places {
			a.text(end+1, y, numaTitle+" "+cpusTitle, fg(colDim))
		}
		for r := range t.Rows {
			row := &t.Rows[r]
			a.cut(tableIndent, y+1+r, tieIndent-tableIndent-1, row.Name, fg(colStrong))
			for i, tie := range row.Ties[b[0]:b[1]] {
				a.right(tieIndent+i*tieCells, y+1+r, tieCells-1, tie.String(), tieStyle(tie.Kind))
			}
			if places {
				drawPlace(a.sub(end+1, y+1+r, a.w-end-1, 1), row)
			}
		}
		y += 1 + len(t.Rows)
	}
	drawLines(a.sub(0, y, a.w, a.h-y), tieLegend(t, a.w), "")
}

func drawPlace(a area, row *fleet.TopologyRow) {
	numa := absent
	if row.NUMA >= 0 {
		numa = strconv.Itoa(row.NUMA)
	}
	a.right(0, 0, len(numaTitle), numa, style{})
	cpus := row.CPUs
	if cpus == "" {
		cpus = absent
	}
	a.cut(len(numaTitle)+1, 0, a.w-len(numaTitle)-1, cpus, fg(colDim))
}

// tieTitle is a column's title in four cells: accelerators and ports by their number, for which the legend has the ports' names.
func tieTitle(t *fleet.TopologyMatrix, i int) string {
	switch {
	case i >= t.GPUs:
		return "N" + strconv.Itoa(i-t.GPUs)
	case i < 10:
		return "GPU" + strconv.Itoa(i)
	}
	return strconv.Itoa(i)
}

// tieStyle makes near ones stand out: what is near is fast.
func tieStyle(k fleet.TieKind) style {
	switch k {
	case fleet.TieNVLink, fleet.TieXGMI, fleet.TiePIX:
		return fg(colGood)
	case fleet.TieSelf, fleet.TieUnknown:
		return fg(colDim)
	}
	return style{}
}

// tieLegend says which ports the numbers are, and what the words mean that are in the matrix.
func tieLegend(t *fleet.TopologyMatrix, w int) (lines [][]span) {
	var ports, words []span
	for i, name := range t.Columns[t.GPUs:] {
		ports = append(ports, span{tieTitle(t, t.GPUs+i) + " " + name, fg(colDim)})
	}
	var seen []fleet.TieKind
	for _, r := range t.Rows {
		for _, tie := range r.Ties {
			if tie.Kind != fleet.TieSelf && !slices.Contains(seen, tie.Kind) {
				seen = append(seen, tie.Kind)
			}
		}
	}
	slices.Sort(seen)
	for _, k := range seen {
		word := fleet.Tie{Kind: k}.String()
		if k == fleet.TieNVLink || k == fleet.TieXGMI {
			word = word[:2] + "n"
		}
		words = append(words, span{word + " " + k.Meaning(), fg(colDim)})
	}
	for _, items := range [][]span{ports, words} {
		if len(items) > 0 {
			lines = append(lines, flow(items, w, tableIndent-2, "", style{}, 3)...)
		}
	}
	return lines
}
