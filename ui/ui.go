// Package ui is the terminal front end: one Bubble Tea model whose screens are plain structs.
//
// It reads immutable snapshots of the fleet and draws them; it knows no SSH, no scheduler and no disk, and Update and View neither block nor
// read a clock: time is the snapshot's. What a person wants of the outside goes through [Source], in commands. Package cli makes the model
// with [New], runs it, and sends it a [SnapshotMsg] whenever the fleet has a new picture.
//
// A message changes the model; View then draws at most once for it, onto a canvas of cells (canvas.go), and hands the finished text over. Keys are
// one table (keys.go), colours one palette (theme.go), and where things go is decided by pure functions of the size.
package ui

import (
	"time"

	"foretop/fleet"

	tea "charm.land/bubbletea/v2"
	"github.com/charmbracelet/colorprofile"
)

// Model is the whole front end. Make it with New.
type Model struct {
	opt     Options
	keys    keymap
	theme   theme
	profile colorprofile.Profile
	dark    bool // the terminal's background, as far as known
	noColor bool // NO_COLOR is set

	width, height int
	sizes         int           // how many sizes the terminal has told
	settling      time.Duration // see resettle

	// What commands take from the clock; tests have others.
	now   func() time.Time
	ticks func(time.Duration, func(time.Time) tea.Msg) tea.Cmd

	latest  *fleet.Snapshot // as it came
	snap    *fleet.Snapshot // as it is shown: the latest, unless paused
	index   nodeIndex
	tally   tally
	paused  bool
	travel  travel
	touched time.Time // the snapshot's time when a key was last pressed

	screen   screen
	back     []screen // where Esc leads
	metric   metric
	jobs     jobsScreen
	job      jobScreen
	users    usersScreen
	findings findingsScreen
	nodes    nodesScreen
	node     nodeScreen
	gpu      gpuScreen
	worst    worstOf
	help     helpScreen
	acting   actScreen
	asking   askScreen
	stack    stacksScreen
	run      runScreen
	// commands are those that were run, the latest first.
	commands []string
	prompt   prompt
	notice   string // said on the bottom line until the next key

	watch  watcher
	seen   watcher
	follow follower

	canvas canvas
	frame  tea.View
	dirty  bool // frame is out of date
	hits   []hit
	// gridBox is where the grid was last drawn, barBox the cells of the time bar.
	gridBox  area
	barBox   area
	barCells int
}

// screen is what the body shows.
type screen uint8

const (
	screenJobs screen = iota
	screenJob         // one job: its grid, its ranks and what is known of it
	screenLog         // the end of that job's log
	screenUsers
	screenNodes
	screenNode
	screenGPU // one GPU of that node
	screenKernel
	screenStacks // where a job's ranks are
	screenRun    // what a command came to
	screenAct    // what is to be done, asked about or under way
	screenAsk    // what connections ask for
	screenFindings
	screenIncident // one of them
	screenHelp
)

// New returns the model to run.
func New(opt Options) *Model {
	if opt.Location == nil {
		opt.Location = time.Local
	}
	m := &Model{opt: opt, keys: newKeymap(), profile: opt.Profile, dark: true, metric: metricOf(opt.Metric), dirty: true, settling: settling, now: time.Now, ticks: tea.Tick,
		paused: opt.Replay && opt.Past != nil}
	m.jobs.fields, m.nodes.fields, m.findings.fields = jobFields(), nodeFields(), incidentFields()
	m.jobs.sort, m.nodes.sort, m.users.sort, m.job.ranks.sort = "state", "state", "gpus", "unlike"
	m.setTheme()
	return m
}

// Init asks for the first snapshot and for the terminal's background.
func (m *Model) Init() tea.Cmd {
	return tea.Batch(tea.RequestBackgroundColor, func() tea.Msg { return SnapshotMsg{m.opt.Source.Snapshot()} })
}

// Update takes one message.
func (m *Model) Update(msg tea.Msg) (tea.Model, tea.Cmd) {
	m.dirty = true
	var cmd tea.Cmd
	switch msg := msg.(type) {
	case tea.WindowSizeMsg:
		m.width, m.height = msg.Width, msg.Height
		m.sizes++
		cmd = m.resettle()
	case settledMsg:
		if m.dirty = false; int(msg) == m.sizes {
			cmd = tea.ClearScreen
		}
	case SnapshotMsg:
		m.take(msg.Snapshot)
		cmd = m.syncAsk()
	case keptMsg:
		m.takeKept(msg.kept)
	case momentMsg:
		m.takeMoment(msg)
	case beatMsg:
		m.beat(time.Time(msg))
	case readMsg:
		m.travel.reads, m.travel.old = false, true
	case historyMsg:
		m.node.takeHistory(msg)
	case watchedMsg:
		m.watch.done(msg)
	case seenMsg:
		m.seen.done(watchedMsg(msg))
	case jobHistoryMsg:
		m.job.charts.take(msg)
	case followedMsg:
		m.follow.done(msg)
	case shellEndedMsg:
		cmd = m.shellEnded(msg)
	case stacksMsg:
		m.takeStacks(msg)
	case runNewsMsg:
		cmd = m.runNews(msg)
	case runFoundMsg:
		m.runFound(msg)
	case actReadyMsg:
		m.acting.ready = m.acting.ready || int(msg) == m.acting.serial
	case askReadyMsg:
		m.asking.ready = m.asking.ready || int(msg) == m.asking.serial
	case askDoneMsg:
		m.notice = msg.words
	case markedMsg:
		m.marked(msg)
	case lookedMsg:
		m.findings.trouble = msg.trouble
	case actNewsMsg:
		cmd = m.actNews(msg)
	case tea.KeyPressMsg:
		cmd = m.press(msg)
	case tea.PasteMsg:
		m.paste(msg.Content)
	case tea.MouseClickMsg:
		cmd = m.click(msg.Mouse())
	case tea.MouseWheelMsg:
		m.wheel(msg.Mouse())
	case tea.ColorProfileMsg:
		m.setProfile(msg.Profile)
	case tea.BackgroundColorMsg:
		m.dark = msg.IsDark()
		m.setTheme()
	case tea.EnvMsg:
		m.noColor = msg.Getenv("NO_COLOR") != ""
		m.setTheme()
	default:
		m.dirty = false
		if interrupted(msg) {
			cmd = tea.Quit
		}
	}
	return m, tea.Batch(cmd, m.watchCmd(), m.seenCmd(), m.historyCmd(), m.jobHistoryCmd(), m.followCmd(), m.lookCmd(), m.pastCmd())
}

// View draws what changed since it was last called, if anything did.
func (m *Model) View() tea.View {
	if m.dirty {
		m.draw()
		m.dirty = false
	}
	return m.frame
}

func (m *Model) setProfile(p colorprofile.Profile) {
	if m.opt.Profile == colorprofile.Unknown {
		m.profile = p
		m.setTheme()
	}
}

func (m *Model) setTheme() {
	profile := m.profile
	if m.noColor && m.opt.Profile == colorprofile.Unknown {
		profile = colorprofile.ASCII
	}
	m.theme = newTheme(m.opt.Theme, profile, m.dark)
}

// take takes over a snapshot; one that is older than what is known is left alone.
func (m *Model) take(s *fleet.Snapshot) {
	if m.opt.Replay && m.opt.Past != nil { // all pictures come by their moments, but the first may come sooner
		m.firstMoment(s)
		return
	}
	if s == nil || m.latest != nil && s.Sequence < m.latest.Sequence {
		return
	}
	m.latest = s
	if !m.paused {
		m.show(s)
	}
}

// show makes a snapshot the one on screen.
func (m *Model) show(s *fleet.Snapshot) {
	m.snap = s
	m.index.update(s)
	m.tally = tallyOf(s)
	m.jobs.refresh(s, m.touched, false)
	m.nodes.refresh(s, m.touched, false)
	m.users.refresh(s, m.touched, false)
	m.findings.refresh(s, m.touched, false)
	m.refreshJob(false)
}

// place is where the keyboard is.
func (m *Model) place() place {
	switch m.screen {
	case screenJobs:
		if m.jobs.inGrid {
			return placeGrid
		}
		return placeJobs
	case screenJob:
		switch {
		case m.job.focused == secJobGrid || m.job.plain:
			return placeGrid
		case m.job.focused == secJobRanks:
			return placeRanks
		}
		return placeJob
	case screenLog:
		return placeLog
	case screenUsers:
		return placeUsers
	case screenNodes:
		return placeNodes
	case screenNode:
		return placeNode
	case screenGPU:
		return placeGPU
	case screenKernel:
		return placeKernel
	case screenStacks:
		return placeStacks
	case screenRun:
		return placeRun
	case screenAct:
		return placeAct
	case screenAsk:
		return placeAsk
	case screenFindings:
		return placeFindings
	case screenIncident:
		return placeIncident
	}
	return placeHelp
}

// nodeIndex finds nodes by name.
type nodeIndex struct {
	snap *fleet.Snapshot
	at   map[string]int
}

// update makes the index fit a snapshot: the names seldom change, so mostly there is nothing to do.
func (x *nodeIndex) update(s *fleet.Snapshot) {
	old := x.snap
	x.snap = s
	if old != nil && len(old.Nodes) == len(s.Nodes) {
		same := true
		for i := range s.Nodes {
			if s.Nodes[i].Name != old.Nodes[i].Name {
				same = false
				break
			}
		}
		if same {
			return
		}
	}
	x.at = make(map[string]int, len(s.Nodes))
	for i, n := range s.Nodes {
		x.at[n.Name] = i
	}
}

// node is nil when there is none of that name.
func (x *nodeIndex) node(name string) *fleet.Node {
	if i, ok := x.at[name]; ok {
		return x.snap.Nodes[i]
	}
	return nil
}

// state is that of a node; Waiting where it is not known at all.
func (x *nodeIndex) state(name string) fleet.State {
	if n := x.node(name); n != nil {
		return n.State
	}
	return fleet.Waiting
}
