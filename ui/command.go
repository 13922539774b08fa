package ui

import (
	"fmt"
	"strings"

	"foretop/config"
	"foretop/jobs/layout"

	tea "charm.land/bubbletea/v2"
)

// command is one that may be typed after ":".
type command struct {
	name, how string
	// check says what is wrong with what follows the name; run does it.
	check func(*Model, string) error
	run   func(*Model, string)
}

func commands() []command {
	return []command{
		{"at", "12:03:41, -5m, start or end: the fleet as it was then", (*Model).checkMoment, (*Model).goToTyped},
		{"layout", "tp=8 pp=4 dp=16, or auto: the parallel layout of the selected job", (*Model).checkLayout, (*Model).setLayout},
	}
}

// parseCommand finds the command of a line and what follows its name.
func parseCommand(line string) (c *command, rest string, err error) {
	name, rest, _ := strings.Cut(strings.TrimSpace(line), " ")
	all := commands()
	var names []string
	for i := range all {
		if all[i].name == name {
			return &all[i], strings.TrimSpace(rest), nil
		}
		names = append(names, all[i].name)
	}
	if near, ok := config.Nearest(name, names); ok {
		return nil, "", fmt.Errorf("%q is no command: did you mean %s?", name, near)
	}
	return nil, "", fmt.Errorf("%q is no command: there is %s", name, strings.Join(names, ", "))
}

// typedCommand takes a key while a command is being typed.
func (m *Model) typedCommand(k tea.KeyPressMsg) {
	done, cancelled := m.prompt.key(k)
	line := string(m.prompt.text)
	if !done || cancelled || strings.TrimSpace(line) == "" {
		return
	}
	c, rest, err := parseCommand(line)
	if err == nil {
		err = c.check(m, rest)
	}
	if err != nil {
		m.prompt.open = true // it cannot be meant like this: what is wrong stands beside it
		return
	}
	c.run(m, rest)
}

// commandWords says what the command being typed takes, or what is wrong with it.
func (m *Model) commandWords() (words string, wrong bool) {
	line := strings.TrimSpace(string(m.prompt.text))
	for _, c := range commands() {
		if strings.HasPrefix(c.name, line) {
			return c.name + " " + c.how, false
		}
	}
	c, rest, err := parseCommand(line)
	if err == nil {
		if err = c.check(m, rest); err == nil {
			return c.how, false
		}
	}
	return err.Error(), true
}

func (m *Model) checkLayout(text string) error {
	j := m.jobs.selectedJob()
	if j == nil {
		return fmt.Errorf("no job is selected")
	}
	if text == "auto" {
		return nil
	}
	w, err := layout.Parse(text)
	if err != nil {
		return err
	}
	_, err = w.Layout(j.Size())
	return err
}

// setLayout gives the selected job a layout by hand, or takes it away again.
func (m *Model) setLayout(text string) {
	j := m.jobs.selectedJob()
	if m.jobs.layouts == nil {
		m.jobs.layouts = jobLayouts{}
	}
	delete(m.jobs.layouts, j.Key)
	if text != "auto" {
		w, err := layout.Parse(text)
		if err != nil {
			m.notice = err.Error()
			return
		}
		m.jobs.layouts[j.Key] = &givenLayout{written: w}
		m.jobs.byLayout = true
	}
	l, trouble := m.jobs.layouts.of(j)
	switch {
	case l != nil:
		m.notice = "job " + j.ID + ": " + l.String() + " (" + l.From + ")"
	case trouble != "":
		m.notice = "job " + j.ID + ": " + trouble
	default:
		m.notice = "job " + j.ID + " says nothing of its layout"
	}
}
