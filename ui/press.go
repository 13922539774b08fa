package ui

import (
	"reflect"
	"strconv"
	"strings"

	"foretop/actions"
	"foretop/fleet"

	tea "charm.land/bubbletea/v2"
	uv "github.com/charmbracelet/ultraviolet"
)

// press takes one key.
func (m *Model) press(k tea.KeyPressMsg) tea.Cmd {
	m.notice = ""
	if m.latest != nil {
		m.touched = m.latest.At
	}
	m.travel.play.idle = 0
	key := k.String()
	if k.Code == 'c' && k.Mod&tea.ModCtrl != 0 { // also where an Escape just before it came in one piece with it
		return tea.Quit
	}
	if m.prompt.find {
		return m.typedFind(k)
	}
	if m.prompt.open {
		m.typed(k)
		return nil
	}
	if m.screen == screenAsk {
		return m.askKey(k)
	}
	if m.screen == screenAct && m.keys.byKey[placeAct][key] == nil {
		return m.actKey(k)
	}
	if b := m.keys.byKey[m.place()][key]; b != nil {
		return m.act(b.do)
	}
	if c := m.customOn(key); c != nil {
		return m.startCustom(*c)
	}
	return nil
}

// interrupted says whether Ctrl-C is in what came from the terminal and could not be read. Esc and, in the same piece, one of X P ] ^ _ begin a control string, and every
// key up to its end belongs to it: Ctrl-C ends the program all the same.
func interrupted(msg tea.Msg) bool {
	switch msg.(type) {
	case uv.UnknownEvent, uv.UnknownCsiEvent, uv.UnknownSs3Event, uv.UnknownOscEvent, uv.UnknownDcsEvent, uv.UnknownSosEvent, uv.UnknownPmEvent, uv.UnknownApcEvent:
		return strings.ContainsRune(reflect.ValueOf(msg).String(), ctrlC)
	}
	return false
}

const ctrlC = '\x03'

// act does what a key asks for.
func (m *Model) act(do action) tea.Cmd {
	if do != actSnooze {
		m.findings.snooze = snoozed{}
	}
	switch do {
	case actUp, actDown, actLeft, actRight, actPageUp, actPageDown, actFirst, actLast:
		m.move(do)
	case actOpen:
		m.open()
	case actBack:
		m.goBack()
	case actQuit:
		return m.quit()
	case actInterrupt:
		return tea.Quit
	case actJobs:
		m.view(screenJobs)
	case actNodes:
		m.view(screenNodes)
	case actUsers:
		m.view(screenUsers)
	case actFindings:
		m.openFindings()
	case actAcknowledge:
		return m.mark(fleet.Acknowledged)
	case actSnooze:
		return m.mark(fleet.Snoozed)
	case actDeny:
		return m.mark(fleet.FalseAlarm)
	case actQuiet:
		m.findings.quiet = !m.findings.quiet
		m.rearrange()
	case actPending:
		m.togglePending()
	case actLog:
		m.openLog()
	case actNextPane:
		m.pane(1)
	case actPrevPane:
		m.pane(-1)
	case actLastRun:
		m.openRun()
	case actStop:
		m.stopRun()
	case actNextHit, actPrevHit:
		return m.findRun(do == actPrevHit)
	case actFilter, actClear, actProblems, actUser, actPartition, actSortLeft, actSortRight, actReverse, actTag, actRange, actUntag:
		m.choose(do)
	case actMetric:
		m.metric = m.metric.step(1)
	case actMetricBack:
		m.metric = m.metric.step(-1)
	case actPause:
		m.pause()
	case actStepBack, actStepOn, actTenBack, actTenOn, actMinuteBack, actMinuteOn, actPrevMark, actNextMark:
		m.travelKey(do)
	case actSlower:
		m.faster(-1)
	case actFaster:
		m.faster(1)
	case actCopy:
		return m.copy()
	case actKernel:
		m.kernel()
	case actRefresh:
		return tea.Batch(tea.ClearScreen, m.refresh())
	case actFold:
		m.fold()
	case actArrange:
		m.arrange()
	case actCommand:
		m.prompt.startCommand()
	case actShell:
		return m.shell()
	case actTagFinding:
		m.tagFinding()
	case actStacks:
		return m.stacks()
	case actBlocking:
		return m.blockingStacks()
	case actMenu:
		m.startMenu()
	case actDrain:
		return m.startAct(actions.Drain)
	case actResume:
		return m.startAct(actions.Resume)
	case actSignal:
		return m.startAct(actions.Signal)
	case actCancel:
		return m.startAct(actions.Cancel)
	case actRun:
		return m.startAct(actions.Command)
	case actAsk:
		return m.openAsk()
	case actHelp:
		m.push(screenHelp)
		m.help.top = 0
	}
	return nil
}

// move steps the cursor of wherever the keyboard is.
func (m *Model) move(do action) {
	switch m.place() {
	case placeJobs:
		moveList(&m.jobs.list, do, m.jobs.page)
	case placeNodes:
		moveList(&m.nodes.list, do, m.nodes.page)
	case placeUsers:
		moveList(&m.users.list, do, m.users.page)
	case placeFindings:
		moveList(&m.findings.list, do, m.findings.page)
	case placeIncident:
		if in := m.incident(); in != nil {
			m.findings.in.step(do, len(in.Members))
		}
	case placeRanks:
		moveList(&m.job.ranks.list, do, m.job.ranks.page)
		m.job.reveal = true
	case placeJob:
		m.job.scroll(do)
	case placeLog:
		m.job.log.step(do)
	case placeGrid:
		m.jobs.view.step(do)
	case placeNode:
		if do == actLeft || do == actRight {
			m.unfoldParts(do == actRight)
			return
		}
		m.node.step(do)
	case placeGPU:
		switch do {
		case actLeft:
			m.stepGPU(-1)
		case actRight:
			m.stepGPU(1)
		default:
			m.gpu.scroll(do)
		}
	case placeKernel:
		m.node.log.step(do)
	case placeStacks:
		m.stack.step(do)
	case placeRun:
		m.run.step(do)
	case placeHelp:
		m.help.step(do)
	}
}

// push shows a screen from which Esc leads back here.
func (m *Model) push(s screen) {
	m.back = append(m.back, m.screen)
	m.screen = s
}

// view shows one of the numbered views; there is no way back from it but the keys.
func (m *Model) view(s screen) {
	m.screen, m.back = s, nil
	m.jobs.inGrid = false
}

// goBack leaves what was opened last; at the top it ends what was begun, and never quits.
func (m *Model) goBack() {
	l := m.rows()
	switch {
	case len(m.back) > 0:
		m.screen = m.back[len(m.back)-1]
		m.back = m.back[:len(m.back)-1]
		m.refreshJob(false) // the moment may be another by now
	case m.jobs.inGrid:
		m.jobs.inGrid = false
	case l != nil:
		l.rangeAt = ""
	default:
		m.view(screenJobs)
	}
}

func (m *Model) quit() tea.Cmd {
	if len(m.back) > 0 || m.place() == placeGrid {
		m.goBack()
		return nil
	}
	if m.screen == screenFindings {
		return tea.Sequence(m.lookedCmd(), tea.Quit)
	}
	return tea.Quit
}

// open goes into what is selected.
func (m *Model) open() {
	switch m.place() {
	case placeJobs:
		if m.jobs.selectedJob() == nil {
			m.notice = "no job is selected: 2 shows the nodes"
			return
		}
		m.openJob()
	case placeUsers:
		m.openUser()
	case placeFindings:
		m.openIncident()
	case placeIncident:
		m.openMember()
	case placeRanks:
		m.openRank()
	case placeRun:
		m.foldRun()
	case placeJob:
		if m.job.focused == secJobLog && !m.job.folded[secJobLog] {
			m.openLog()
			return
		}
		m.job.fold()
	case placeGrid:
		ref := m.jobs.view.at(m.jobs.view.cursor())
		if ref == nil {
			m.notice = "no GPU is selected"
			return
		}
		if ref.Node == "" {
			m.notice = "rank " + strconv.Itoa(ref.Rank) + " is not seen on any node"
			return
		}
		m.openNode(screenNode, ref.Node, ref.Index)
	case placeNode:
		if m.node.onGPUs() {
			m.showGPU()
		} else {
			m.node.fold()
		}
	case placeNodes:
		if name := m.nodes.selected(); name != "" {
			m.openNode(screenNode, name, -1)
		} else {
			m.notice = "no node is selected"
		}
	}
}

// fold folds or unfolds the section that has the focus.
func (m *Model) fold() {
	if m.screen == screenGPU {
		m.gpu.fold()
		return
	}
	if m.screen == screenJob {
		m.job.fold()
		return
	}
	if m.screen == screenRun {
		m.foldRun()
		return
	}
	m.node.fold()
}

// openNode shows a node; gpu is the GPU to select on it, -1: its worst.
func (m *Model) openNode(s screen, name string, gpu int) {
	n := m.index.node(name)
	if n == nil {
		m.notice = m.missing(name, "watched")
		return
	}
	m.node.show(n, gpu)
	m.push(s)
}

// kernel shows the kernel log of the node at hand, or leaves it for the node.
func (m *Model) kernel() {
	switch m.place() {
	case placeKernel:
		if len(m.back) > 0 && (m.back[len(m.back)-1] == screenNode || m.back[len(m.back)-1] == screenGPU) {
			m.goBack()
			return
		}
		m.screen = screenNode
	case placeNode, placeGPU:
		m.node.log.end()
		m.push(screenKernel)
	default:
		name := m.nodes.selected()
		switch m.place() {
		case placeGrid:
			name = m.jobs.view.nodeName()
		case placeRanks:
			name = m.job.ranks.node()
		case placeFindings, placeIncident:
			name = m.incidentNode()
		}
		if name == "" {
			m.notice = "no node is selected"
			return
		}
		m.openNode(screenKernel, name, -1)
		m.node.log.end()
	}
}

// refresh puts rows in order and asks for what is not live to be dialled: the nodes at hand, or all.
func (m *Model) refresh() tea.Cmd {
	if m.snap == nil {
		return nil
	}
	m.jobs.refresh(m.snap, m.touched, true)
	m.nodes.refresh(m.snap, m.touched, true)
	m.findings.refresh(m.snap, m.touched, true)
	if m.paused {
		m.notice = "rows sorted afresh; nothing is dialled while the screen is paused"
		if m.opt.Replay {
			m.notice = "rows sorted afresh; there is nothing to dial in a recording"
		}
		return nil
	}
	switch m.screen {
	case screenNode, screenGPU, screenKernel:
		m.notice = "dialling " + m.node.name
		return m.retryCmd(m.node.name)
	case screenNodes:
		if tags := m.nodes.tags(); len(tags) > 0 {
			m.notice = "dialling " + count(len(tags), "tagged node")
			return m.retryCmd(tags...)
		}
	}
	down := m.snap.Totals.Nodes - m.snap.Totals.ByState[fleet.Live]
	if down == 0 {
		m.notice = "all nodes are live; rows sorted afresh"
		return nil
	}
	m.notice = "dialling " + count(down, "node") + " not live"
	return m.retryCmd("")
}
