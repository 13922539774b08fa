package ui

import (
	"strconv"
	"strings"

	"foretop/fleet"
	"foretop/jobs/layout"
)

// jobLayouts are layouts that were given by hand, by job, as they come out over its ranks.
type jobLayouts map[string]*givenLayout

type givenLayout struct {
	written      *layout.Written
	world, ranks int // that it was laid over
	l            *layout.Layout
	err          error
}

// of gives a job's layout, or what hinders it in words: what was given by hand, else what the fleet knows.
func (g jobLayouts) of(j *fleet.Job) (l *layout.Layout, trouble string) {
	given := g[j.Key]
	if given == nil {
		return j.Layout, j.LayoutTrouble
	}
	if given.world != j.World || given.ranks != len(j.Ranks) {
		given.world, given.ranks = j.World, len(j.Ranks)
		given.l, given.err = given.written.Layout(j.Size())
	}
	if given.err != nil {
		return nil, given.err.Error()
	}
	return given.l, ""
}

const howLayout = ":layout tp=8 pp=4 dp=16 sets one"

// arrange shows the grid by node, or by the layout of the job's ranks.
func (m *Model) arrange() {
	j := m.jobs.selectedJob()
	if j == nil {
		m.notice = "no job is selected: only a job has a layout"
		return
	}
	l, trouble := m.jobs.layouts.of(j)
	switch {
	case l == nil && trouble != "":
		m.notice = "its layout is not known: " + trouble + " · " + howLayout
	case l == nil:
		m.notice = "nothing is known of a parallel layout of job " + j.ID + " · " + howLayout
	case !canPlan(l, j):
		m.notice = "only " + strconv.Itoa(len(j.Ranks)) + " of " + strconv.Itoa(j.World) + " ranks are seen: too few to show them by their layout"
	default:
		m.jobs.byLayout = !m.jobs.byLayout
		m.jobs.view.top = 0
	}
}

// layoutLine says a job's layout, where that comes from, and what the letters of the selected rank's peers mean; where it is not known though something
// was said of it, why. nil: nothing was.
func (m *Model) layoutLine(a area, j *fleet.Job) []span {
	l, trouble := m.jobs.layouts.of(j)
	if l == nil {
		if trouble != "" {
			return []span{{"layout not known: " + trouble + " · " + howLayout, fg(colWarn)}}
		}
		return nil
	}
	from := l.From
	if l.Framework != "" {
		from = l.Framework + ", " + from
	}
	words, peers := " ("+strings.Join(append([]string{from}, l.Notes...), "; ")+")", m.jobs.view.peers.words()
	if peers != "" {
		peers = " · " + peers
	}
	room := a.w - 1 - a.width(l.String())
	if a.width(words)+a.width(peers) > room {
		words = " (" + l.From + ")"
	}
	if a.width(words)+a.width(peers) > room {
		peers = ""
	}
	return []span{{l.String(), fg(colStrong)}, {words, fg(colDim)}, {peers, fg(colAccent)}}
}

// placeWords say where the selected rank stands: "tp 3 · pp 0 · dp 16".
func (v *gridView) placeWords() string {
	u := v.unit(v.cursor())
	if v.layout == nil || u < 0 {
		return ""
	}
	var words []string
	for _, name := range v.layout.Names() {
		words = append(words, shortDim(name)+" "+strconv.Itoa(v.layout.Coord(u, name)))
	}
	return strings.Join(words, " · ")
}

// canPlan says whether enough of a job is seen to show all of it: a number that a process merely claims must not fill the memory.
func canPlan(l *layout.Layout, j *fleet.Job) bool {
	return l != nil && l.World <= max(4096, 16*len(j.GPUs))
}
