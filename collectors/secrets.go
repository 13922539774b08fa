package collectors

import (
	"slices"
	"strings"
)

// secretName says whether a name (of an option, a variable, a field) is that of a secret. Words are separated by signs or by capital letters.
func secretName(name string) bool {
	name = strings.Trim(name, `"'{}[]()+- `)
	if len(name) > 256 || name == "" {
		return false
	}
	words := nameWords(name)
	for i, w := range words {
		last := i == len(words)-1
		switch w {
		case "password", "passwd", "passphrase", "passwort", "secret", "secrets", "apikey", "apikeys", "credential", "credentials", "creds", "pwd", "pass", "bearer", "cookie",
			"authorization", "authtoken", "accesskey", "privatekey", "token", "pat", "sas", "signature", "psk":
			if w == "token" && !last && countWords[words[i+1]] {
				continue
			}
			return true
		case "auth":
			if last || !harmlessAuth[words[i+1]] {
				return true
			}
		case "key":
			if last || words[i+1] == "base64" || words[i+1] == "data" {
				return true
			}
		case "keys":
			if i > 0 && (words[i-1] == "api" || words[i-1] == "access" || words[i-1] == "secret") {
				return true
			}
		default:
			for _, end := range []string{"password", "passwd", "passphrase", "secret", "token", "apikey"} {
				if strings.HasSuffix(w, end) {
					return true
				}
			}
		}
	}
	return false
}

// countWords follow "token" where it is a piece of text, not a secret.
var countWords = map[string]bool{
	"id": true, "ids": true, "len": true, "length": true, "limit": true, "count": true, "type": true, "dim": true, "drop": true, "dropping": true, "dispatcher": true, "idx": true,
	"index": true, "level": true, "parallel": true, "size": true, "num": true, "budget": true, "shift": true, "mixing": true, "merge": true, "embedding": true,
}

// harmlessAuth follow "auth" where it is a way, not a secret.
var harmlessAuth = map[string]bool{"type": true, "mode": true, "method": true, "url": true, "host": true, "provider": true, "plugin": true}

// openNames hold long encoded values that are no secrets and are of use: DeepSpeed's list of hosts.
var openNames = map[string]bool{"world_info": true}

// hashWords end the names of values that are long and hexadecimal and no secrets: commits, checksums and identities. A commit says which code
// and which weights a job runs, so it is shown where its option says what it is; a long hexadecimal word without such an option is masked.
var hashWords = map[string]bool{
	"revision": true, "rev": true, "commit": true, "sha": true, "sha1": true, "sha256": true, "md5": true, "digest": true, "checksum": true, "hash": true, "checkout": true,
	"id": true, "cid": true, "uuid": true,
}

// hashName says whether a name (of an option, a field) is that of a commit, a checksum or an identity. Who has a session's may be its user.
func hashName(name string) bool {
	if len(name) > 256 {
		return false
	}
	words := nameWords(name)
	return len(words) > 0 && hashWords[words[len(words)-1]] && !slices.Contains(words, "session") && !secretName(name)
}

// nameAlone says what follows a bare word that is a secret's name, as in "aws configure set aws_secret_access_key …" or "key = …".
func nameAlone(w string) expected {
	if len(w) > 256 || strings.ContainsAny(w, "/$") || strings.HasSuffix(w, ")") || strings.HasPrefix(w, "-") {
		return nothing
	}
	dot := strings.LastIndexByte(w, '.')
	words := nameWords(w[dot+1:])
	if len(words) == 0 {
		return nothing
	}
	last := words[len(words)-1]
	switch {
	case len(words) > 1 && secretName(last), last == "keys" && secretName(w[dot+1:]):
		return named
	case !secretName(last):
		return nothing
	case dot < 0:
		for _, end := range []string{"password", "passwd", "passphrase", "passwort", "apikey", "accesskey", "privatekey", "authtoken"} {
			if strings.HasSuffix(last, end) {
				return named
			}
		}
	}
	return perhaps // "key", "token" and the like are words of other trades too
}

func nameWords(name string) []string {
	var words []string
	start := 0
	cut := func(i int) {
		if i > start {
			words = append(words, strings.ToLower(name[start:i]))
		}
		start = i
	}
	for i := range len(name) {
		c := name[i]
		switch {
		case c >= 'A' && c <= 'Z' && i > start && (name[i-1] >= 'a' && name[i-1] <= 'z' || name[i-1] >= '0' && name[i-1] <= '9'):
			cut(i)
		case c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c >= 0x80:
		default:
			cut(i)
			start = i + 1
		}
	}
	cut(len(name))
	return words
}

// secretPrefixes begin the tokens of well-known services, whatever they are the value of.
var secretPrefixes = []string{
	"sk-", "sk_live_", "rk_live_", "hf_", "ghp_", "gho_", "ghu_", "ghs_", "ghr_", "github_pat_", "glpat-", "gldt-", "xoxb-", "xoxp-", "xoxa-", "xapp-", "AKIA", "ASIA", "AIza", "ya29.", "eyJ",
	"nvapi-", "npm_", "pypi-", "dop_v1_", "r8_", "wandb_v1_", "hvs.", "SG.", "AGE-SECRET-KEY-", "-----BEGIN",
}

// looksSecret says whether a value has the shape of a known kind of token.
func looksSecret(v string) bool {
	v = strings.Trim(v, `"'`)
	for _, p := range secretPrefixes {
		if len(v) >= len(p)+12 && strings.HasPrefix(v, p) {
			return true
		}
	}
	return false
}

// longSecret says whether a value looks like a key in hexadecimal or base64: long, without the signs of a path, a list or a sentence.
func longSecret(v string) bool {
	v = strings.TrimRight(strings.Trim(v, `"'`), "=")
	if len(v) < 32 || strings.HasPrefix(v, "GPU-") || strings.HasPrefix(v, "MIG-") {
		return false
	}
	hex := true
	var counts [5]int // by class
	changes, was := 0, sign
	for i := range len(v) {
		now := classOf(v[i])
		if now == other {
			return false
		}
		hex = hex && (now == digit || v[i]|0x20 >= 'a' && v[i]|0x20 <= 'f')
		counts[now]++
		switch {
		case v[i] == '/' || v[i] == '+':
			changes++
		case now != was && now != sign && was != sign && !(was == upper && now == lower):
			changes++
		}
		was = now
	}
	if hex && counts[digit] > 0 {
		return true
	}
	// A name is made of words, which are lower case or begin with a capital letter, and signs between them. Random text of this length has all
	// three kinds of characters in no order, and few signs.
	return counts[digit] >= 2 && counts[upper] >= 3 && counts[lower] >= 3 && counts[sign] <= max(3, len(v)/10) && changes > len(v)/5
}

type class uint8

const (
	digit class = iota
	lower
	upper
	sign // that base64 may have
	other
)

func classOf(c byte) class {
	switch {
	case c >= '0' && c <= '9':
		return digit
	case c >= 'a' && c <= 'z':
		return lower
	case c >= 'A' && c <= 'Z':
		return upper
	case c == '/' || c == '+' || c == '-' || c == '_':
		return sign
	}
	return other
}

// madeByChance says whether a short word may be a secret: letters and digits, and no part of a path or a number.
func madeByChance(w string) bool {
	letters, digits := false, false
	for i := range len(w) {
		switch classOf(w[i]) {
		case digit:
			digits = true
		case lower, upper:
			letters = true
		}
	}
	return len(w) >= 6 && letters && digits && !strings.ContainsAny(w, "/.=")
}
