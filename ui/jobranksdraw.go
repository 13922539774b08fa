package ui

import (
	"strconv"

	"foretop/jobs"
)

// openRank goes to the node of the selected rank.
func (m *Model) openRank() {
	r := m.job.ranks.row(m.job.ranks.selected())
	if r == nil {
		m.notice = "no rank is selected"
		return
	}
	gpu := -1
	if r.ref != nil {
		gpu = r.ref.Index
	}
	m.openNode(screenNode, r.node, gpu)
}

// rankInfo is the selected rank in full: its process, and its GPU.
func (m *Model) rankInfo(a area) [][]span {
	r := m.job.ranks.row(m.job.ranks.selected())
	if r == nil {
		return nil
	}
	who := []span{{r.node, fg(colStrong)}}
	rank := -1
	if r.rank != nil && r.rank.Rank >= 0 {
		rank = r.rank.Rank
		who = append(who, span{" rank " + strconv.Itoa(rank), fg(colStrong)})
	}
	n := m.index.node(r.node)
	if r.ref == nil || r.ref.GPU == nil || n == nil {
		return [][]span{append(append(who, r.origin()...), span{"  no GPU of it is known; the node is " + m.index.state(r.node).String(), fg(colStale)})}
	}
	who = append(who, span{" GPU " + strconv.Itoa(r.ref.Index), fg(colStrong)})
	words, numbers := append(append(who, gpuWords(n, r.ref.GPU, rank, false)...), r.origin()...), []span{{" " + gpuNumbers(r.ref.GPU), style{}}}
	if all := append(words[:len(words):len(words)], numbers...); a.h == 1 || spansWidth(a, all) < a.w {
		return [][]span{all}
	}
	return [][]span{words, numbers}
}

// origin is what is known of a rank beside its number and place: how it is known, its task, its pod, and whether it should be there.
func (r *rankRow) origin() (out []span) {
	if r.rank == nil {
		return nil
	}
	if r.rank.Inferred {
		out = append(out, span{" (its number is inferred, it does not say it)", fg(colDim)})
	}
	if word := r.task(); word != "" {
		out = append(out, span{" " + word, style{}})
	}
	if r.rank.InnerPID != 0 {
		out = append(out, span{" pid " + strconv.Itoa(int(r.rank.InnerPID)) + " in there", fg(colDim)})
	}
	if r.rank.Orphan != jobs.NotOrphan {
		out = append(out, span{" left over: " + r.rank.Orphan.String(), fg(colWarn)})
	}
	return out
}

// drawRanks draws the table.
func (m *Model) drawRanks(a area) {
	t := &m.job.ranks
	if len(t.keys) == 0 {
		t.page = 0
		a.cut(tableIndent, 0, a.w-tableIndent, "no rank and no GPU of it is seen", fg(colDim))
		return
	}
	t.placed = placeColumns(t.columns(), a.w)
	drawHeader(a, 0, t.placed, t.sort, t.descending())
	t.page = max(1, a.h-1)
	top, at := t.scroll(t.page), t.list.index()
	focused := m.place() == placeRanks
	for i, y := top, 1; i < len(t.keys) && y < a.h; i, y = i+1, y+1 {
		r := t.row(t.keys[i])
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
		word := strconv.Itoa(r.rank.Rank)
		if r.rank.Inferred {
			word += "?"
		}
		a.right(0, 0, p.cells, word, fg(colStrong))
	case "node":
		a.cut(0, 0, p.cells, tail(r.node, p.cells), style{})
	case "gpu":
		switch {
		case r.ref == nil:
			num(absent)
		case r.gpus > 1:
			num(strconv.Itoa(r.ref.Index) + "+" + strconv.Itoa(r.gpus-1))
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
	case "task":
		if word := r.task(); word != "" {
			a.cut(0, 0, p.cells, word, style{})
		} else {
			a.text(0, 0, absent, fg(colDim))
		}
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
	if r.rank != nil && r.rank.Orphan != jobs.NotOrphan {
		x = a.text(x, 0, string(markWarning)+" left over: "+r.rank.Orphan.String()+" ", fg(colWarn))
	}
	a.cut(x, 0, p.cells-x, r.how(), fg(colWarn))
}
