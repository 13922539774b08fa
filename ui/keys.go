package ui

import "strings"

// action is what a key asks for.
type action uint8

const (
	actNone action = iota
	actUp
	actDown
	actLeft
	actRight
	actPageUp
	actPageDown
	actFirst
	actLast
	actOpen
	actBack
	actQuit
	actInterrupt
	actJobs
	actNodes
	actNextPane
	actPrevPane
	actFilter
	actClear
	actSortLeft
	actSortRight
	actReverse
	actTag
	actRange
	actUntag
	actTagFinding
	actMetric
	actMetricBack
	actUser
	actProblems
	actPause
	actStepBack
	actStepOn
	actTenBack
	actTenOn
	actMinuteBack
	actMinuteOn
	actPrevMark
	actNextMark
	actSlower
	actFaster
	actCopy
	actKernel
	actRefresh
	actFold
	actArrange
	actCommand
	actUsers
	actPending
	actPartition
	actLog
	actShell
	actStacks
	actMenu
	actDrain
	actResume
	actSignal
	actCancel
	actRun
	actLastRun
	actStop
	actNextHit
	actPrevHit
	actBlocking
	actAsk
	actFindings
	actAcknowledge
	actSnooze
	actDeny
	actQuiet
	actHelp
)

// place is where the keyboard is: a screen, or a part of one with keys of its own.
type place uint8

const (
	placeJobs place = iota // the table of jobs
	placeGrid              // the grid, under the table or alone
	placeNodes
	placeNode
	placeGPU    // one GPU
	placeKernel // the kernel log of a node, alone
	placeRanks  // the ranks of a job
	placeJob    // the other sections of a job
	placeLog    // the end of a job's log
	placeUsers
	placeStacks // where ranks are
	placeRun    // what a command came to
	placeAct    // an action that is asked about, or done
	placeAsk    // what connections ask for
	placeFindings
	placeIncident
	placeHelp
	numPlaces
)

var placeNames = [numPlaces]string{"Jobs", "Grid", "Nodes", "Node", "GPU", "Kernel log", "Ranks", "Job", "Job's log", "Users", "Stacks", "Run", "Action", "Questions", "Findings", "Incident", "Help"}

// places is a set of them.
type places uint32

func at(list ...place) (s places) {
	for _, p := range list {
		s |= 1 << p
	}
	return s
}

func (s places) has(p place) bool { return s&(1<<p) != 0 }

// binding is one line of the key table.
type binding struct {
	keys  []string // as tea.KeyPressMsg.String gives them
	do    action
	label string // how the key is shown
	ascii string // how it is shown in ASCII; "" is label
	hint  string // the word on the bottom line; "" keeps it off
	help  string
	group string
	at    places
}

// bindings is every key there is.
func bindings() []binding {
	everywhere := at(placeJobs, placeGrid, placeNodes, placeNode, placeGPU, placeKernel, placeRanks, placeJob, placeLog, placeUsers, placeStacks, placeRun, placeFindings, placeIncident, placeHelp)
	pages := at(placeNode, placeGPU, placeRanks, placeJob)
	tables := at(placeJobs, placeNodes)
	lists := tables | at(placeGrid)
	onNodes := at(placeJobs, placeGrid, placeNodes, placeNode, placeGPU, placeKernel, placeRanks, placeJob, placeLog)
	onJobs := at(placeJobs, placeGrid, placeRanks, placeJob, placeLog)
	onFindings := at(placeFindings, placeIncident)
	return []binding{
		{[]string{"up", "k"}, actUp, "↑", "Up", "", "up", "Move", everywhere},
		{[]string{"down", "j"}, actDown, "↑↓", "Up/Down", "move", "down", "Move", everywhere},
		{[]string{"left", "h"}, actLeft, "←", "Left", "", "left, one GPU", "Move", at(placeGrid)},
		{[]string{"right", "l"}, actRight, "→", "Right", "", "right, one GPU", "Move", at(placeGrid)},
		{[]string{"left", "h"}, actLeft, "←", "Left", "", "hide the parts of the selected GPU (MIG)", "Move", at(placeNode)},
		{[]string{"right", "l"}, actRight, "→", "Right", "", "show the parts of the selected GPU (MIG)", "Move", at(placeNode)},
		{[]string{"left", "h"}, actLeft, "←", "Left", "", "the GPU before", "Move", at(placeGPU)},
		{[]string{"right", "l"}, actRight, "←→", "Left/Right", "GPU", "the next GPU of the node", "Move", at(placeGPU)},
		{[]string{"pgup", "ctrl+b"}, actPageUp, "PgUp", "", "", "a page up", "Move", everywhere},
		{[]string{"pgdown", "ctrl+f"}, actPageDown, "PgDn", "", "", "a page down", "Move", everywhere},
		{[]string{"home", "g"}, actFirst, "g", "", "", "to the first", "Move", everywhere},
		{[]string{"end", "G"}, actLast, "G", "", "", "to the last", "Move", everywhere},

		{[]string{"enter"}, actOpen, "↵", "Enter", "open", "a job: its grid, its ranks, what is known of it", "Go", at(placeJobs)},
		{[]string{"enter"}, actOpen, "↵", "Enter", "node", "the node of the selected GPU", "Go", at(placeGrid)},
		{[]string{"enter"}, actOpen, "↵", "Enter", "open", "the node", "Go", at(placeNodes)},
		{[]string{"enter"}, actOpen, "↵", "Enter", "open", "all about the selected GPU; in other sections: fold or unfold", "Go", at(placeNode)},
		{[]string{"enter"}, actOpen, "↵", "Enter", "node", "the node of the rank", "Go", at(placeRanks)},
		{[]string{"enter"}, actOpen, "↵", "Enter", "open", "its log alone; of other sections: fold or unfold", "Go", at(placeJob)},
		{[]string{"enter"}, actOpen, "↵", "Enter", "jobs", "the jobs of this person", "Go", at(placeUsers)},
		{[]string{"enter"}, actOpen, "↵", "Enter", "open", "the incident: its findings, their evidence, what to do", "Go", at(placeFindings)},
		{[]string{"enter"}, actOpen, "↵", "Enter", "go there", "to the node, GPU or job of the finding", "Go", at(placeIncident)},
		{[]string{"t"}, actFold, "t", "", "fold", "fold or unfold the section", "Go", at(placeNode, placeJob, placeRanks)},
		{[]string{"t", "enter"}, actFold, "t", "", "fold", "fold or unfold the section", "Go", at(placeGPU)},
		{[]string{"enter"}, actOpen, "↵", "Enter", "output", "show or hide what the nodes of this line printed", "Go", at(placeRun)},
		{[]string{"t"}, actFold, "t", "", "", "show or hide what the nodes of this line printed", "Go", at(placeRun)},
		{[]string{"left", "h"}, actLeft, "←", "Left", "", "long lines: back to their beginning", "Move", at(placeRun)},
		{[]string{"right", "l"}, actRight, "→", "Right", "", "long lines: what stands further to the right", "Move", at(placeRun)},
		{[]string{"esc", "backspace"}, actBack, "Esc", "", "back", "back; it never quits", "Go", at(placeGrid, placeNode, placeGPU, placeKernel, placeRanks, placeJob, placeLog, placeStacks, placeRun, placeIncident, placeHelp)},
		{[]string{"esc", "backspace"}, actBack, "Esc", "", "", "ends a range; it never quits", "Go", tables | at(placeUsers, placeFindings)},
		{[]string{"tab"}, actNextPane, "Tab", "", "grid", "to the grid, then the next view", "Go", at(placeJobs)},
		{[]string{"tab"}, actNextPane, "Tab", "", "", "to the next part or view", "Go", at(placeGrid, placeNodes, placeUsers, placeFindings)},
		{[]string{"tab"}, actNextPane, "Tab", "", "section", "to the next section", "Go", pages},
		{[]string{"tab"}, actNextPane, "Tab", "", "node by node", "a line for each node, with its time; again: equal outputs once", "Go", at(placeRun)},
		{[]string{"shift+tab"}, actPrevPane, "Shift-Tab", "", "", "the other way round", "Go", lists | pages | at(placeUsers, placeFindings)},
		{[]string{"1"}, actJobs, "1", "", "", "Jobs", "Go", everywhere},
		{[]string{"2"}, actNodes, "2", "", "nodes", "Nodes", "Go", at(placeJobs)},
		{[]string{"2"}, actNodes, "2", "", "", "Nodes", "Go", everywhere &^ at(placeJobs)},
		{[]string{"3"}, actFindings, "3", "", "", "Findings: what is wrong, folded into incidents, the worst first; from a node or a job its own", "Go", everywhere},
		{[]string{"4"}, actUsers, "4", "", "", "Users: who holds what, and what of it is idle", "Go", everywhere},
		{[]string{"5"}, actLastRun, "5", "", "", "Run: what the last command came to", "Go", everywhere},
		{[]string{"Q"}, actAsk, "Q", "", "", "answer what connections ask for: unknown host keys, passphrases, passwords, one-time codes", "Go", everywhere},
		{[]string{"o"}, actLog, "o", "", "output", "the end of the job's log file", "Go", at(placeJobs, placeGrid, placeRanks, placeJob)},
		{[]string{"o"}, actBack, "o", "", "", "back from the log", "Go", at(placeLog)},
		{[]string{"L"}, actKernel, "L", "", "log", "kernel log of the node", "Go", at(placeNodes, placeGrid, placeNode, placeGPU, placeRanks) | onFindings},
		{[]string{"L"}, actKernel, "L", "", "", "back to the node", "Go", at(placeKernel)},

		{[]string{"/"}, actFilter, "/", "", "filter", "search and filter: words, or terms such as util<10", "Choose", tables | at(placeFindings)},
		{[]string{"/"}, actFilter, "/", "", "search", "search in names and outputs, hidden ones too", "Choose", at(placeRun)},
		{[]string{"n"}, actNextHit, "n", "", "", "to the next place that was searched for", "Choose", at(placeRun)},
		{[]string{"N"}, actPrevHit, "N", "", "", "to the one before", "Choose", at(placeRun)},
		{[]string{"\\"}, actClear, "\\", "", "", `clear the filter, the user and "problems only"`, "Choose", tables | at(placeFindings)},
		{[]string{"x"}, actProblems, "x", "", "problems", "problems only", "Choose", tables},
		{[]string{"x"}, actProblems, "x", "", "", "critical only", "Choose", at(placeFindings)},
		{[]string{"t"}, actQuiet, "t", "", "folded", "show or fold away what asks for nobody: acknowledged, snoozed, denied, out of service, over", "Choose", at(placeFindings)},
		{[]string{"u"}, actUser, "u", "", "user", "only the user of this row; again: all", "Choose", tables},
		{[]string{"p"}, actPending, "p", "", "waiting", "the jobs that wait for their scheduler; again: those that run", "Choose", at(placeJobs)},
		{[]string{"P"}, actPartition, "P", "", "", "only the partition or namespace of this row; again: all", "Choose", at(placeJobs)},
		{[]string{"<"}, actSortLeft, "<", "", "", "sort by the column to the left", "Choose", tables | at(placeUsers, placeRanks, placeRun)},
		{[]string{">"}, actSortRight, "<>", "", "sort", "sort by the column to the right", "Choose", tables | at(placeUsers, placeRanks, placeRun)},
		{[]string{"r"}, actReverse, "r", "", "", "reverse the order", "Choose", tables | at(placeUsers, placeRanks, placeRun)},
		{[]string{"space"}, actTag, "␣", "Space", "tag", "tag the row and go on", "Choose", tables | at(placeFindings)},
		{[]string{"V"}, actRange, "V", "", "", "start a range, then move; again: end it", "Choose", tables | at(placeFindings)},
		{[]string{"U"}, actUntag, "U", "", "", "untag all", "Choose", tables | at(placeFindings)},
		{[]string{"F"}, actTagFinding, "F", "", "", "tag all nodes that have the worst finding of this one", "Choose", at(placeNodes)},

		{[]string{"m"}, actMetric, "m", "", "metric", "next metric: power, utilisation, tensor, memory, temperature, clock, network", "Show", at(placeJobs, placeGrid, placeNode, placeRanks, placeJob)},
		{[]string{"M"}, actMetricBack, "M", "", "", "previous metric", "Show", at(placeJobs, placeGrid, placeNode, placeRanks, placeJob)},
		{[]string{"v"}, actArrange, "v", "", "layout", "the grid by node, or by pipeline stage and replica", "Show", at(placeGrid)},
		{[]string{"v"}, actArrange, "v", "", "", "the grid by node, or by pipeline stage and replica", "Show", at(placeJobs, placeRanks, placeJob)},
		{[]string{":"}, actCommand, ":", "", "", "type a command: layout tp=8 pp=4 dp=16, layout auto, at 12:03, at -5m", "Show", everywhere},
		{[]string{"Z"}, actPause, "Z", "", "pause", "freeze the screen, while the fleet goes on; again: back to now. A recording is played, or stops", "Show", everywhere},
		{[]string{"["}, actStepBack, "[", "", "", "a second back in time: every screen shows that moment", "Show", everywhere},
		{[]string{"]"}, actStepOn, "[ ]", "", "time", "a second forward", "Show", everywhere},
		{[]string{"("}, actTenBack, "(", "", "", "10 seconds back", "Show", everywhere},
		{[]string{")"}, actTenOn, ")", "", "", "10 seconds forward", "Show", everywhere},
		{[]string{","}, actMinuteBack, ",", "", "", "a minute back", "Show", everywhere},
		{[]string{"."}, actMinuteOn, ".", "", "", "a minute forward", "Show", everywhere},
		{[]string{"{"}, actPrevMark, "{", "", "", "back in time to the finding before", "Show", everywhere},
		{[]string{"}"}, actNextMark, "{ }", "", "findings", "to the next finding", "Show", everywhere},
		{[]string{"-"}, actSlower, "-", "", "", "play a recording slower", "Show", everywhere},
		{[]string{"+", "="}, actFaster, "- +", "", "speed", "play a recording faster", "Show", everywhere},
		{[]string{"y"}, actCopy, "y", "", "copy", "copy what is tagged or selected; of a node that is not live, why and what to do; of a GPU its UUID (OSC 52)", "Show", at(placeJobs, placeGrid, placeNodes, placeNode, placeGPU, placeKernel, placeRanks, placeJob, placeLog, placeUsers, placeStacks)},
		{[]string{"y"}, actCopy, "y", "", "copy", "copy what is shown (OSC 52)", "Show", at(placeRun)},
		{[]string{"y"}, actCopy, "y", "", "copy", "copy the incident, or the tagged ones, as text for a ticket (OSC 52)", "Show", onFindings},
		{[]string{"A"}, actAcknowledge, "A", "", "acknowledge", "acknowledge: seen, until it goes and comes again, or becomes worse; again: take it back. It lasts over restarts", "Show", onFindings},
		{[]string{"z"}, actSnooze, "z", "", "snooze", "snooze for 1 h; again: 4 h, until tomorrow, not at all", "Show", onFindings},
		{[]string{"X"}, actDeny, "X", "", "false alarm", "a false alarm: this rule on this node, GPU or job asks for nobody any more; again: take it back", "Show", onFindings},
		{[]string{"ctrl+r", "f5"}, actRefresh, "Ctrl-r", "", "retry", "sort afresh, draw the screen anew, and dial now what is not live", "Show", at(placeNodes, placeNode)},
		{[]string{"ctrl+r", "f5"}, actRefresh, "Ctrl-r", "", "", "sort afresh, draw the screen anew, and dial now what is not live", "Show", at(placeJobs, placeGrid, placeGPU, placeRanks, placeUsers) | onFindings},
		{[]string{"a", "f9"}, actMenu, "a", "", "", "all that can be done here, your own actions too; or what is being done", "Act", onNodes},
		{[]string{"s"}, actShell, "s", "", "", "a shell on the node, where the selected rank is; ends with exit, or Enter ~.", "Act", onNodes},
		{[]string{"S"}, actStacks, "S", "", "", "where each rank of the job is: equal stacks once, the odd ones first; again: ask anew", "Act", onJobs},
		{[]string{"S"}, actStacks, "S", "", "", "where each process of the node is, on a GPU's page those that hold it", "Act", at(placeNodes, placeNode, placeGPU, placeKernel)},
		{[]string{"S"}, actStacks, "S", "", "ask anew", "ask anew where they are", "Act", at(placeStacks)},
		{[]string{"B"}, actBlocking, "B", "", "stop and read", "ask anew, and stop each process while it is read; asks first", "Act", at(placeStacks)},
		{[]string{"D"}, actDrain, "D", "", "", "drain: the node, the tagged ones, or some of the jobs' take nothing new; asks first", "Act", onNodes},
		{[]string{"D"}, actDrain, "D", "", "drain", "drain the node of the incident, or some of its nodes; the reason is its root; asks first", "Act", onFindings},
		{[]string{"R"}, actResume, "R", "", "", "resume: they take work again; asks first", "Act", onNodes},
		{[]string{"K"}, actSignal, "K", "", "", "send a signal to a rank, ranks of the jobs, or processes of the nodes, what is left over too; asks first", "Act", onNodes},
		{[]string{"C"}, actCancel, "C", "", "", "cancel the job, or the tagged ones, or queue them again; asks first", "Act", onJobs},
		{[]string{"!"}, actRun, "!", "", "", "run a command on the node, the tagged ones, or some of the jobs'; asks first", "Act", onNodes},
		{[]string{"!"}, actRun, "!", "", "again", "run another command on the same nodes; asks first", "Act", at(placeRun)},
		{[]string{"ctrl+x"}, actStop, "Ctrl-x", "", "stop", "let nothing more start; what was started goes on", "Act", at(placeRun)},

		{[]string{"?", "f1"}, actHelp, "?", "", "help", "all keys", "Show", everywhere &^ at(placeHelp)},
		{[]string{"?", "f1"}, actBack, "?", "", "", "back", "Show", at(placeHelp)},
		{[]string{"q"}, actQuit, "q", "", "quit", "quit; on a screen opened from another: back", "Show", tables | at(placeUsers, placeRun, placeFindings)},
		{[]string{"q"}, actQuit, "q", "", "back", "back", "Show", everywhere &^ tables &^ at(placeUsers, placeRun, placeFindings)},
		{[]string{"ctrl+c"}, actInterrupt, "Ctrl-c", "", "", "quit, wherever one is", "Show", everywhere},
	}
}

// hintOrder is how the keys with a hint stand on the bottom line, as far as there is room. "?" has a place of its own.
func hintOrder() []action {
	return []action{actDown, actRight, actOpen, actStop, actBack, actAcknowledge, actSnooze, actDeny, actDrain, actQuiet, actNextPane, actKernel, actFilter, actMetric, actArrange, actProblems, actQuit, actPause, actFold, actRefresh,
		actRun, actStacks, actBlocking, actLog, actPending, actNodes, actTag, actSortRight, actUser, actCopy}
}

// timeOrder is how the keys of time stand before all others while the past can be shown.
func timeOrder() []action { return []action{actPause, actStepOn, actNextMark, actFaster} }

// keymap finds what a key does at a place.
type keymap struct {
	all   []binding
	byKey [numPlaces]map[string]*binding
	hints [numPlaces][]*binding
	time  [numPlaces][]*binding // those that come first while the past can be shown
}

func newKeymap() keymap {
	k := keymap{all: bindings()}
	for p := range numPlaces {
		k.byKey[p] = map[string]*binding{}
		for i := range k.all {
			if b := &k.all[i]; b.at.has(p) {
				for _, key := range b.keys {
					k.byKey[p][key] = b
				}
			}
		}
	}
	for p := range numPlaces {
		k.hints[p], k.time[p] = k.hintsOf(hintOrder(), p), k.hintsOf(timeOrder(), p)
	}
	return k
}

// hintsOf are the keys with a hint at a place, in that order.
func (k *keymap) hintsOf(order []action, p place) (hints []*binding) {
	for _, do := range order {
		for i := range k.all {
			if b := &k.all[i]; b.do == do && b.hint != "" && b.at.has(p) {
				hints = append(hints, b)
			}
		}
	}
	return hints
}

// shown is how the key is written on this terminal.
func (b *binding) shown(ascii bool) string {
	if ascii && b.ascii != "" {
		return b.ascii
	}
	return b.label
}

// keyNames are the keys of a binding as the help writes them: "Ctrl-r", the way that all else here writes them.
func (b *binding) keyNames() string {
	names := make([]string, len(b.keys))
	for i, k := range b.keys {
		names[i] = keyName(k)
	}
	return strings.Join(names, " ")
}

// keyName is how a key that tea.KeyPressMsg.String names is written.
func keyName(k string) string {
	modifier, key, found := strings.Cut(k, "+")
	if found && key != "" {
		return strings.ToUpper(modifier[:1]) + modifier[1:] + "-" + keyName(key)
	}
	switch k {
	case "pgup":
		return "PgUp"
	case "pgdown":
		return "PgDn"
	}
	if len(k) > 1 { // a word: Enter, Esc, F5
		return strings.ToUpper(k[:1]) + k[1:]
	}
	return k
}
