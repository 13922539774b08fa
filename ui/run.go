package ui

import (
	"strings"
	"time"

	"foretop/actions"

	tea "charm.land/bubbletea/v2"
)

// runScreen shows what a command came to: equal outputs once, under the nodes that they are from. It keeps the last run until there is another.
type runScreen struct {
	job     *actions.Job // nil: none yet
	news    *runNews
	stopped bool // nothing more is started

	byNode  bool   // a row a target, not a group
	sort    string // of these
	reverse bool
	folds   map[runID]bool   // what somebody unfolded, or folded
	texts   map[int]*runText // outputs of groups that were unfolded
	entries []runID          // what is listed
	starts  []int            // the first row of each, and at the end how many rows there are
	at, top int              // rows
	page    int              // rows on screen
	shift   int              // cells that long lines are moved to the left
	find    string           // what is looked for, in lower case
}

// runID names an entry of the list from one picture to the next.
type runID struct {
	kind runKind
	n    int // of a group, or of a step
}

type runKind uint8

const (
	runOfGroup runKind = iota
	runOfNode
	runPending // 0 what is running, 1 what waits
)

// runNewsMsg says how far a run has come, and when to look again.
type runNewsMsg struct {
	job     *actions.Job
	news    *runNews
	digest  *runDigest
	changed <-chan struct{}
}

// isRun says that what an action comes to is output.
func isRun(k actions.Kind) bool { return k == actions.Command || k == actions.Custom }

// startRun shows a run that was begun, in the place of the question.
func (m *Model) startRun(job *actions.Job) tea.Cmd {
	if in := &job.Preview.Intent; in.Kind == actions.Command {
		m.remember(in.Argv[len(in.Argv)-1])
	}
	digest := &runDigest{}
	results, changed := job.Results()
	m.run = runScreen{job: job, news: digest.take(results, false), sort: "time"}
	m.run.layout()
	m.goBack()
	if m.screen != screenRun {
		m.push(screenRun)
	}
	return runWait(runNewsMsg{job, m.run.news, digest, changed})
}

// runWait waits until a run has come further, and says how far.
func runWait(last runNewsMsg) tea.Cmd {
	return func() tea.Msg {
		over := false
		select {
		case <-last.job.Done():
			over = true
		case <-last.changed:
			pause := time.NewTimer(runPause(len(last.news.results)))
			defer pause.Stop()
			select { // those of many steps come at once
			case <-pause.C:
			case <-last.job.Done():
				over = true
			}
		}
		results, changed := last.job.Results()
		return runNewsMsg{last.job, last.digest.take(results, over), last.digest, changed}
	}
}

// runPause is between two pictures of a run of n steps.
func runPause(n int) time.Duration {
	return min(50*time.Millisecond+time.Duration(n)*50*time.Microsecond, time.Second)
}

// runNews takes over how far a run has come, also while another screen is shown.
func (m *Model) runNews(msg runNewsMsg) tea.Cmd {
	if msg.job != m.run.job {
		return nil
	}
	m.run.take(msg.news)
	if m.acting.job == msg.job {
		m.acting.results, m.acting.over = msg.news.results, msg.news.over
	}
	if !msg.news.over {
		return runWait(msg)
	}
	if m.screen != screenRun {
		what, where := m.run.title()
		m.notice = resultWords(msg.news.results) + " (5 shows it): " + strings.TrimSpace(what+" "+where)
	}
	return nil
}

// take takes over a new picture; what is under the cursor stays there.
func (s *runScreen) take(n *runNews) {
	s.news = n
	s.layout()
}

// openRun shows the last run.
func (m *Model) openRun() {
	if m.screen != screenRun {
		m.view(screenRun)
	}
}

// stopRun lets nothing more of a run start.
func (m *Model) stopRun() {
	s := &m.run
	switch {
	case s.job == nil:
		m.notice = "nothing is run: ! on nodes runs a command"
	case s.news.over:
		m.notice = "it is over"
	default:
		s.job.Cancel()
		s.stopped = true
		m.notice = "nothing more is started; what was, goes on to its end"
	}
}

// maxPastCommands bounds how many are offered.
const maxPastCommands = 50

// remember puts a command line before those that were run before.
func (m *Model) remember(line string) {
	past := []string{line}
	for _, old := range m.commands {
		if old != line && len(past) < maxPastCommands {
			past = append(past, old)
		}
	}
	m.commands = past
}

// pastCommand goes through the commands of this session.
func (m *Model) pastCommand(older bool) {
	s := &m.acting
	if older {
		s.past = min(s.past+1, len(m.commands))
	} else {
		s.past = max(s.past-1, 0)
	}
	text := ""
	if s.past > 0 {
		text = m.commands[s.past-1]
	}
	s.line.startLong(text)
}

// runAgain finds the nodes of the last run, for another command.
func (m *Model) runAgain(s *actScreen) (why string) {
	if m.run.job != nil {
		s.intent.Nodes = m.run.job.Preview.Intent.Nodes
	}
	if len(s.intent.Nodes) == 0 {
		return "on which nodes? Choose some in Nodes (2), or a job, and press !"
	}
	return ""
}
