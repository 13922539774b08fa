package collectors

import (
	"strings"
	"unicode"
)

const (
	masked          = "***"
	maxCommandBytes = 4000 // a Megatron command line has about 3,500
	separators      = ",;&?|"
)

// maskCommand joins a command line with blanks, everything that looks like a secret replaced by ***. It would rather hide too much:
// what it lets through is shown on other people's screens.
func maskCommand(args []string) string {
	var m masker
	out := make([]byte, 0, 256)
	for i, a := range args {
		if i > 0 {
			out = append(out, ' ')
		}
		switch {
		case i > 0:
			out = m.arg(out, a)
		case strings.ContainsAny(a, " \t"): // a title written over the arguments
			out = m.text(out, a)
		default:
			m.program(a)
			out = append(out, a...)
		}
		if len(out) > maxCommandBytes+64 {
			break
		}
	}
	return string(out[:min(len(out), maxCommandBytes)])
}

// expected is what the word to come may be.
type expected uint8

const (
	nothing expected = iota
	sure             // a secret, unless it is a long option
	named            // a secret after its bare name, unless it is any option
	perhaps          // after a bare word such as "key": a secret if "=" or ":" stands between, or if it looks made by chance
	signed           // the value of a short option: a secret if it holds the sign
	hash             // a long value that is none: the option before it says so
)

// masker goes through the words of a command line.
type masker struct {
	next  expected
	sign  byte
	flags []string // options that take a secret, of the programs named so far
	alias alias
	prev  string // the word before
	quote byte   // the secret goes on until this quotation mark
}

func (m *masker) arg(out []byte, a string) []byte {
	if a == "" {
		m.next = nothing
		return out
	}
	if strings.IndexFunc(a, unicode.IsSpace) < 0 {
		return m.text(out, a)
	}
	next := m.next
	m.next = nothing
	switch {
	case m.alias == keysToCome && a[0] != '-', m.secret(next, a):
		return append(out, masked...)
	case a[0] == '-':
		if out, ok := m.option(out, a); ok {
			return out
		}
	}
	m.next = next
	return m.text(out, a)
}

// secret says whether a word is the secret that was expected.
func (m *masker) secret(next expected, w string) bool {
	switch next {
	case sure:
		return !startsOption(w)
	case named:
		return w[0] != '-' && nameAlone(w) != named // one name after another: the secret is still to come
	case perhaps:
		return w[0] != '-' && madeByChance(w)
	case signed:
		return strings.IndexByte(w, m.sign) >= 0 || w[0] == '"' || w[0] == '\''
	}
	return false
}

// isScheme says whether a word only names the way in which the secret after it is given (RFC 7235).
func isScheme(a string) bool {
	return strings.EqualFold(a, "bearer") || strings.EqualFold(a, "basic") || strings.EqualFold(a, "token") || strings.EqualFold(a, "digest")
}

// startsOption says whether a word is an option rather than the value of the one before.
func startsOption(a string) bool {
	return strings.HasPrefix(a, "--") && len(a) > 2 && (a[2]|0x20) >= 'a' && (a[2]|0x20) <= 'z'
}

// text masks an argument that may hold several words, such as a shell's script.
func (m *masker) text(out []byte, a string) []byte {
	for len(a) > 0 {
		i := strings.IndexFunc(a, unicode.IsSpace)
		if i == 0 {
			if m.quote == 0 {
				out = append(out, ' ')
			}
			rest := strings.TrimLeftFunc(a, unicode.IsSpace)
			if strings.IndexByte(a[:len(a)-len(rest)], '\n') >= 0 {
				m.newCommand()
			}
			a = rest
			continue
		}
		if i < 0 {
			i = len(a)
		}
		out = m.word(out, a[:i])
		a = a[i:]
	}
	if m.quote != 0 { // never closed within its argument
		m.quote, m.next = 0, nothing
	}
	return out
}

// newCommand notes that another command of a script begins. What options its programs have is kept: quotation marks are not understood so well.
func (m *masker) newCommand() {
	if m.next != sure {
		m.next = nothing
	}
	m.alias = min(m.alias, noAlias)
	m.prev = ""
}

func (m *masker) word(out []byte, w string) []byte {
	if m.quote != 0 {
		if strings.IndexByte(w, m.quote) >= 0 {
			m.quote, m.next = 0, nothing
		}
		return out
	}
	if strings.IndexByte(";|&", w[0]) >= 0 {
		m.newCommand()
	}
	m.program(w)
	out = m.judge(out, w)
	if m.alias == aliasBegun && strings.Contains(w, "://") {
		m.alias = keysToCome
	}
	if c := w[len(w)-1]; c == ';' || c == '&' {
		m.newCommand()
	} else {
		m.prev = w
	}
	return out
}

func (m *masker) judge(out []byte, w string) []byte {
	if m.alias == keysToCome && w[0] != '-' {
		m.open(w)
		return append(out, masked...)
	}
	next := m.next
	if next != nothing && next != hash && next != signed {
		bare := strings.Trim(w, `"',;{}[]()`)
		if isScheme(bare) || bare == "" {
			return append(out, w...) // the secret is the word after
		}
		if isAssignment(bare) {
			m.next = sure
			return append(out, w...)
		}
	}
	m.next = nothing
	if m.secret(next, w) {
		if nameAlone(w) == named { // or it was no secret, but the name of the next
			m.next = named
		}
		m.open(w)
		return append(out, masked...)
	}
	if out, ok := m.option(out, w); ok {
		return out
	}
	return m.segments(out, hideLogins(w), next == hash)
}

func isAssignment(w string) bool {
	switch w {
	case "=", ":", ":=", "=>", "==", "+=":
		return true
	}
	return false
}

// open notes that a secret in quotation marks goes on in the next words.
func (m *masker) open(value string) {
	for i := range len(value) {
		if c := value[i]; c == '"' || c == '\'' {
			if strings.IndexByte(value[i+1:], c) < 0 {
				m.quote = c
			}
			return
		}
	}
}

// segments masks a word, each part between the separators of lists, URLs and mount options by itself.
func (m *masker) segments(out []byte, w string, hashed bool) []byte {
	hiding := false // a secret may hold separators itself: it ends where another name begins
	for len(w) > 0 {
		i := strings.IndexAny(w, separators)
		var sep string
		part := w
		if i >= 0 {
			part, sep = w[:i], w[i:i+1]
			w = w[i+1:]
		} else {
			w = ""
		}
		name, value, found := cutName(part)
		switch {
		case hiding && !found:
			continue
		case found && secretName(name):
			hiding = true
			out = append(append(out, part[:len(part)-len(value)]...), masked...)
			if value == "" || strings.Trim(value, `"'`) == "" && len(value) < 2 {
				m.next = sure
				out = out[:len(out)-len(masked)]
				out = append(out, value...)
			}
			m.open(value)
		default:
			hiding = false
			out = m.plain(out, part, name, value, found, hashed)
			if found {
				break
			}
			switch {
			case w == "" && sep == "" && !passesNames[m.prev]:
				m.next = max(m.next, nameAlone(part))
			case sep == "," && strings.ContainsAny(part, `"'`) && nameAlone(part) == named: // f("API_KEY", "secret")
				if w == "" {
					m.next = sure
				} else {
					out, hiding = append(append(out, sep...), masked...), true
					continue
				}
			}
		}
		out = append(out, sep...)
	}
	return out
}

// plain masks a part whose name, if it has one, says nothing of a secret.
func (m *masker) plain(out []byte, part, name, value string, found, hashed bool) []byte {
	if strings.Contains(part, "://") {
		return append(out, part...)
	}
	bare := strings.Trim(part, `"'{}[]()`)
	switch lower := strings.ToLower(bare); {
	case strings.HasPrefix(bare, "-") && secretName(bare), lower == "bearer", strings.HasSuffix(lower, "authorization:"):
		m.next = sure
		return append(out, part...)
	case found && !openNames[strings.TrimLeft(name, "-")] && (looksSecret(value) || longSecret(value) && !hashName(name)):
		return append(append(out, part[:len(part)-len(value)]...), masked...)
	case looksSecret(bare), !hashed && strings.Trim(value, "=") == "" && strings.IndexByte(bare, '/') < 0 && longSecret(bare): // "=" ends base64
		return append(out, masked...)
	case !found && hashName(bare):
		m.next = hash
	}
	return append(out, part...)
}

// cutName cuts a part at its first "=", or at a ":" that follows a name as in JSON, YAML and headers.
func cutName(part string) (name, value string, found bool) {
	i := strings.IndexAny(part, "=:")
	if i <= 0 || strings.HasPrefix(part[i:], "://") {
		return part, "", false
	}
	if part[i] == ':' && part[0] != '"' && part[0] != '{' && !secretName(part[:i]) {
		if j := strings.IndexByte(part, '='); j > 0 {
			i = j
		} else {
			return part, "", false
		}
	}
	return part[:i], part[i+1:], true
}
