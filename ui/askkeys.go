package ui

import (
	"strconv"

	"foretop/fleet"

	tea "charm.land/bubbletea/v2"
)

// askKey takes a key while questions are shown.
func (m *Model) askKey(k tea.KeyPressMsg) tea.Cmd {
	if m.asking.keys {
		if m.asking.chosen != nil {
			return m.askConfirmKey(k.String())
		}
		return m.askListKey(k.String())
	}
	return m.askTypedKey(k)
}

// askTypedKey takes a key of an answer. Before the question could be read none counts.
func (m *Model) askTypedKey(k tea.KeyPressMsg) tea.Cmd {
	s := &m.asking
	key := k.String()
	q := m.typedQuestion()
	if q == nil { // all is answered: whatever is still being typed goes nowhere
		if key == "esc" {
			m.leaveAsk()
		}
		return nil
	}
	switch {
	case key == "ctrl+o":
		m.leaveAsk()
		return nil
	case key == "esc" && (s.ready || len(s.fields) == 0):
		return m.askDecline()
	case key == "tab" && len(s.fields) < 2 && len(m.keyQuestions()) > 0:
		s.forget()
		s.id, s.keys = 0, true
		return m.askSettle()
	case key == "enter" && q.Kind == fleet.AskInteractive && len(q.Prompts) == 0 && !q.Busy:
		return m.askBegin(q)
	case s.sent || len(s.fields) == 0:
		return nil
	case !s.ready:
		m.notice = "read it first: what is typed before the question was there does not count"
		return nil
	}
	f := &s.fields[s.field]
	switch key {
	case "enter":
		if s.field < len(s.fields)-1 {
			s.field++
			return nil
		}
		if len(*f) == 0 && q.Kind != fleet.AskInteractive { // it would cost an attempt
			m.notice = "nothing is typed: Esc is no answer, Ctrl-o later"
			return nil
		}
		return m.askSend()
	case "tab", "down":
		s.field = min(s.field+1, len(s.fields)-1)
	case "shift+tab", "up":
		s.field = max(s.field-1, 0)
	case "backspace", "ctrl+h":
		if n := len(*f); n > 0 {
			(*f)[n-1] = 0
			*f = (*f)[:n-1]
		}
	case "ctrl+u":
		clear(*f)
		*f = (*f)[:0]
	default:
		if k.Text != "" && k.Mod&^tea.ModShift == 0 {
			s.put(k.Text)
		}
	}
	return nil
}

// askListKey takes a key in the list of host keys.
func (m *Model) askListKey(key string) tea.Cmd {
	s := &m.asking
	list := m.keyQuestions()
	move := func(d int) { s.at = max(0, min(s.at+d, len(list)-1)) }
	move(0)
	switch key {
	case "esc", "q", "backspace":
		m.leaveAsk()
	case "up", "k":
		move(-1)
	case "down", "j":
		move(1)
	case "pgup":
		move(-max(1, s.seen))
	case "pgdown":
		move(max(1, s.seen))
	case "home", "g":
		move(-len(list))
	case "end", "G":
		move(len(list))
	case "tab":
		if len(m.typedQuestions()) > 0 {
			s.keys, s.id = false, 0
			return m.syncAsk()
		}
	case "space":
		if s.at < len(list) && m.acceptable(&list[s.at]) {
			name := askKeyName(&list[s.at])
			if s.tagged[name] = !s.tagged[name]; !s.tagged[name] {
				delete(s.tagged, name)
			}
			move(1)
		}
	case "*":
		all := map[string]bool{}
		for i := range list {
			if list[i].Key.MayBeAccepted() {
				all[askKeyName(&list[i])] = true
			}
		}
		if len(all) == len(s.tagged) {
			all = map[string]bool{}
		}
		s.tagged = all
	case "enter":
		if s.at < len(list) {
			return m.askChoose(list)
		}
	}
	return nil
}

// acceptable says whether a key may be accepted, and if not, why.
func (m *Model) acceptable(q *fleet.Question) bool {
	if q.Key.MayBeAccepted() {
		return true
	}
	m.notice = "a key that is " + q.Key.Verdict.String() + " is never accepted here: what to do stands with it"
	return false
}

// askKeyName names one row of the list.
func askKeyName(q *fleet.Question) string {
	return q.Key.Fingerprint + " " + strconv.Itoa(int(q.Key.Verdict))
}

// askChoose asks whether the tagged keys, or else the one under the cursor, are to be accepted.
func (m *Model) askChoose(list []fleet.Question) tea.Cmd {
	s := &m.asking
	var chosen []fleet.Question
	for i := range list {
		if s.tagged[askKeyName(&list[i])] {
			chosen = append(chosen, list[i])
		}
	}
	if len(chosen) == 0 {
		if !m.acceptable(&list[s.at]) {
			return nil
		}
		chosen = list[s.at : s.at+1]
	}
	s.chosen, s.answer = chosen, ""
	return m.askSettle()
}

// askHosts is how many hosts the chosen keys are of: what is typed to accept more than one.
func (s *askScreen) askHosts() int {
	n := 0
	for i := range s.chosen {
		n += len(s.chosen[i].Hosts)
	}
	return n
}

// askConfirmKey takes the answer: y for one host, else how many there are. Enter by itself does nothing.
func (m *Model) askConfirmKey(key string) tea.Cmd {
	s := &m.asking
	n := s.askHosts()
	switch {
	case key == "esc" || key == "n" || key == "q":
		s.chosen, s.answer = nil, ""
	case !s.ready:
		m.notice = "read it first: what is typed before the question was there does not count"
	case n == 1 && key == "y":
		return m.askTrust()
	case n > 1 && len(key) == 1 && key[0] >= '0' && key[0] <= '9' && len(s.answer) < 6:
		s.answer += key
	case key == "backspace" && s.answer != "":
		s.answer = s.answer[:len(s.answer)-1]
	case n > 1 && key == "enter" && s.answer != "":
		if s.answer != strconv.Itoa(n) {
			s.answer = ""
			m.notice = "type " + strconv.Itoa(n) + ", the number of hosts"
			return nil
		}
		return m.askTrust()
	}
	return nil
}
