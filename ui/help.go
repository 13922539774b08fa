package ui

import "strings"

// helpScreen lists every key, by what it is for, and what the shapes mean.
type helpScreen struct{ top, lines, seen int }

func (s *helpScreen) step(do action) {
	switch do {
	case actUp:
		s.top--
	case actDown:
		s.top++
	case actPageUp:
		s.top -= max(1, s.seen-1)
	case actPageDown:
		s.top += max(1, s.seen-1)
	case actFirst:
		s.top = 0
	case actLast:
		s.top = s.lines
	}
	s.top = max(0, min(s.top, s.lines-s.seen))
}

// helpLine is a line of the help: a heading, or a key with what it does.
type helpLine struct {
	head     string
	key, say string
	where    string
}

// helpLines are all keys, grouped, with the screens that they work on; those of the screen that the help was called from come first.
func (m *Model) helpLines(from place) []helpLine {
	var lines []helpLine
	lines = append(lines, helpLine{head: placeNames[from]})
	groups := []string{"Move", "Go", "Choose", "Show", "Act"}
	if why := m.switchedOff(); why != "" {
		lines = append(lines, helpLine{say: "what acts is off: " + why})
	}
	say := func(b *binding) string {
		if b.group == "Act" && m.switchedOff() != "" {
			return "off: " + b.help
		}
		return b.help
	}
	for _, g := range groups {
		for i := range m.keys.all {
			if b := &m.keys.all[i]; b.group == g && b.at.has(from) {
				lines = append(lines, helpLine{key: b.keyNames(), say: say(b)})
			}
		}
	}
	lines = append(lines, helpLine{}, helpLine{head: "Elsewhere"})
	for _, g := range groups {
		for i := range m.keys.all {
			if b := &m.keys.all[i]; b.group == g && !b.at.has(from) && b.at != at(placeHelp) {
				lines = append(lines, helpLine{key: b.keyNames(), say: say(b), where: placeWords(b.at)})
			}
		}
	}
	lines = append(lines, helpLine{}, helpLine{head: "Shapes"})
	for _, s := range []struct {
		r   rune
		say string
	}{
		{markCritical, "critical: failed, lost, or not answering"}, {markWarning, "warning"}, {markFine, "nothing wrong was seen"}, {markNotice, "worth a look"},
		{markIdle, "held, and idle; of a node: not connected yet"}, {markStale, "stale: these numbers are not being renewed"},
		{markUnknown, "not known, or not checked"}, {markAbsent, "the node does not give this number"},
	} {
		lines = append(lines, helpLine{key: string(s.r), say: s.say})
	}
	lines = append(lines, helpLine{}, helpLine{head: "Filters: words, !words, and terms with = != < > <= >="})
	return append(lines,
		helpLine{key: "of jobs", say: "user=ann util<10 state=idle gpu.temp>85 job=8123 node=gpu00* problem=critical missing>0"},
		helpLine{key: "of nodes", say: "state=lost job=8123 xid=79 gpu.ecc>0 mem>90 cpu>50 net<1 problem!=fine"},
		helpLine{key: "of findings", say: "node=gpu017 job=8123 rule=hw.xid* problem=critical before>1 mark=snoozed place=leaf3"},
		helpLine{key: "fields", say: fieldNames(m.jobs.fields, m.nodes.fields)})
}

func placeWords(p places) string {
	var words []string
	for i := range numPlaces {
		if p.has(i) && i != placeHelp {
			words = append(words, placeNames[i])
		}
	}
	return strings.Join(words, ", ")
}

func fieldNames[A, B any](a []field[A], b []field[B]) string {
	var names []string
	seen := map[string]bool{}
	add := func(n string) {
		if !seen[n] {
			seen[n] = true
			names = append(names, n)
		}
	}
	for i := range a {
		add(a[i].name)
	}
	for i := range b {
		add(b[i].name)
	}
	return strings.Join(names, " ")
}

// drawHelp draws the help, in lines that wrap.
func (m *Model) drawHelp(a area) {
	from := placeJobs
	if len(m.back) > 0 {
		from = m.placeOf(m.back[len(m.back)-1])
	}
	s := &m.help
	keyRoom := min(17, a.w/3)
	var rows []helpLine
	for _, l := range m.helpLines(from) {
		text := l.say
		if l.where != "" {
			text += " (" + l.where + ")"
		}
		l.where = ""
		for i, part := range wrap(text, max(10, a.w-keyRoom-3), a.c.ascii) {
			if l.say = part; i > 0 {
				l.key = ""
			}
			rows = append(rows, l)
		}
	}
	s.lines, s.seen = len(rows), a.h
	s.top = max(0, min(s.top, s.lines-s.seen))
	for y := 0; y < a.h && s.top+y < len(rows); y++ {
		l := rows[s.top+y]
		if l.head != "" {
			a.cut(1, y, a.w-1, l.head, fg(colStrong).with(bold))
			continue
		}
		a.cut(2, y, keyRoom-1, l.key, fg(colAccent))
		a.cut(keyRoom+2, y, a.w-keyRoom-3, l.say, style{})
	}
}

// wrap cuts text at blanks, and words that are longer than a line, into lines of at most w cells; there is always one.
func wrap(s string, w int, ascii bool) []string {
	var lines []string
	line := ""
	for _, word := range strings.Fields(s) {
		if line != "" && textWidth(line, ascii)+1+textWidth(word, ascii) > w {
			lines = append(lines, line)
			line = ""
		}
		if line != "" {
			line += " "
		}
		for w > 0 && line == "" && textWidth(word, ascii) > w {
			n := fitting(word, w, ascii)
			lines, word = append(lines, word[:n]), word[n:]
		}
		line += word
	}
	return append(lines, line)
}

// fitting is how many bytes of s fit into w cells; one character at least.
func fitting(s string, w int, ascii bool) int {
	at := 0
	for i, r := range s {
		_, rw := drawable(r, ascii)
		if at += rw; at > w && i > 0 {
			return i
		}
	}
	return len(s)
}

// placeOf is where the keyboard was on a screen that Esc leads back to.
func (m *Model) placeOf(s screen) place {
	now := m.screen
	m.screen = s
	defer func() { m.screen = now }()
	return m.place()
}
