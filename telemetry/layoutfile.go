package telemetry

// LayoutText picks the settings of the parallel layout out of a configuration file: JSON, YAML or TOML. It knows just enough of them to tell a name with
// a value, a comment and a nested part; whatever else there is, it passes over.
func LayoutText(text []byte) map[string]string {
	p := layoutText{text: text}
	for p.at < len(p.text) {
		p.step()
	}
	return p.found.values
}

// layoutText goes through a file.
type layoutText struct {
	text    []byte
	at      int
	within  []string // names of the braces that are open
	deeper  int      // braces beyond those that are counted
	opening string   // the last name that had no value of its own
	found   layoutSettings
}

// maxNested bounds the braces that are followed.
const maxNested = 64

// step takes one thing: a comment, a brace, a name with its value, or a byte that means nothing.
func (p *layoutText) step() {
	switch c := p.text[p.at]; {
	case c == '#' && (p.at == 0 || blank(p.text[p.at-1])):
		for p.at < len(p.text) && p.text[p.at] != '\n' {
			p.at++
		}
	case c == '{':
		p.at++
		if len(p.within) < maxNested {
			p.within = append(p.within, p.opening)
		} else {
			p.deeper++
		}
		p.opening = ""
	case c == '}':
		p.at++
		switch {
		case p.deeper > 0:
			p.deeper--
		case len(p.within) > 0:
			p.within = p.within[:len(p.within)-1]
		}
	case c == '"' || c == '\'' || inName(c):
		p.name()
	default:
		p.at++
	}
}

// name takes a word, and where it is a name, its value.
func (p *layoutText) name() {
	word := p.word()
	p.blanks()
	if p.at >= len(p.text) || p.text[p.at] != ':' && p.text[p.at] != '=' {
		return
	}
	p.at++
	p.blanks()
	if len(word) > 128 {
		return
	}
	_, name := settingName(string(word))
	if p.at >= len(p.text) || p.text[p.at] == '\n' || p.text[p.at] == '\r' || p.text[p.at] == '{' || p.text[p.at] == '#' {
		p.opening = name
		return
	}
	if p.text[p.at] == '[' {
		return
	}
	value := p.word()
	if name == "stage" && p.part() == "zero_optimization" {
		name = "zero_stage"
	}
	if p.whole() && len(value) < 64 {
		p.found.put("", name, string(value), false)
	}
}

// part is the name of what a setting stands in.
func (p *layoutText) part() string {
	if n := len(p.within); n > 0 && p.within[n-1] != "" {
		return p.within[n-1]
	}
	return p.opening
}

// whole says whether a value ends where its word did: "8", but not "8 * 2" or "${x}".
func (p *layoutText) whole() bool {
	p.blanks()
	if p.at >= len(p.text) {
		return true
	}
	switch p.text[p.at] {
	case '\n', '\r', ',', '}', '#':
		return true
	}
	return false
}

// word takes a word, in quotation marks or without. A byte that begins none is one by itself.
func (p *layoutText) word() []byte {
	from := p.at
	if q := p.text[p.at]; q == '"' || q == '\'' {
		for p.at++; p.at < len(p.text) && p.text[p.at] != q; p.at++ {
			if p.text[p.at] == '\n' { // an apostrophe
				return nil
			}
			if p.text[p.at] == '\\' && q == '"' {
				p.at++
			}
		}
		p.at = min(p.at, len(p.text))
		word := p.text[from+1 : p.at]
		p.at = min(p.at+1, len(p.text))
		return word
	}
	for p.at < len(p.text) && inName(p.text[p.at]) {
		p.at++
	}
	if p.at == from {
		p.at++
	}
	return p.text[from:p.at]
}

func (p *layoutText) blanks() {
	for p.at < len(p.text) && (p.text[p.at] == ' ' || p.text[p.at] == '\t') {
		p.at++
	}
}

func blank(c byte) bool { return c == ' ' || c == '\t' || c == '\n' || c == '\r' }

func inName(c byte) bool {
	return c == '_' || c == '-' || c == '.' || c >= '0' && c <= '9' || c|0x20 >= 'a' && c|0x20 <= 'z'
}
