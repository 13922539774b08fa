package ui

import (
	"slices"
	"strconv"

	"foretop/fleet"
)

// span is text in one style.
type span struct {
	text string
	st   style
}

// phrase is a part of the title in several lengths, the longest first; the last may be nothing.
type phrase [][]span

// drawTitle says the state of the fleet in one breath: what is most needed stays longest as the line gets shorter.
func (m *Model) drawTitle(a area) {
	back := fg(colTitle).on(colTitleBG)
	a.fill(0, 0, a.w, back)
	states, gpus, jobs, problems := m.titleStates(), m.titleGPUs(), m.titleJobs(), m.titleProblems()
	name := m.titleName()
	left := []phrase{name, states, gpus, jobs, problems}
	right := []phrase{m.titleClock(), m.titleLive()}
	all := append(left[:len(left):len(left)], right...)
	at := m.titleChoice(a.w)
	for i := range at {
		at[i] = min(at[i], len(all[i])-1)
	}
	for _, i := range m.titleSteps() { // more states and longer numbers than were reckoned with
		if titleWidth(a, all, at) <= a.w {
			break
		}
		at[i] = min(at[i]+1, len(all[i])-1)
	}
	x := 1
	for i := range left {
		if n := drawPhrase(a, x, all[i][at[i]]); n > x {
			x = n + 3
		}
	}
	w := 0
	for i := len(left); i < len(all); i++ {
		w += phraseWidth(a, all[i][at[i]], 2)
	}
	x = a.w - w
	for i := len(left); i < len(all); i++ {
		if n := drawPhrase(a, x, all[i][at[i]]); n > x {
			x = n + 2
		}
	}
	a.restyle(0, 0, a.w, func(s style) style {
		if s.fg == colDefault {
			s.fg = colTitle
		}
		return s.on(colTitleBG)
	})
}

// titleName is what is watched; of a recording that it is one, and the file's name.
func (m *Model) titleName() phrase {
	own := span{"foretop", style{attr: bold}}
	if m.opt.Replay {
		replay := span{"REPLAY", fg(colWarn).with(bold)}
		file := span{" " + tail(m.opt.Name, replayName), style{}}
		return phrase{{own, {"  ", style{}}, replay, file}, {replay, file}, {replay}}
	}
	return phrase{{own, {"  " + m.opt.Name, style{}}}, {own}, nil}
}

// replayName is how much of a recording's name is shown: its end.
const replayName = 32

// titlePlay says whether a recording runs, and how fast.
func (m *Model) titlePlay() phrase {
	st := fg(colWarn).with(bold)
	p, k := &m.travel.play, &m.travel.kept
	speed := " " + strconv.Itoa(m.speed()) + "×"
	switch {
	case p.on:
		return phrase{{{"▶ playing" + speed, st}}, {{"▶" + speed, st}}, {{"▶", st}}}
	case k.ok && !m.moment().Before(k.to):
		return phrase{{{"‖ end (Z)", st}}, {{"‖ end", st}}, {{"‖", st}}}
	}
	return phrase{{{"‖ stopped (Z)", st}}, {{"‖ stopped", st}}, {{"‖", st}}}
}

// titleSteps says which phrase of the title gives way next as room lacks: 0 name, 1 states, 2 GPUs, 3 jobs, 4 problems, 5 clock, 6 live.
// Of a recording its name stays, and the clock goes: the time bar has it.
func (m *Model) titleSteps() []int {
	if m.opt.Replay {
		return []int{0, 5, 2, 3, 4, 2, 1, 4, 6, 1, 6, 0, 6, 1}
	}
	return []int{0, 4, 2, 0, 3, 2, 5, 1, 4, 6, 1, 6, 6, 1}
}

// titleChoice says how far each phrase gives way in w cells. It reckons with what the phrases may grow to in a fleet of this size, not with what they
// just say: words that come and go each second are not read.
func (m *Model) titleChoice(w int) []int {
	nodes, gpus := len(strconv.Itoa(len(m.snap.Nodes))), len(strconv.Itoa(8*len(m.snap.Nodes)))
	room := [][]int{
		{len("foretop  ") + min(20, textWidth(m.opt.Name, m.opt.ASCII)), len("foretop"), 0},
		{nodes + len(" nodes ·") - 1 + 3*nodes + len(" live stale lost "), 3*nodes + len("live stale lost "), 2*nodes + len("/ live"), 2*nodes + 1},
		{gpus + len(" GPUs ·") - 1 + 3*gpus + len(" held idle-held failed "), gpus + len(" GPUs 1 failed"), 0},
		{len("100 jobs"), 0},
		{len("x 10 critical x 10 warnings"), len("x10 x10")},
		{len("15:04:05"), 0},
		{len("x live"), len("x"), 0},
	}
	at := make([]int, len(room))
	width := func() int {
		n := -2
		for i := range room {
			if cells := room[i][at[i]]; cells > 0 {
				n += cells + 3
			}
		}
		return n
	}
	if m.opt.Replay {
		name := min(replayName, textWidth(m.opt.Name, m.opt.ASCII))
		room[0] = []int{len("foretop  REPLAY ") + name, len("REPLAY ") + name, len("REPLAY")}
		room[6] = []int{len("x playing 300x"), len("x 300x"), len("x")}
	}
	steps := m.titleSteps()
	for _, i := range steps {
		if width() <= w {
			break
		}
		at[i] = min(at[i]+1, len(room[i])-1)
	}
	for _, i := range slices.Backward(steps) { // what the last step left over may be enough for an earlier one
		if at[i] > 0 {
			if at[i]--; width() > w {
				at[i]++
			}
		}
	}
	return at
}

func drawPhrase(a area, x int, spans []span) int {
	for _, s := range spans {
		x = a.text(x, 0, s.text, s.st)
	}
	return x
}

func phraseWidth(a area, spans []span, gap int) int {
	n := 0
	for _, s := range spans {
		n += a.width(s.text)
	}
	if n > 0 {
		n += gap
	}
	return n
}

func titleWidth(a area, all []phrase, at []int) int {
	n := 1
	for i := range all {
		n += phraseWidth(a, all[i][at[i]], 3)
	}
	return n - 1
}

// stateOrder is how the counts by state are told: what is well, then what is wrong, then what is under way.
var stateOrder = [...]fleet.State{fleet.Live, fleet.Stale, fleet.Lost, fleet.Refused, fleet.Misbehaving, fleet.NeedsTrust, fleet.NeedsAuth,
	fleet.Deploying, fleet.Connecting, fleet.Waiting}

func (m *Model) titleStates() phrase {
	t := m.snap.Totals
	if t.Nodes == 0 {
		return phrase{{{"no nodes", style{}}}}
	}
	if m.tally.coming > 0 {
		return m.titleConnecting(m.tally.coming)
	}
	live := t.ByState[fleet.Live]
	full := []span{{count(t.Nodes, "node") + " ·", style{}}}
	var short []span
	for _, s := range stateOrder {
		n := t.ByState[s]
		if n == 0 && s != fleet.Live {
			continue
		}
		st := stateStyle(s)
		if s == fleet.NeedsTrust && m.tally.alarms > 0 {
			st = fg(colCrit)
		}
		one := span{" " + strconv.Itoa(n) + " " + s.String(), st}
		full, short = append(full, one), append(short, one)
	}
	if t.Drained > 0 {
		one := span{" " + strconv.Itoa(t.Drained) + " drained", style{}}
		full, short = append(full, one), append(short, one)
	}
	if t.Down > 0 {
		one := span{" " + strconv.Itoa(t.Down) + " down", fg(colWarn)}
		full, short = append(full, one), append(short, one)
	}
	short[0].text = short[0].text[1:]
	few := []span{{strconv.Itoa(live) + "/" + strconv.Itoa(t.Nodes) + " live", style{}}}
	return phrase{full, short, few, {{strconv.Itoa(live) + "/" + strconv.Itoa(t.Nodes), style{}}}}
}

func stateStyle(s fleet.State) style {
	switch stateSeverity(s) {
	case fleet.Critical:
		return fg(colCrit)
	case fleet.Warning:
		return fg(colWarn)
	}
	return style{}
}

// tally is what the title says that the snapshot's totals do not.
type tally struct {
	alarms            int         // nodes whose host key has changed or is revoked
	coming            int         // nodes that have not yet answered for the first time
	liveGPU           bool        // some live node has a GPU
	critical, warning int         // problems, with nodes that are not live counted as one each
	worst             *fleet.Node // the first of those with the worst problem; nil when all is well
}

func tallyOf(s *fleet.Snapshot) tally {
	t := tally{critical: s.Totals.Critical, warning: s.Totals.Warning}
	severity := fleet.Notice
	for _, n := range s.Nodes {
		if how := nodeSeverity(n); how > severity {
			severity, t.worst = how, n
		}
		if n.State == fleet.Live {
			t.liveGPU = t.liveGPU || len(n.GPUs) > 0
			continue
		}
		if n.State == fleet.NeedsTrust && reachSeverity(n) == fleet.Critical {
			t.alarms++
		}
		if n.State.Pending() && n.LastFrame.IsZero() && n.Attempt <= 1 {
			t.coming++
		}
		how := reachSeverity(n)
		if p := n.Worst(); p != nil && p.Severity >= how {
			continue // it is among the problems already
		}
		switch how {
		case fleet.Critical:
			t.critical++
		case fleet.Warning:
			t.warning++
		}
	}
	return t
}

// titleConnecting says how far the first round of connecting has come, and what it met.
func (m *Model) titleConnecting(coming int) phrase {
	t := m.snap.Totals
	done := strconv.Itoa(t.Nodes-coming) + "/" + strconv.Itoa(t.Nodes)
	full := []span{{"connecting " + done, style{}}}
	for _, e := range []struct {
		n     int
		words string
	}{
		{t.ByState[fleet.NeedsTrust], " host key"}, {t.ByState[fleet.NeedsAuth], " authentication"}, {t.ByState[fleet.Refused], " refused"},
		{t.ByState[fleet.Lost], " lost"}, {t.ByState[fleet.Misbehaving], " misbehaving"}, {t.ByState[fleet.Stale], " stale"},
	} {
		if e.n == 0 {
			continue
		}
		words := strconv.Itoa(e.n) + e.words
		switch e.words {
		case " host key":
			words = strconv.Itoa(e.n) + needs(e.n) + "a host key"
		case " authentication":
			words = strconv.Itoa(e.n) + needs(e.n) + "authentication"
		}
		full = append(full, span{" · " + words, fg(colWarn)})
	}
	return phrase{full, {{"connecting " + done, style{}}}, {{done + " up", style{}}}, {{done, style{}}}}
}

func needs(n int) string {
	if n == 1 {
		return " needs "
	}
	return " need "
}

func (m *Model) titleGPUs() phrase {
	t := m.snap.Totals
	if t.GPUs == 0 {
		return phrase{nil}
	}
	short := []span{{count(t.GPUs, "GPU"), style{}}}
	full := append(short[:1:1], span{" · " + strconv.Itoa(t.GPUsHeld) + " held", style{}})
	if t.GPUsIdle > 0 {
		full = append(full, span{" " + strconv.Itoa(t.GPUsIdle) + " idle-held", style{}})
	}
	if t.GPUsBad > 0 {
		bad := span{" " + strconv.Itoa(t.GPUsBad) + " failed", fg(colCrit)}
		full, short = append(full, bad), append(short, bad)
	}
	return phrase{full, short, nil}
}

func (m *Model) titleJobs() phrase {
	if m.snap.Totals.Jobs == 0 {
		return phrase{nil}
	}
	return phrase{{{count(m.snap.Totals.Jobs, "job"), style{}}}, nil}
}

func (m *Model) titleProblems() phrase {
	t := m.snap.Totals
	critical, warning := m.tally.critical, m.tally.warning
	var full, short []span
	if critical > 0 {
		full = append(full, span{string(markCritical) + " " + strconv.Itoa(critical) + " critical", fg(colCrit)})
		short = append(short, span{string(markCritical) + strconv.Itoa(critical), fg(colCrit)})
	}
	if warning > 0 {
		gap := ""
		if critical > 0 {
			gap = " "
		}
		full = append(full, span{gap + string(markWarning) + " " + count(warning, "warning"), fg(colWarn)})
		short = append(short, span{gap + string(markWarning) + strconv.Itoa(warning), fg(colWarn)})
	}
	switch {
	case len(full) > 0:
		return phrase{full, short}
	case t.ByState[fleet.Live] == 0:
		return phrase{nil}
	}
	fine := []span{{string(markFine) + " no problem seen", fg(colGood)}} // in short too: that is what one wants to read
	return phrase{fine, fine, {{string(markFine), fg(colGood)}}}
}

func (m *Model) titleClock() phrase {
	return phrase{{{m.moment().In(m.opt.Location).Format("15:04:05"), style{}}}, nil}
}

// titleLive says whether the screen follows the fleet.
func (m *Model) titleLive() phrase {
	if m.opt.Replay {
		return m.titlePlay()
	}
	if !m.paused {
		return phrase{{{"▶ live", style{}}}, {{"▶", style{}}}, nil}
	}
	behind := ""
	if m.latest != nil {
		behind = " " + formatShort(m.latest.At.Sub(m.moment())) + " behind"
	}
	st := fg(colWarn).with(bold)
	return phrase{{{"‖ paused" + behind + " (Z)", st}}, {{"‖ paused", st}}, {{"‖", st}}}
}
