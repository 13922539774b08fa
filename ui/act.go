package ui

import (
	"cmp"
	"strconv"
	"strings"
	"time"

	"foretop/actions"
	"foretop/fleet"

	tea "charm.land/bubbletea/v2"
)

// Actor carries out what a person wants. Preview is pure and quick; Start returns at once.
type Actor interface {
	Preview(s *fleet.Snapshot, in actions.Intent) *actions.Preview
	Start(p *actions.Preview, answer string) (*actions.Job, error)
	Refusal() string   // why nothing may be done; "" it may
	Reasons() []string // for drains, the latest first
	User() string
	// Shell is an interactive shell on a node; in a process's working directory, and its namespaces, where it is given.
	Shell(node string, at *actions.Process) tea.ExecCommand
	// Stacks asks what a preview of kind Dump says, if answer confirms it, and waits for the answers; that takes seconds. answered is told how many more processes it is
	// known of, from any goroutine. There may be answers and an error: that they could not be written down.
	Stacks(p *actions.Preview, answer string, answered func(int)) ([]actions.Stack, error)
}

// The question settles for so long before an answer counts: keys that were typed or pasted before it could be read do not.
const questionSettles = 500 * time.Millisecond

// actStage is how far an action has come.
type actStage uint8

const (
	stageMenu     actStage = iota // which action
	stageTargets                  // which of several
	stageWords                    // a reason, or a command
	stageChoice                   // a signal, or how a job is to end
	stageQuestion                 // what it comes to: y, or a number
	stageProgress                 // it is being done
)

// actScreen asks what is to be done, shows what it comes to, and how it goes.
type actScreen struct {
	stage   actStage
	intent  actions.Intent
	deeds   []deed      // that are chosen among
	targets []actTarget // the same; nil: they are given
	of      *list       // whose tags say what it is about; nil: what is selected
	about   string      // what the targets are of: "job 8123"
	why     string      // what a drain's line begins with; "": what is wrong with the nodes
	listed  map[processKey]int
	options []string // of a choice
	quiet   bool     // it changes nothing, the configuration says: it is not asked about
	at, top int      // in the list of the stage
	line    prompt
	past    int // which of the past reasons the line holds; 0 none
	preview *actions.Preview
	changed []string // what is otherwise than when it was asked first
	answer  string
	serial  int  // of the question
	ready   bool // answers count
	job     *actions.Job
	results []actions.Result
	over    bool // nothing more will change
	seen    int  // lines of the list on screen
}

// mayAct says why nothing can be done now; "" it can.
func (m *Model) mayAct(what string) string {
	why := m.mayAsk(what)
	switch {
	case why != "":
		return why
	case m.acting.job != nil && !m.acting.over:
		return "one thing after another: " + m.acting.preview.Title + " is still being done (a shows it)"
	}
	return ""
}

// mayAsk is mayAct of what may be done beside something else.
func (m *Model) mayAsk(what string) string {
	switch {
	case m.opt.Actor == nil:
		return "nothing can be done from here"
	case m.opt.Actor.Refusal() != "":
		return m.opt.Actor.Refusal()
	case m.paused:
		return "the screen is paused: Z goes on, then " + what
	}
	return ""
}

// switchedOff says why all that acts is switched off, whatever is selected; "" it is not.
func (m *Model) switchedOff() string {
	if m.opt.Actor == nil {
		return ""
	}
	return m.opt.Actor.Refusal()
}

// startAct opens the question for an action; it changes nothing.
func (m *Model) startAct(kind actions.Kind) tea.Cmd {
	if why := m.mayAct(string(kind)); why != "" {
		m.notice = why
		return nil
	}
	s := actScreen{intent: actions.Intent{Kind: kind}, serial: m.acting.serial + 1}
	why := ""
	switch kind {
	case actions.Drain, actions.Resume, actions.Command:
		if m.screen == screenRun {
			why = m.runAgain(&s)
			break
		}
		why = m.nodeTargets(&s)
	case actions.Signal:
		why = m.processTargets(&s)
	case actions.Cancel:
		why = m.jobTargets(&s)
	}
	return m.showAct(s, why)
}

// startMenu opens the list of what can be done here; where something is being done, that.
func (m *Model) startMenu() {
	if m.acting.job != nil && !m.acting.over {
		if m.push(screenAct); m.acting.job == m.run.job {
			m.screen = screenRun
		}
		return
	}
	list := m.deeds(m.place())
	if len(list) == 0 {
		m.notice = "nothing can be done here"
		return
	}
	m.acting = actScreen{serial: m.acting.serial + 1, stage: stageMenu, deeds: list}
	m.push(screenAct)
}

// showAct shows what is asked, unless there is a reason why not.
func (m *Model) showAct(s actScreen, why string) tea.Cmd {
	if why != "" {
		m.notice = why
		return nil
	}
	m.acting = s
	m.push(screenAct)
	if len(s.targets) > 0 {
		m.acting.stage = stageTargets
		return nil
	}
	return m.actNext()
}

// actNext goes on to what must be known next, and at last to the question.
func (m *Model) actNext() tea.Cmd {
	s := &m.acting
	switch in := &s.intent; {
	case in.Kind == actions.Drain && s.stage < stageWords:
		s.stage = stageWords
		s.line.start(cmp.Or(s.why, m.drainReason(in.Nodes)))
		return nil
	case in.Kind == actions.Command && s.stage < stageWords:
		s.stage = stageWords
		s.line.startLong("")
		return nil
	case in.Kind == actions.Signal && s.stage < stageChoice:
		s.stage, s.options, s.at, s.top = stageChoice, actions.Signals, 0, 0
		return nil
	case in.Kind == actions.Cancel && s.stage < stageChoice:
		s.stage, s.options, s.at, s.top = stageChoice, []string{"cancel it", "end it and queue it again"}, 0, 0
		if len(in.Jobs) > 1 {
			s.options = []string{"cancel them", "end them and queue them again"}
		}
		return nil
	}
	s.stage, s.at, s.top = stageQuestion, 0, 0
	if p := m.opt.Actor.Preview(m.snap, s.intent); s.quiet && p.Trouble == "" {
		s.preview = p
		return m.begin(p.Answer())
	}
	return m.actQuestion()
}

// actQuestion computes what the intent comes to and shows it.
func (m *Model) actQuestion() tea.Cmd {
	s := &m.acting
	s.preview, s.answer = m.opt.Actor.Preview(m.snap, s.intent), ""
	return m.settle()
}

// settle has answers count only once nobody has typed for a moment.
func (m *Model) settle() tea.Cmd {
	s := &m.acting
	s.ready = false
	s.serial++
	serial, wait := s.serial, min(questionSettles, m.settling*10) // tests settle at once
	return func() tea.Msg {
		time.Sleep(wait)
		return actReadyMsg(serial)
	}
}

// actReadyMsg says that a question has been on screen for a moment.
type actReadyMsg int

// actNewsMsg says that results changed; job is whose.
type actNewsMsg struct {
	job  *actions.Job
	over bool
}

// drainReason is what a drain's line begins with: what is wrong with the worst of the nodes; "" nothing is.
func (m *Model) drainReason(names []string) string {
	nodes := make([]*fleet.Node, 0, len(names))
	for _, name := range names {
		if n := m.index.node(name); n != nil {
			nodes = append(nodes, n)
		}
	}
	return actions.DrainReason(nodes, m.opt.Actor.User())
}

// actStart has it done, if it still comes to what was read: the fleet has gone on since. Else it is asked anew.
func (m *Model) actStart(answer string) tea.Cmd {
	s := &m.acting
	if m.paused {
		m.notice = "the screen is paused: nothing is done"
		return nil
	}
	if s.intent.Kind == actions.Dump {
		if !s.preview.Confirms(answer) {
			m.notice, s.answer = "type "+strconv.Itoa(s.preview.Count)+", the number of processes", ""
			return nil
		}
		m.goBack()
		return m.dump(s.preview, answer)
	}
	if now := m.opt.Actor.Preview(m.snap, s.intent); s.preview.Confirms(answer) {
		if what := s.preview.Changed(now); len(what) > 0 {
			s.changed, s.preview, s.answer, s.at, s.top = what, now, "", 0, 0
			m.notice = "it changed meanwhile, and nothing is done yet: read it again"
			return m.settle()
		}
	}
	return m.begin(answer)
}

// begin has done what the preview says.
func (m *Model) begin(answer string) tea.Cmd {
	s := &m.acting
	job, err := m.opt.Actor.Start(s.preview, answer)
	if err != nil {
		m.notice, s.answer = err.Error(), ""
		if err == actions.ErrConfirm && s.preview.Count > 0 {
			m.notice = "type " + strconv.Itoa(s.preview.Count) + ", the number of targets"
		}
		return nil
	}
	s.job, s.stage, s.at, s.top, s.over = job, stageProgress, 0, 0, false
	if isRun(s.intent.Kind) {
		return m.startRun(job)
	}
	if s.of != nil && s.intent.Kind != actions.Command && s.intent.Kind != actions.Custom {
		s.of.tagged, s.of.rangeAt = nil, "" // a second action is about what is chosen anew
	}
	return m.actWait()
}

// actWait takes over the results so far, and waits for others.
func (m *Model) actWait() tea.Cmd {
	job := m.acting.job
	results, changed := job.Results()
	m.acting.results = results
	return func() tea.Msg {
		select {
		case <-changed:
			time.Sleep(50 * time.Millisecond) // those of many steps come at once
			return actNewsMsg{job, false}
		case <-job.Done():
			return actNewsMsg{job, true}
		}
	}
}

// actNews takes over news of an action, also while another screen is shown.
func (m *Model) actNews(msg actNewsMsg) tea.Cmd {
	if msg.job != m.acting.job || m.acting.over {
		return nil
	}
	if !msg.over {
		return m.actWait()
	}
	m.acting.results, _ = msg.job.Results()
	m.acting.over = true
	if m.screen != screenAct {
		m.notice = m.acting.preview.Title + ": " + resultWords(m.acting.results)
	}
	return nil
}

// resultWords counts results: "6 done, 1 failed, 1 unknown".
func resultWords(results []actions.Result) string {
	var n [actions.Refused + 1]int
	for i := range results {
		n[results[i].State]++
	}
	var words []string
	for _, s := range []actions.State{actions.Done, actions.Running, actions.Waiting, actions.Failed, actions.Unknown, actions.NotStarted, actions.Refused} {
		if n[s] > 0 {
			words = append(words, strconv.Itoa(n[s])+" "+s.String())
		}
	}
	return strings.Join(words, ", ")
}
