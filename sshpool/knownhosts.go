package sshpool

import (
	"bytes"
	"encoding/base64"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"golang.org/x/crypto/ssh"
)

// maxKnownBytes bounds a known_hosts file: 64 MiB hold some 400,000 keys.
const maxKnownBytes = 64 << 20

// trustFiles keeps the known_hosts files indexed, each for as long as it is unchanged, and what they say of each host.
type trustFiles struct {
	mu      sync.Mutex
	files   map[string]*cachedFile
	kept    map[string][]ssh.PublicKey // by name: taken, where there is no file to write them to
	writing sync.Mutex                 // of a file: one at a time
}

type cachedFile struct {
	once  sync.Once
	state fileState    // guarded by trustFiles.mu
	lines sync.RWMutex // of file.lines and file.plain, which grow with what we write
	file  *knownFile
	read  atomic.Bool // file is there

	mu    sync.Mutex
	found map[string][][]int32 // names joined by a space → lines a name
}

func newTrustFiles() *trustFiles { return &trustFiles{files: make(map[string]*cachedFile)} }

// open gives a file's index; a file that is not there or not readable is an empty one. The file is looked at under the lock under which we write, or what we write meanwhile would seem
// another's.
func (t *trustFiles) open(path string) *cachedFile {
	t.mu.Lock()
	state := stateOf(path)
	c := t.files[path]
	if c == nil || c.state != state {
		c = &cachedFile{state: state, found: make(map[string][][]int32)}
		t.files[path] = c
	}
	t.mu.Unlock()
	c.once.Do(func() {
		text := ""
		if state.mtime != 0 && state.size <= maxKnownBytes {
			if b, err := os.ReadFile(path); err == nil {
				text = string(b)
			}
		}
		c.file = parseKnown(path, text)
		c.read.Store(true)
	})
	return c
}

// find is knownFile.find.
func (c *cachedFile) find(names []string) [][]int32 {
	c.lines.RLock()
	defer c.lines.RUnlock()
	return c.file.find(names)
}

// findHashed is the file's dear pass, done once for names.
func (c *cachedFile) findHashed(names []string) [][]int32 {
	key := strings.Join(names, " ")
	c.mu.Lock()
	found, ok := c.found[key]
	c.mu.Unlock()
	if ok {
		return found
	}
	found = c.file.findHashed(names)
	c.mu.Lock()
	c.found[key] = found
	c.mu.Unlock()
	return found
}

// passed tells whether the dear pass was already done for names.
func (c *cachedFile) passed(names []string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	_, ok := c.found[strings.Join(names, " ")]
	return ok
}

// KnownKey is one key that a known_hosts file holds for a host.
type KnownKey struct {
	Key    ssh.PublicKey
	File   string
	Line   int
	marker byte // as knownLine
}

// knowledge is what all files of one host say about it.
type knowledge struct {
	names []string   // the name OpenSSH looks up, and perhaps the one without port
	keys  []KnownKey // under the first name, @cert-authority and @revoked lines too
	bare  []KnownKey // under the second: trusted only when keys holds no plain key
	later []*cachedFile
	types map[string]int // of the keys in later
}

// known asks every file of r; files that changed since are read again. Files whose names are hashed are left for later, see
// lookedUp and complete, unless whole is set or they were passed over before.
func (t *trustFiles) known(r *Resolved, whole bool) *knowledge {
	name, bare := r.knownNames()
	k := &knowledge{names: []string{name}, types: make(map[string]int)}
	if bare != "" {
		k.names = append(k.names, bare)
	}
	for _, key := range r.HostKeys {
		k.keys = append(k.keys, KnownKey{Key: key, File: "(given)"})
	}
	for _, key := range t.keptFor(name) {
		k.keys = append(k.keys, KnownKey{Key: key, File: "(taken in this session)"})
	}
	for _, path := range slices.Concat(r.UserKnownHosts, r.GlobalKnownHosts) {
		c := t.open(path)
		k.add(c, c.find(k.names))
		switch {
		case len(c.file.hashed) == 0:
		case whole || c.passed(k.names):
			k.add(c, c.findHashed(k.names))
		default:
			k.later = append(k.later, c)
			for keyType, n := range c.file.types {
				k.types[keyType] += n
			}
		}
	}
	return k
}

// add takes lines of a file over, one list a name.
func (k *knowledge) add(c *cachedFile, found [][]int32) {
	c.lines.RLock()
	defer c.lines.RUnlock()
	for i, lines := range found {
		for _, at := range lines {
			l := &c.file.lines[at]
			key := l.publicKey()
			if key == nil {
				continue
			}
			entry := KnownKey{Key: key, File: c.file.path, Line: int(l.number), marker: l.marker}
			if i == 0 {
				k.keys = append(k.keys, entry)
			} else {
				k.bare = append(k.bare, entry)
			}
		}
	}
}

// lookedUp tells whether a hashed line holds this very key for the host's first name: the usual case, without a pass.
func (k *knowledge) lookedUp(key ssh.PublicKey) bool {
	text := base64.StdEncoding.EncodeToString(key.Marshal())
	return slices.ContainsFunc(k.later, func(c *cachedFile) bool { return len(c.file.findKey(text, k.names[0])) > 0 })
}

// complete does the pass over the hashed files that were left for later.
func (k *knowledge) complete() {
	for _, c := range k.later {
		k.add(c, c.findHashed(k.names))
	}
	k.later = nil
}

// plain gives the keys that stand for the host itself.
func plainKeys(keys []KnownKey) []KnownKey {
	var out []KnownKey
	for _, k := range keys {
		if k.marker == 0 {
			out = append(out, k)
		}
	}
	return out
}

// trusted are the plain keys that decide: those under the full name, else those under the bare one.
func (k *knowledge) trusted() []KnownKey {
	if keys := plainKeys(k.keys); len(keys) > 0 {
		return keys
	}
	return plainKeys(k.bare)
}

// all are the lines of both names, for markers.
func (k *knowledge) all() []KnownKey { return slices.Concat(k.keys, k.bare) }

func sameKey(a, b ssh.PublicKey) bool { return bytes.Equal(a.Marshal(), b.Marshal()) }

// defaultHostKeyAlgorithms is OpenSSH's order (myproposal.h), of what x/crypto speaks. x/crypto's own puts ed25519 last, so that a
// host known by its ed25519 key would show another one.
func defaultHostKeyAlgorithms() []string {
	return []string{
		ssh.CertAlgoED25519v01, ssh.CertAlgoECDSA256v01, ssh.CertAlgoECDSA384v01, ssh.CertAlgoECDSA521v01,
		ssh.CertAlgoRSASHA512v01, ssh.CertAlgoRSASHA256v01,
		ssh.KeyAlgoED25519, ssh.KeyAlgoECDSA256, ssh.KeyAlgoECDSA384, ssh.KeyAlgoECDSA521,
		ssh.KeyAlgoRSASHA512, ssh.KeyAlgoRSASHA256,
	}
}

// algorithms orders the host-key algorithms so that the server shows a key that we can judge: certificates first where an
// authority is known, then the known key types, then the rest.
func (k *knowledge) algorithms(configured []string) []string {
	supported := defaultHostKeyAlgorithms()
	all := supported
	if len(configured) > 0 {
		all = nil
		for _, a := range configured {
			if slices.Contains(supported, a) || a == ssh.KeyAlgoRSA {
				all = append(all, a)
			}
		}
		if len(all) == 0 {
			all = supported
		}
	}
	authority := slices.ContainsFunc(k.all(), func(e KnownKey) bool { return e.marker == 'c' })
	types := make(map[string]bool)
	for _, e := range k.trusted() {
		types[e.Key.Type()] = true
	}
	popular := 0 // where all that is known may lie in hashed lines: what most of them hold
	for _, n := range k.types {
		popular = max(popular, n)
	}
	rank := func(algorithm string) int {
		plain, certified := certifiedType(algorithm)
		switch {
		case certified && authority:
			return 0
		case !certified && types[plain]:
			return 1
		case !certified && len(types) == 0 && popular > 0 && k.types[plain] == popular:
			return 2
		case certified && types[plain]:
			return 4 // a certificate by an unknown authority still holds the known key, but a plain answer is simpler
		}
		return 3
	}
	ordered := slices.Clone(all)
	slices.SortStableFunc(ordered, func(a, b string) int { return rank(a) - rank(b) })
	return ordered
}

// certifiedType gives the key type behind an algorithm, and whether the algorithm is a certificate's.
func certifiedType(algorithm string) (keyType string, certified bool) {
	base, certified := strings.CutSuffix(algorithm, certSuffix)
	switch base {
	case ssh.KeyAlgoRSASHA256, ssh.KeyAlgoRSASHA512:
		base = ssh.KeyAlgoRSA
	}
	return base, certified
}
