package ui

// frameLines says which lines of the screen hold what: a pure function of the height.
type frameLines struct {
	tabs     bool // line 1
	body     int  // the first line of the body
	bodyRows int
	info     int  // lines about what is selected, under the body
	bar      bool // the time bar, under that
	keys     bool
}

// frameLines says which lines of the screen hold what now.
func (m *Model) frameLines() frameLines {
	l := layoutFrame(m.height)
	if m.hasBar() && l.bodyRows > 3 {
		l.bar = true
		l.bodyRows--
	}
	return l
}

func layoutFrame(h int) frameLines {
	l := frameLines{body: 1, tabs: h >= 8, keys: h >= 3}
	switch {
	case h >= 20:
		l.info = 2
	case h >= 7:
		l.info = 1
	}
	if l.tabs {
		l.body = 2
	}
	used := l.body + l.info
	if l.keys {
		used++
	}
	l.bodyRows = max(0, h-used)
	return l
}
