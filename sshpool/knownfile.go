package sshpool

import (
	"crypto/sha1"
	"encoding/base64"
	"strings"

	"golang.org/x/crypto/ssh"
)

// knownLine is one usable line of a known_hosts file. Texts are parts of the file's one string.
type knownLine struct {
	number  int32
	marker  byte   // 0, 'r' for @revoked, 'c' for @cert-authority
	keyType string // "ssh-ed25519", …
	key     string // base64 as written
	hosts   string // the pattern list; empty for a hashed line
}

// knownFile is a known_hosts file, indexed: names that stand plainly in it are found by one map look-up, patterns and hashed names
// by a pass over those lines only. That pass is dear (two SHA-1 a line and name: 5 ms for 15,000 lines), so a shown key is first looked
// up by itself: the one line that holds it is then asked whether it is this host's. Lines that do not parse are skipped, as OpenSSH does, and never spoil the rest.
type knownFile struct {
	path     string
	count    int32 // lines of the file, those that say nothing too
	lines    []knownLine
	plain    map[string][]int32 // name as known_hosts writes it, lower case → lines
	patterns []int32            // lines with *, ? or !
	hashed   []hashedName       // lines of hosts' own keys
	marked   []hashedName       // hashed lines with a marker: few, looked at always
	byKey    map[string][]int32 // key as written → indices of hashed
	types    map[string]int     // key types of hashed, counted
}

type hashedName struct {
	salt [sha1.Size]byte
	hash [sha1.Size]byte
	line int32
}

// parseKnown indexes a file's text.
func parseKnown(path, text string) *knownFile {
	f := &knownFile{path: path, plain: make(map[string][]int32), byKey: make(map[string][]int32), types: make(map[string]int)}
	number := int32(0)
	for line := range strings.Lines(text) {
		number++
		l, ok := parseKnownLine(line)
		if !ok {
			continue
		}
		l.number = number
		f.add(l)
	}
	f.count = number
	return f
}

// written takes over a line that was added to the file's end: that it is there under a hashed name costs nothing here, for the name is known.
func (f *knownFile) written(name string, key ssh.PublicKey) {
	f.count++
	at := int32(len(f.lines))
	f.lines = append(f.lines, knownLine{number: f.count, keyType: key.Type(), key: base64.StdEncoding.EncodeToString(key.Marshal()), hosts: name})
	name = lower(name)
	f.plain[name] = append(f.plain[name], at)
}

func (f *knownFile) add(l knownLine) {
	at := int32(len(f.lines))
	if strings.HasPrefix(l.hosts, "|1|") {
		h, ok := parseHashedName(l.hosts)
		if !ok {
			return
		}
		h.line, l.hosts = at, ""
		f.lines = append(f.lines, l)
		if l.marker != 0 {
			f.marked = append(f.marked, h)
			return
		}
		f.byKey[l.key] = append(f.byKey[l.key], int32(len(f.hashed)))
		f.types[l.keyType]++
		f.hashed = append(f.hashed, h)
		return
	}
	f.lines = append(f.lines, l)
	if strings.ContainsAny(l.hosts, "*?!") {
		f.patterns = append(f.patterns, at)
		return
	}
	for name := range strings.SplitSeq(l.hosts, ",") {
		if name != "" {
			name = lower(name)
			f.plain[name] = append(f.plain[name], at)
		}
	}
}

// parseKnownLine takes "[@marker] hosts keytype base64 [comment]" apart. The key itself is decoded only when the line matches a host.
func parseKnownLine(line string) (knownLine, bool) {
	var l knownLine
	word, rest := nextWord(line)
	switch {
	case word == "" || strings.HasPrefix(word, "#"):
		return l, false
	case word == "@revoked":
		l.marker = 'r'
		word, rest = nextWord(rest)
	case word == "@cert-authority":
		l.marker = 'c'
		word, rest = nextWord(rest)
	case strings.HasPrefix(word, "@"):
		return l, false
	}
	l.hosts = word
	l.keyType, rest = nextWord(rest)
	l.key, _ = nextWord(rest)
	return l, l.hosts != "" && l.keyType != "" && l.key != ""
}

func nextWord(s string) (word, rest string) {
	s = strings.TrimLeft(s, " \t\r\n")
	if i := strings.IndexAny(s, " \t\r\n"); i >= 0 {
		return s[:i], s[i:]
	}
	return s, ""
}

// parseHashedName reads "|1|salt|hash", both base64 of 20 bytes (hostfile.c, HASH_MAGIC).
func parseHashedName(s string) (h hashedName, ok bool) {
	salt, hash, found := strings.Cut(strings.TrimPrefix(s, "|1|"), "|")
	if !found {
		return h, false
	}
	a, errA := base64.StdEncoding.DecodeString(salt)
	b, errB := base64.StdEncoding.DecodeString(hash)
	if errA != nil || errB != nil || len(a) != sha1.Size || len(b) != sha1.Size {
		return h, false
	}
	copy(h.salt[:], a)
	copy(h.hash[:], b)
	return h, true
}

// find gives the lines that speak of the names, one list a name; those with hashed names only when they bear a marker.
func (f *knownFile) find(names []string) [][]int32 {
	found := make([][]int32, len(names))
	for i, name := range names {
		found[i] = append(found[i], f.plain[name]...)
		for _, at := range f.patterns {
			if matchHosts(f.lines[at].hosts, name) {
				found[i] = append(found[i], at)
			}
		}
		found[i] = appendHashed(found[i], f.marked, name)
	}
	return found
}

// findHashed gives the lines whose hashed name is one of the names: the dear pass.
func (f *knownFile) findHashed(names []string) [][]int32 {
	found := make([][]int32, len(names))
	for i, name := range names {
		found[i] = appendHashed(nil, f.hashed, name)
	}
	return found
}

// findKey gives the hashed lines that hold this very key for name.
func (f *knownFile) findKey(key, name string) []int32 {
	var found []int32
	for _, i := range f.byKey[key] {
		found = appendHashed(found, f.hashed[i:i+1], name)
	}
	return found
}

// appendHashed computes HMAC-SHA1(salt, name) for each entry.
func appendHashed(found []int32, entries []hashedName, name string) []int32 {
	const block = sha1.BlockSize
	var outer [block + sha1.Size]byte
	inner := append(make([]byte, block, block+256), name...)
	for i := range entries {
		h := &entries[i]
		for j := range block {
			inner[j], outer[j] = 0x36, 0x5c
		}
		for j, b := range h.salt {
			inner[j] ^= b
			outer[j] ^= b
		}
		sum := sha1.Sum(inner)
		copy(outer[block:], sum[:])
		if sha1.Sum(outer[:]) == h.hash {
			found = append(found, h.line)
		}
	}
	return found
}

// publicKey decodes the line's key; nil when x/crypto does not know its type or it is broken.
func (l *knownLine) publicKey() ssh.PublicKey {
	blob, err := base64.StdEncoding.DecodeString(l.key)
	if err != nil {
		return nil
	}
	key, err := ssh.ParsePublicKey(blob)
	if err != nil {
		return nil
	}
	return key
}

// matchHosts is match_hostname of OpenSSH: some pattern matches and no negated one does.
func matchHosts(list, name string) bool {
	matched := false
	for pattern := range strings.SplitSeq(list, ",") {
		if negated, ok := strings.CutPrefix(pattern, "!"); ok {
			if wild(lower(negated), name) {
				return false
			}
		} else if wild(lower(pattern), name) {
			matched = true
		}
	}
	return matched
}

// wild matches * (any run) and ? (one character), in time linear in the product of the lengths.
func wild(pattern, s string) bool {
	p, i, star, mark := 0, 0, -1, 0
	for i < len(s) {
		switch {
		case p < len(pattern) && (pattern[p] == '?' || pattern[p] == s[i]) && pattern[p] != '*':
			p, i = p+1, i+1
		case p < len(pattern) && pattern[p] == '*':
			star, mark = p, i
			p++
		case star >= 0:
			mark++
			p, i = star+1, mark
		default:
			return false
		}
	}
	for p < len(pattern) && pattern[p] == '*' {
		p++
	}
	return p == len(pattern)
}
