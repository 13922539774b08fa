package collectors

import "strings"

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
	if len(v) < 32 {
		return false
	}
	hex, digits, upper, lower, slashes := true, 0, 0, 0, 0
	for i := range len(v) {
		switch c := v[i]; {
		case c >= '0' && c <= '9':
			digits++
		case c >= 'a' && c <= 'z':
			lower++
			hex = hex && c <= 'f'
		case c >= 'A' && c <= 'Z':
			upper++
			hex = hex && c <= 'F'
		case c == '/':
			slashes++
			hex = false
		case c == '+' || c == '-' || c == '_':
			hex = false
		default:
			return false
		}
	}
	if hex && digits > 0 {
		return true
	}
	// Words of a path or a name are lower case; random text of this length has all three kinds, and few signs.
	return digits >= 2 && upper >= 3 && lower >= 3 && slashes <= len(v)/12
}
