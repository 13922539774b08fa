package actions

import (
	"fmt"
	"slices"
	"strings"
	"unicode"
)

// Changed says what is otherwise by now than it was when a person read it: steps that came, went, or come to something else, and people whose work is there now, or is no more. now is
// the same intent's preview of a later snapshot. Numbers that only go on counting are no change. Nothing: all is as it was confirmed.
func (p *Preview) Changed(now *Preview) (what []string) {
	if now.Trouble != "" && now.Trouble != p.Trouble {
		what = append(what, now.Trouble)
	}
	was := map[string]*Step{}
	for i := range p.Steps {
		was[p.Steps[i].id()] = &p.Steps[i]
	}
	for i := range now.Steps {
		s := &now.Steps[i]
		old := was[s.id()]
		delete(was, s.id())
		switch {
		case old == nil:
			what = append(what, s.Target+" was not asked about before")
		case s.Refused != "" && old.Refused == "":
			what = append(what, s.Target+": "+s.Refused)
		case s.Refused == "" && old.Refused != "":
			what = append(what, s.Target+" can be done now")
		case !slices.Equal(s.Commands, old.Commands):
			what = append(what, s.Target+": other commands, see below")
		case !slices.Equal(s.Notes, old.Notes):
			what = append(what, s.Target+": "+strings.Join(append(missing(s.Notes, old.Notes), "see below"), ", "))
		}
	}
	for i := range p.Steps { // in their order
		if s := &p.Steps[i]; was[s.id()] == s {
			what = append(what, s.Target+" is not there any more")
		}
	}
	what = append(what, p.Affected.changed(&now.Affected)...)
	for _, w := range now.Warnings {
		if !slices.ContainsFunc(p.Warnings, func(o string) bool { return still(o) == still(w) }) {
			what = append(what, w)
		}
	}
	if len(what) == 0 && p.Count != now.Count {
		what = append(what, fmt.Sprintf("the answer is %s now", now.Answer()))
	}
	return what
}

// id tells a step from the others.
func (step *Step) id() string { return step.Target + "\x00" + step.Where }

// changed says whose work came and went.
func (a *Affected) changed(now *Affected) (what []string) {
	if came := missing(now.Users, a.Users); len(came) > 0 {
		what = append(what, "work of "+strings.Join(came, ", ")+" is there now")
	}
	if came := missing(now.Jobs, a.Jobs); len(came) > 0 {
		what = append(what, "came: job "+strings.Join(came, ", "))
	}
	if went := missing(a.Jobs, now.Jobs); len(went) > 0 {
		what = append(what, "not there any more: job "+strings.Join(went, ", "))
	}
	if went := missing(a.Users, now.Users); len(went) > 0 {
		what = append(what, "no work of "+strings.Join(went, ", ")+" is there any more")
	}
	return what
}

// missing are those of a list that another lacks.
func missing(list, other []string) (out []string) {
	for _, s := range list {
		if !slices.Contains(other, s) {
			out = append(out, s)
		}
	}
	return out
}

// still is text without its numbers.
func still(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsDigit(r) || r == '.' {
			return -1
		}
		return r
	}, s)
}
