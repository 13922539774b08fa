package collectors

import (
	"path"
	"strings"
	"unicode"
)

const (
	masked          = "***"
	maxCommandBytes = 4000 // a Megatron command line has about 3,500
)

// maskCommand joins a command line with blanks, everything that looks like a secret replaced by ***. It would rather hide too much:
// what it lets through is shown on other people's screens.
func maskCommand(args []string) string {
	var m masker
	if len(args) > 0 {
		m.flags = secretFlags[path.Base(args[0])]
	}
	out := make([]byte, 0, 256)
	for i, a := range args {
		if i > 0 {
			out = append(out, ' ')
		}
		if i == 0 {
			out = append(out, a...)
			if strings.ContainsAny(a, " \t") { // a title written over the arguments
				out = m.text(out[:0], a)
			}
			continue
		}
		out = m.arg(out, a)
		if len(out) > maxCommandBytes+64 {
			break
		}
	}
	return string(out[:min(len(out), maxCommandBytes)])
}

// secretFlags are short options that take a secret, by program.
var secretFlags = map[string][]string{
	"mysql": {"-p"}, "mysqldump": {"-p"}, "mysqladmin": {"-p"}, "mariadb": {"-p"}, "sshpass": {"-p"}, "curl": {"-u", "-U", "-b", "--user", "--proxy-user", "--oauth2-bearer"},
	"wget": {"--http-user"}, "redis-cli": {"-a"}, "ldapsearch": {"-w"}, "ldapmodify": {"-w"}, "docker": {"-p"}, "podman": {"-p"}, "skopeo": {"-p"}, "mongo": {"-p"},
	"mongosh": {"-p"}, "smbclient": {"-U"}, "kinit": {"-w"}, "7z": {"-p"}, "zip": {"-P"}, "unzip": {"-P"}, "rclone": {"--sftp-pass"}, "openssl": {"-passin", "-passout", "-k", "-K"},
}

// masker goes through the words of a command line. next says that the word to come is a secret.
type masker struct {
	flags []string
	next  bool
	quote byte // the secret goes on until this quotation mark
}

func (m *masker) arg(out []byte, a string) []byte {
	if m.next && m.quote == 0 {
		if isScheme(a) {
			return append(out, a...)
		}
		m.next = false
		if a == "" {
			return out
		}
		if !startsOption(a) {
			return append(out, masked...)
		}
	}
	for _, f := range m.flags {
		if a == f {
			m.next = true
			return append(out, a...)
		}
		if len(f) == 2 && strings.HasPrefix(a, f) && !strings.HasPrefix(a, "--") {
			return append(append(out, f...), masked...)
		}
	}
	return m.text(out, a)
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
			a = strings.TrimLeftFunc(a, unicode.IsSpace)
			continue
		}
		if i < 0 {
			i = len(a)
		}
		out = m.word(out, a[:i])
		a = a[i:]
	}
	if m.quote != 0 { // never closed within its argument
		m.quote, m.next = 0, false
	}
	return out
}

func (m *masker) word(out []byte, w string) []byte {
	if m.quote != 0 {
		if strings.IndexByte(w, m.quote) >= 0 {
			m.quote, m.next = 0, false
		}
		return out
	}
	if m.next {
		bare := strings.Trim(w, `"',;{}[]()`)
		if isScheme(bare) || bare == "=" || bare == ":" || bare == "" {
			return append(out, w...) // the secret is the word after
		}
		m.next = false
		if !startsOption(w) {
			m.open(w)
			return append(out, masked...)
		}
	}
	return m.segments(out, w)
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
func (m *masker) segments(out []byte, w string) []byte {
	hiding := false // a secret may hold separators itself: it ends where another name begins
	for len(w) > 0 {
		i := strings.IndexAny(w, ",;&?|")
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
				m.next = true
				out = out[:len(out)-len(masked)]
				out = append(out, value...)
			}
			m.open(value)
		default:
			hiding = false
			out = m.plain(out, part, name, value, found)
		}
		out = append(out, sep...)
	}
	return out
}

// plain masks a part whose name, if it has one, says nothing of a secret.
func (m *masker) plain(out []byte, part, name, value string, found bool) []byte {
	if strings.Contains(part, "://") {
		return m.url(out, part)
	}
	bare := strings.Trim(part, `"'{}[]()`)
	switch lower := strings.ToLower(bare); {
	case strings.HasPrefix(bare, "-") && secretName(bare), lower == "bearer", strings.HasSuffix(lower, "authorization:"):
		m.next = true
		return append(out, part...)
	case found && !openNames[strings.TrimLeft(name, "-")] && (looksSecret(value) || longSecret(value)):
		return append(append(out, part[:len(part)-len(value)]...), masked...)
	case looksSecret(bare):
		return append(out, masked...)
	}
	return append(out, part...)
}

// url masks the credentials of a URL.
func (m *masker) url(out []byte, part string) []byte {
	head, rest, _ := strings.Cut(part, "://")
	end := strings.IndexAny(rest, "/#")
	if end < 0 {
		end = len(rest)
	}
	out = append(append(out, head...), "://"...)
	if at := strings.LastIndexByte(rest[:end], '@'); at >= 0 {
		user, _, hasPassword := strings.Cut(rest[:at], ":")
		switch {
		case hasPassword && !looksSecret(user):
			out = append(append(append(out, user...), ':'), masked...)
		case hasPassword, looksSecret(user), len(user) >= 20:
			out = append(out, masked...)
		default:
			out = append(out, user...)
		}
		rest = rest[at:]
	} else if strings.IndexByte(rest, '@') >= 0 { // a password with a slash in it
		return append(out, masked...)
	}
	return append(out, rest...)
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
