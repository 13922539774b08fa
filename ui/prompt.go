package ui

import (
	"unicode"

	"foretop/telemetry"

	tea "charm.land/bubbletea/v2"
)

// prompt is a line being typed. at is the place of its caret, in runes.
type prompt struct {
	open    bool
	text    []rune
	at      int
	command bool   // it is a command, not a filter
	find    bool   // it is looked for in what is shown
	long    bool   // it may be as long as a command line
	before  string // what it said when it was opened: what Esc brings back
}

// promptMax bounds what may be typed or pasted; longMax where it is run.
const (
	promptMax = 256
	longMax   = 4096
)

func (p *prompt) start(text string) {
	*p = prompt{open: true, text: []rune(text), before: text}
	p.at = len(p.text)
}

// startLong is start of a line that may be long.
func (p *prompt) startLong(text string) {
	p.start(text)
	p.long = true
}

// startFind begins a search.
func (p *prompt) startFind() { *p = prompt{open: true, find: true} }

func (p *prompt) startCommand() { *p = prompt{open: true, command: true} }

// sign stands before the line.
func (p *prompt) sign() string {
	if p.command {
		return ": "
	}
	return "/ "
}

// insert types text at the caret; what cannot be shown is cleaned first, for it may have been pasted.
func (p *prompt) insert(s string) {
	room := promptMax
	if p.long {
		room = longMax
	}
	add := []rune(telemetry.Clean(s, 4*room))
	add = add[:max(0, min(len(add), room-len(p.text)))]
	p.text = append(p.text[:p.at], append(add, p.text[p.at:]...)...)
	p.at += len(add)
}

// key takes one key press; done says that the line is finished, cancelled that it is to be as before.
func (p *prompt) key(k tea.KeyPressMsg) (done, cancelled bool) {
	switch k.String() {
	case "enter":
		p.open = false
		return true, false
	case "esc":
		p.open = false
		return true, true
	case "backspace", "ctrl+h":
		p.remove(p.at-1, p.at)
	case "delete":
		p.remove(p.at, p.at+1)
	case "ctrl+u":
		p.remove(0, p.at)
	case "ctrl+k":
		p.remove(p.at, len(p.text))
	case "ctrl+w":
		p.remove(p.wordStart(), p.at)
	case "left", "ctrl+b":
		p.at = max(0, p.at-1)
	case "right", "ctrl+f":
		p.at = min(len(p.text), p.at+1)
	case "home", "ctrl+a":
		p.at = 0
	case "end", "ctrl+e":
		p.at = len(p.text)
	default:
		if k.Text != "" && k.Mod&^tea.ModShift == 0 {
			p.insert(k.Text)
		}
	}
	return false, false
}

func (p *prompt) remove(from, to int) {
	from, to = max(0, from), min(to, len(p.text))
	if from >= to {
		return
	}
	p.text = append(p.text[:from], p.text[to:]...)
	p.at = from
}

func (p *prompt) wordStart() int {
	i := p.at
	for i > 0 && unicode.IsSpace(p.text[i-1]) {
		i--
	}
	for i > 0 && !unicode.IsSpace(p.text[i-1]) {
		i--
	}
	return i
}

// draw shows the line within w cells, its end first when it is too long, and gives the column of the caret.
func (p *prompt) draw(a area, y int) (caret int) { return p.drawAs(a, y, p.sign()) }

// drawAs is draw with another sign before the line.
func (p *prompt) drawAs(a area, y int, sign string) (caret int) {
	x := a.text(1, y, sign, fg(colAccent).with(bold))
	room := max(1, a.w-x-1)
	from := 0
	for textWidth(string(p.text[from:p.at]), a.c.ascii) >= room {
		from++
	}
	caret = x + textWidth(string(p.text[from:p.at]), a.c.ascii)
	a.text(x, y, string(p.text[from:]), fg(colStrong))
	return min(caret, max(0, a.w-1))
}
