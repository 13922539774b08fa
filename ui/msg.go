package ui

import (
	"slices"
	"time"

	"foretop/fleet"

	tea "charm.land/bubbletea/v2"
)

// historyMsg is the past of what a node screen shows.
type historyMsg struct {
	ask    historyAsk
	at     time.Time // the snapshot's time when it was asked for
	series map[seriesKey][]float64
}

// seriesKey names one curve of a node.
type seriesKey struct {
	gpu int // -1: the node's own
	id  fleet.SeriesID
}

// historyAsk is what curves are wanted.
type historyAsk struct {
	node   string
	gpus   int
	gpu    int // the only one that is wanted, with all there is of it; -1: all, with the metric
	metric fleet.SeriesID
	until  time.Time // the moment on screen; zero: now
}

// What is asked of the past: 3 s a point.
const (
	historySpan   = 15 * time.Minute
	historyPoints = 300
)

// historyCmd asks for the curves on screen, when they are due and none are on their way.
func (m *Model) historyCmd() tea.Cmd {
	if m.snap == nil || m.screen != screenNode && m.screen != screenGPU || m.opt.Source == nil && !m.travels() {
		return nil
	}
	n := m.index.node(m.node.name)
	if n == nil {
		return nil
	}
	ask := historyAsk{n.Name, len(n.GPUs), -1, m.metric.def().series, m.chartsUntil(time.Second)}
	if m.screen == screenGPU {
		ask.gpu = m.node.selected
	}
	if !m.node.historyDue(ask, m.snap.At) {
		return nil
	}
	history, at := m.historyUntil(ask.until), m.snap.At
	return func() tea.Msg {
		msg := historyMsg{ask, at, make(map[seriesKey][]float64, ask.gpus+int(fleet.NumHostSeries))}
		get := func(gpu int, id fleet.SeriesID) {
			msg.series[seriesKey{gpu, id}] = history(fleet.Query{Node: ask.node, GPU: gpu, Series: id, Span: historySpan, Points: historyPoints})
		}
		if ask.gpu >= 0 {
			for id := range fleet.NumGPUSeries {
				get(ask.gpu, id)
			}
			return msg
		}
		for i := range ask.gpus {
			get(i, ask.metric)
		}
		for id := fleet.NumGPUSeries; id < fleet.NumSeries; id++ {
			get(-1, id)
		}
		return msg
	}
}

// chartsUntil is the moment that charts end with; zero: now. While a recording runs they are drawn anew once in a while only, by the clock of who looks on.
func (m *Model) chartsUntil(every time.Duration) time.Time {
	if !m.travels() {
		return time.Time{}
	}
	at := m.moment()
	if m.travel.play.on {
		at = at.Truncate(every * time.Duration(m.speed()))
	}
	return at
}

// historyUntil is where curves are asked for that end with a moment.
func (m *Model) historyUntil(at time.Time) func(fleet.Query) []float64 {
	if at.IsZero() {
		return m.opt.Source.History
	}
	past := m.opt.Past
	return func(q fleet.Query) []float64 { return past.History(at, q) }
}

// watchedMsg says that the source was told which nodes are on screen.
type watchedMsg struct{ nodes []string }

// watcher keeps the source told which nodes are on screen. Commands run side by side, so only one is on its way at a time: the order holds.
type watcher struct {
	told   []string
	asking bool
}

func (w *watcher) done(msg watchedMsg) { w.told, w.asking = msg.nodes, false }

func (m *Model) watchCmd() tea.Cmd {
	var want []string
	if m.onScreen(screenNode) || m.onScreen(screenGPU) || m.onScreen(screenKernel) {
		want = []string{m.node.name}
	}
	if m.watch.asking || slices.Equal(want, m.watch.told) || m.opt.Source == nil {
		return nil
	}
	m.watch.asking = true
	source := m.opt.Source
	return func() tea.Msg {
		source.Watch(want)
		return watchedMsg{want}
	}
}

// onScreen says whether a screen is shown, or is behind the help.
func (m *Model) onScreen(s screen) bool {
	if m.screen == screenHelp && len(m.back) > 0 {
		return m.back[len(m.back)-1] == s
	}
	return m.screen == s
}

// retryCmd asks for nodes to be dialled now.
func (m *Model) retryCmd(nodes ...string) tea.Cmd {
	source := m.opt.Source
	if source == nil {
		return nil
	}
	return func() tea.Msg {
		for _, n := range nodes {
			source.Retry(n)
		}
		return nil
	}
}

// settledMsg says that the terminal has kept its size for a while since it told the n-th.
type settledMsg int

// settling is for how long a terminal's size must last. tmux tells programs of a change up to 250 ms late.
const settling = 400 * time.Millisecond

// resettle waits until the size that was told may be taken for the last. Then the picture is drawn whole: of one that was on its way while a terminal or
// multiplexer took another size, lines may be lost, and what is drawn later are differences only. The first size changes nothing.
func (m *Model) resettle() tea.Cmd {
	n := m.sizes
	if n <= 1 {
		return nil
	}
	return tea.Tick(m.settling, func(time.Time) tea.Msg { return settledMsg(n) })
}
