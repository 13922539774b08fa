package cli

import (
	"bufio"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// Bounds on reading an ssh configuration for its names.
const (
	maxIncludes    = 16 // deep, as OpenSSH itself
	maxSSHFiles    = 256
	maxSSHFile     = 8 << 20 // bytes of one file
	maxHostAliases = 20_000
)

// hostAliases gives the names that an ssh configuration's Host lines spell out (no patterns), Include followed,
// ascending. It serves spelling hints and completion only; what a name means, ssh itself says. What cannot be read
// is left out. file is the user's configuration, home the user's home folder.
func hostAliases(file, home string) []string {
	r := aliasReader{home: home, seen: map[string]bool{}}
	r.read(file, 0)
	slices.Sort(r.names)
	return slices.Compact(r.names)
}

type aliasReader struct {
	home  string
	seen  map[string]bool // files read or being read
	names []string
}

func (r *aliasReader) read(path string, depth int) {
	if depth > maxIncludes || r.seen[path] || len(r.seen) >= maxSSHFiles {
		return
	}
	r.seen[path] = true
	info, err := os.Stat(path)
	if err != nil || !info.Mode().IsRegular() { // a pipe would be waited for
		return
	}
	f, err := os.Open(path)
	if err != nil {
		return
	}
	defer f.Close()
	lines := bufio.NewScanner(io.LimitReader(f, maxSSHFile))
	for lines.Scan() {
		keyword, values := sshLine(lines.Text())
		switch keyword {
		case "host":
			r.host(values)
		case "include":
			for _, value := range values {
				r.include(value, depth)
			}
		}
	}
}

func (r *aliasReader) host(patterns []string) {
	for _, pattern := range patterns {
		if !strings.ContainsAny(pattern, "*?!") && len(r.names) < maxHostAliases {
			r.names = append(r.names, pattern)
		}
	}
}

func (r *aliasReader) include(pattern string, depth int) {
	pattern = inHome(pattern, r.home)
	if !filepath.IsAbs(pattern) {
		pattern = filepath.Join(r.home, ".ssh", pattern)
	}
	files, _ := filepath.Glob(pattern) // a bad pattern names no file
	for _, file := range files {
		r.read(file, depth+1)
	}
}

// sshLine cuts a line of an ssh configuration: `Host a b`, `Host=a b`, `Include "x y"`.
func sshLine(line string) (keyword string, values []string) {
	line = strings.TrimSpace(line)
	end := strings.IndexAny(line, " \t=")
	if end <= 0 || line[0] == '#' {
		return "", nil
	}
	keyword = strings.ToLower(line[:end])
	rest := strings.TrimPrefix(strings.TrimSpace(line[end:]), "=")
	for rest = strings.TrimSpace(rest); rest != "" && rest[0] != '#'; rest = strings.TrimSpace(rest) {
		var value string
		if rest[0] == '"' {
			value, rest, _ = strings.Cut(rest[1:], `"`)
		} else if end := strings.IndexAny(rest, " \t"); end >= 0 {
			value, rest = rest[:end], rest[end:]
		} else {
			value, rest = rest, ""
		}
		values = append(values, value)
	}
	return keyword, values
}
