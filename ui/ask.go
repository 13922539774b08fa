package ui

import (
	"slices"
	"strconv"
	"time"

	"foretop/fleet"

	tea "charm.land/bubbletea/v2"
)

// Asker takes what a person says to the questions in a snapshot. Its methods are called from commands; answers are its own from then on.
type Asker interface {
	// Begin says that somebody is there to talk with a server that has prompts of its own.
	Begin(id uint64)
	Answer(id uint64, round int, answers [][]byte) error
	// Decline ends a question: its nodes stay as they are.
	Decline(id uint64)
	// Trust takes the key that a node showed, if it has that fingerprint.
	Trust(node, fingerprint string) error
}

// maxAnswer bounds one answer, in characters.
const maxAnswer = 1024

// askScreen is where questions are answered: one that is typed at a time, or the list of host keys that are not trusted.
type askScreen struct {
	keys bool // the list of host keys
	// accepted says that some were: when no more can be, what else is asked is shown.
	accepted bool
	serial   int  // of what is to be read before an answer counts
	ready    bool // answers count

	// What is typed. It stands nowhere else, and is overwritten when it was sent or is not wanted.
	id     uint64 // the question
	round  int
	fields [][]rune
	field  int
	sent   bool // it was sent, and nothing new is asked yet

	at, top, seen int
	tagged        map[string]bool // by askKeyName
	chosen        []fleet.Question
	answer        string // the count that is typed
}

// askReadyMsg says that a question has been on screen for a moment.
type askReadyMsg int

// askDoneMsg says how an answer went: words for the bottom line.
type askDoneMsg struct{ words string }

// questions are those that are open; a paused screen asks all the same, for nobody's answer is about what it showed a while ago.
func (m *Model) questions() []fleet.Question {
	if m.latest == nil || m.opt.Replay { // nobody waits any more for the answers to what a recording asks
		return nil
	}
	return m.latest.Questions
}

// typedQuestions are those that are typed.
func (m *Model) typedQuestions() []fleet.Question {
	return slices.DeleteFunc(slices.Clone(m.questions()), func(q fleet.Question) bool { return q.Kind == fleet.AskHostKey })
}

// keyQuestions are the host keys that are not trusted.
func (m *Model) keyQuestions() []fleet.Question {
	return slices.DeleteFunc(slices.Clone(m.questions()), func(q fleet.Question) bool { return q.Kind != fleet.AskHostKey })
}

func anyAcceptable(keys []fleet.Question) bool {
	return slices.ContainsFunc(keys, func(q fleet.Question) bool { return q.Key.MayBeAccepted() })
}

// askWords is said on every screen while there is something to answer; host keys that nobody can accept here are alarms of their nodes.
func (m *Model) askWords() string {
	n := 0
	for _, q := range m.questions() {
		if q.Key == nil || q.Key.MayBeAccepted() {
			n++
		}
	}
	if n == 0 || m.screen == screenAsk || m.opt.Asker == nil {
		return ""
	}
	words := count(n, "question") + ": press Q"
	if m.screen == screenAct {
		words = count(n, "question") + ": Esc, then Q"
	}
	return string(markCursor) + " " + words
}

// openAsk shows what is asked.
func (m *Model) openAsk() tea.Cmd {
	switch {
	case m.opt.Asker == nil:
		m.notice = "nothing can be answered from here"
		return nil
	case len(m.questions()) == 0:
		m.notice = "nothing is asked: unknown host keys, passphrases and passwords are, when nodes want them"
		return nil
	}
	keys := m.keyQuestions()
	m.asking = askScreen{serial: m.asking.serial, tagged: map[string]bool{}}
	m.asking.keys = anyAcceptable(keys) || len(m.typedQuestions()) == 0
	m.push(screenAsk)
	if m.asking.keys {
		return m.askSettle()
	}
	return m.syncAsk()
}

// askSettle makes answers count once what is shown could be read.
func (m *Model) askSettle() tea.Cmd {
	s := &m.asking
	s.serial++
	s.ready = false
	serial, wait := s.serial, min(questionSettles, m.settling*10) // tests settle at once
	return func() tea.Msg {
		time.Sleep(wait)
		return askReadyMsg(serial)
	}
}

// syncAsk fits what is typed to what is asked by now: a question that is being answered stays until it is gone; then comes the next.
func (m *Model) syncAsk() tea.Cmd {
	s := &m.asking
	if keys := m.keyQuestions(); m.screen == screenAsk && s.keys && s.chosen == nil && len(m.typedQuestions()) > 0 && (len(keys) == 0 || s.accepted && !anyAcceptable(keys)) {
		s.keys, s.id, s.accepted = false, 0, false // on to what else is asked
	}
	if m.screen != screenAsk || s.keys {
		return nil
	}
	q := m.typedQuestion()
	if q == nil {
		list := m.typedQuestions()
		if len(list) == 0 {
			s.forget()
			s.id = 0
			return nil
		}
		q = &list[0]
	}
	if s.id == q.ID && s.round == q.Round {
		return nil
	}
	fresh := s.id != q.ID
	s.forget()
	s.id, s.round, s.field, s.sent = q.ID, q.Round, 0, false
	s.fields = make([][]rune, len(q.Prompts))
	if fresh && q.Kind == fleet.AskInteractive && len(q.Prompts) == 0 {
		return m.askBegin(q)
	}
	return m.askSettle()
}

// askBegin has a server asked for its prompts: when its question is first seen, later by Enter only, for each time may cost something there.
func (m *Model) askBegin(q *fleet.Question) tea.Cmd {
	asker, id := m.opt.Asker, q.ID
	return func() tea.Msg {
		asker.Begin(id)
		return nil
	}
}

// typedQuestion is the one that is being answered; nil when it is gone.
func (m *Model) typedQuestion() *fleet.Question {
	for _, q := range m.questions() {
		if q.ID == m.asking.id && q.Kind != fleet.AskHostKey {
			return &q
		}
	}
	return nil
}

// forget overwrites what was typed.
func (s *askScreen) forget() {
	for _, f := range s.fields {
		clear(f[:cap(f)])
	}
	s.fields = nil
}

// put adds to the answer.
func (s *askScreen) put(text string) {
	if !s.ready || s.sent || s.field >= len(s.fields) {
		return
	}
	for _, r := range text {
		if r >= ' ' && r != 0x7f && len(s.fields[s.field]) < maxAnswer {
			f := &s.fields[s.field]
			if len(*f) == cap(*f) { // append would leave a copy behind
				bigger := make([]rune, len(*f), max(64, 2*cap(*f)))
				copy(bigger, *f)
				clear(*f)
				*f = bigger
			}
			*f = append(*f, r)
		}
	}
}

// askSend hands the answers over.
func (m *Model) askSend() tea.Cmd {
	s := &m.asking
	answers := make([][]byte, len(s.fields))
	for i, f := range s.fields {
		answers[i] = []byte(string(f))
	}
	asker, id, round := m.opt.Asker, s.id, s.round
	s.forget()
	s.sent = true
	return func() tea.Msg {
		if err := asker.Answer(id, round, answers); err != nil {
			return askDoneMsg{err.Error()}
		}
		return askDoneMsg{}
	}
}

// askDecline ends the question that is shown.
func (m *Model) askDecline() tea.Cmd {
	s := &m.asking
	q := m.typedQuestion()
	s.forget()
	if q == nil {
		m.leaveAsk()
		return nil
	}
	m.notice = "not answered: " + count(len(q.Nodes), "node") + " " + plural(len(q.Nodes), "stays", "stay") + " needs-auth; Ctrl-r asks again"
	asker, id := m.opt.Asker, q.ID
	if len(m.typedQuestions()) <= 1 {
		m.leaveAsk()
	}
	return func() tea.Msg {
		asker.Decline(id)
		return nil
	}
}

// leaveAsk goes back to the screen before; what was typed is forgotten.
func (m *Model) leaveAsk() {
	m.asking.forget()
	m.asking.id = 0
	m.goBack()
}

func plural(n int, one, many string) string {
	if n == 1 {
		return one
	}
	return many
}

// askTrust accepts the chosen host keys: for each host by one of the nodes that showed it.
func (m *Model) askTrust() tea.Cmd {
	type pick struct{ node, fingerprint string }
	var picks []pick
	for _, q := range m.asking.chosen {
		seen := map[string]bool{}
		for _, name := range q.Nodes {
			n := m.latest.Node(name)
			if n == nil || n.HostKey == nil || n.HostKey.Fingerprint != q.Key.Fingerprint || seen[n.HostKey.Host] {
				continue
			}
			seen[n.HostKey.Host] = true
			picks = append(picks, pick{name, q.Key.Fingerprint})
		}
	}
	asker := m.opt.Asker
	m.asking.chosen, m.asking.answer, m.asking.accepted = nil, "", true
	clear(m.asking.tagged)
	return func() tea.Msg {
		done, words := 0, ""
		for _, p := range picks {
			if err := asker.Trust(p.node, p.fingerprint); err != nil {
				words = err.Error()
				continue
			}
			done++
		}
		if words != "" {
			return askDoneMsg{strconv.Itoa(done) + " of " + strconv.Itoa(len(picks)) + " accepted: " + words}
		}
		return askDoneMsg{count(done, "host key") + " accepted"}
	}
}
