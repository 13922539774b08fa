package ui

import (
	"slices"
	"strings"

	"foretop/actions"

	tea "charm.land/bubbletea/v2"
)

// actKey takes a key while an action is asked about or done.
func (m *Model) actKey(k tea.KeyPressMsg) tea.Cmd {
	s := &m.acting
	key := k.String()
	switch s.stage {
	case stageMenu:
		if key == "enter" {
			d := s.deeds[s.at]
			m.goBack()
			return d.start(m)
		}
		m.actListKey(key, len(s.deeds))
	case stageTargets:
		return m.actTargetsKey(key)
	case stageWords:
		return m.actWordsKey(k)
	case stageChoice:
		if key == "enter" {
			m.actChosen()
			return m.actNext()
		}
		m.actListKey(key, len(s.options))
	case stageQuestion:
		return m.actAnswerKey(k)
	case stageProgress:
		switch key {
		case "ctrl+x":
			if !s.over {
				s.job.Cancel()
				m.notice = "nothing more is started; what was, goes on"
			}
		case "z":
			if in := s.job.Undo(m.latest.At); in != nil && s.over {
				m.acting = actScreen{intent: *in, serial: s.serial, stage: stageQuestion}
				return m.actQuestion()
			}
			m.notice = "nothing to undo: it takes a drain that was done within 30 s"
		case "e":
			in := s.job.Again()
			if in == nil {
				m.notice = "nothing to try again: it takes a drain that is over, and of which something was not done"
				return nil
			}
			m.acting = actScreen{intent: *in, serial: s.serial, stage: stageWords}
			m.acting.line.start(in.Reason)
		default:
			m.actListKey(key, len(s.results))
		}
	}
	return nil
}

// actListKey moves in a list, or leaves.
func (m *Model) actListKey(key string, n int) {
	s := &m.acting
	switch key {
	case "esc", "q", "backspace":
		m.goBack()
	case "up", "k":
		s.at--
	case "down", "j":
		s.at++
	case "pgup":
		s.at -= max(1, s.seen)
	case "pgdown":
		s.at += max(1, s.seen)
	case "home", "g":
		s.at = 0
	case "end", "G":
		s.at = n - 1
	}
	s.at = max(0, min(s.at, n-1))
}

func (m *Model) actTargetsKey(key string) tea.Cmd {
	s := &m.acting
	switch key {
	case "space":
		s.targets[s.at].on = !s.targets[s.at].on
		s.at = min(s.at+1, len(s.targets)-1)
	case "*":
		all := slices.ContainsFunc(s.targets, func(t actTarget) bool { return !t.on })
		for i := range s.targets {
			s.targets[i].on = all
		}
	case "F":
		m.chooseFinding()
	case "enter":
		for _, t := range s.targets {
			if !t.on {
				continue
			}
			if t.hidden && !slices.Contains(s.intent.Hidden, t.node) {
				s.intent.Hidden = append(s.intent.Hidden, t.node)
			}
			if t.process.PID != 0 {
				s.intent.Processes = append(s.intent.Processes, t.process)
			} else {
				s.intent.Nodes = append(s.intent.Nodes, t.node)
			}
		}
		if len(s.intent.Processes)+len(s.intent.Nodes) == 0 {
			m.notice = "none is chosen: Space chooses, * all"
			return nil
		}
		return m.actNext()
	default:
		m.actListKey(key, len(s.targets))
	}
	return nil
}

func (m *Model) actWordsKey(k tea.KeyPressMsg) tea.Cmd {
	s := &m.acting
	in := &s.intent
	key := k.String()
	if in.Kind == actions.Drain {
		for _, o := range m.drainOptions() {
			if o.key == key {
				o.turn(in)
				return nil
			}
		}
	}
	switch key {
	case "up", "down":
		m.pastReason(key == "up")
		return nil
	}
	done, cancelled := s.line.key(k)
	switch {
	case cancelled:
		m.goBack()
	case done && strings.TrimSpace(string(s.line.text)) == "":
		s.line.open = true
		m.notice = map[actions.Kind]string{actions.Drain: "a drain needs a reason", actions.Command: "no command"}[in.Kind]
	case done && in.Kind == actions.Command:
		in.Argv = []string{"sh", "-c", strings.TrimSpace(string(s.line.text))}
		return m.actNext()
	case done:
		in.Reason = strings.TrimSpace(string(s.line.text))
		return m.actNext()
	}
	return nil
}

// pastReason goes through the reasons that were given before.
func (m *Model) pastReason(older bool) {
	s := &m.acting
	if s.intent.Kind == actions.Command {
		m.pastCommand(older)
		return
	}
	past := m.opt.Actor.Reasons()
	if s.intent.Kind != actions.Drain || len(past) == 0 {
		return
	}
	if older {
		s.past = min(s.past+1, len(past))
	} else {
		s.past = max(s.past-1, 0)
	}
	text := m.drainReason(s.intent.Nodes)
	if s.past > 0 {
		text = past[s.past-1]
	}
	s.line.start(text)
}

// actChosen takes over what was chosen.
func (m *Model) actChosen() {
	s := &m.acting
	switch in := &s.intent; in.Kind {
	case actions.Signal:
		in.Signal = s.options[s.at]
	case actions.Cancel, actions.Requeue:
		if in.Kind = actions.Cancel; s.at == 1 {
			in.Kind = actions.Requeue
		}
	}
}

// actAnswerKey takes an answer: y alone, or a number and Enter. Enter by itself does nothing, and whatever is typed before the question could be read does not count.
func (m *Model) actAnswerKey(k tea.KeyPressMsg) tea.Cmd {
	s := &m.acting
	key := k.String()
	switch {
	case key == "esc" || key == "n" || key == "q":
		m.goBack()
	case !s.ready || k.IsRepeat: // a key that is held down since before is no answer either, nor is what is pasted key by key
		m.notice = "read it first: what is typed before the question was there does not count"
		return m.settle()
	case s.preview.Trouble != "":
		m.notice = s.preview.Trouble
	case s.preview.Count == 0 && key == "y":
		return m.actStart("y")
	case s.preview.Count > 0 && len(key) == 1 && key[0] >= '0' && key[0] <= '9' && len(s.answer) < 6:
		s.answer += key
	case key == "backspace" && s.answer != "":
		s.answer = s.answer[:len(s.answer)-1]
	case s.preview.Count > 0 && key == "enter" && s.answer != "":
		return m.actStart(s.answer)
	default:
		m.actListKey(key, len(m.actQuestionLines()))
	}
	return nil
}
