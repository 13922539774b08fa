package collectors

import "strings"

// hideLogins masks the credentials of each URL in a word. It comes before the word is cut into parts, for a password may hold any separator.
func hideLogins(w string) string {
	if !strings.Contains(w, "://") {
		return w
	}
	var out []byte
	for {
		i := strings.Index(w, "://")
		if i < 0 {
			return string(append(out, w...))
		}
		out = append(out, w[:i+3]...)
		w = w[i+3:]
		end := strings.Index(w, "://")
		if end < 0 {
			end = len(w)
		}
		out = hideLogin(out, w[:end])
		w = w[end:]
	}
}

// hideLogin masks the credentials of one URL, given without its scheme.
func hideLogin(out []byte, url string) []byte {
	login := url[:beforeSecret(url)]
	at := strings.LastIndexByte(login, '@')
	cut := at < 0
	if cut {
		at = len(login)
	}
	user, password, hasPassword := strings.Cut(login[:at], ":")
	// Without an @ before it, what looked like a secret's name may be the password's own; or the colon was a port's.
	if cut && (!hasPassword || isPort(password) || strings.IndexByte(url, '@') < 0) {
		return append(out, url...)
	}
	known := !looksSecret(user) && !longSecret(user)
	switch {
	case hasPassword && known && !strings.ContainsAny(user, "/#"+separators):
		out = append(append(append(out, user...), ':'), masked...)
	case hasPassword, !known, isToken(user):
		out = append(out, masked...)
	default:
		out = append(out, user...)
	}
	return append(out, url[at:]...)
}

// beforeSecret is how much of a URL comes before a parameter that bears a secret's name: that one is masked by its name.
func beforeSecret(url string) int {
	for i := 0; i < len(url); i++ {
		if strings.IndexByte(separators, url[i]) < 0 {
			continue
		}
		part := url[i+1:]
		if j := strings.IndexAny(part, separators); j >= 0 {
			part = part[:j]
		}
		if name, _, found := cutName(part); found && secretName(name) {
			return i
		}
	}
	return len(url)
}

// isPort says whether what follows a colon is a port and not a password.
func isPort(s string) bool {
	i := 0
	for i < len(s) && s[i] >= '0' && s[i] <= '9' {
		i++
	}
	return i > 0 && (i == len(s) || strings.IndexByte("/#\"')]}"+separators, s[i]) >= 0)
}

// isToken says whether what stands before the @ of a URL may be a token: long, or with slashes as base64 has them. A host and a path have dots
// or other signs as well: git+https://github.com/a/b@v2.
func isToken(user string) bool {
	if strings.IndexByte(user, '/') < 0 {
		return len(user) >= 20
	}
	return user[0] != '/' && !strings.ContainsFunc(user, func(c rune) bool { return c != '=' && (c > '~' || classOf(byte(c)) == other) })
}
