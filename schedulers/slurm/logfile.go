package slurm

import (
	"fmt"
	"path"
	"strconv"
	"strings"
)

// logParts is what the pattern of a job's output file may name.
type logParts struct {
	id, arrayID, task    int64 // task < 0: no element of an array
	restarts             int
	name, user, host     string
	sluid, dir           string
	pattern              string // "" where the user gave none
	batch                bool
	pendingArray         bool // stands for several elements: their file names are not one
	alreadyFilledPattern bool
}

// logFile is the path of a job's standard output with its pattern filled in (man sbatch, "filename pattern"), "" where it has none: an interactive job, or one
// that stands for several elements of an array.
func logFile(p logParts) string {
	pattern := p.pattern
	if pattern == "" {
		if !p.batch {
			return ""
		}
		pattern = "slurm-%j.out"
		if p.arrayID > 0 {
			pattern = "slurm-%A_%a.out"
		}
	}
	if p.pendingArray {
		return ""
	}
	out := pattern
	if !p.alreadyFilledPattern {
		out = fillPattern(pattern, p)
	}
	if !strings.HasPrefix(out, "/") {
		if p.dir == "" {
			return ""
		}
		out = strings.TrimSuffix(p.dir, "/") + "/" + out
	}
	if path.Clean(out) == "/dev/null" {
		return ""
	}
	return out
}

func fillPattern(pattern string, p logParts) string {
	// A backslash anywhere turns the patterns off, and goes itself.
	if strings.Contains(pattern, `\`) {
		return strings.ReplaceAll(pattern, `\`, "")
	}
	var out strings.Builder
	for i := 0; i < len(pattern); i++ {
		c := pattern[i]
		if c != '%' || i+1 == len(pattern) {
			out.WriteByte(c)
			continue
		}
		start := i
		i++
		digits := i
		for i < len(pattern)-1 && pattern[i] >= '0' && pattern[i] <= '9' {
			i++
		}
		width := 0
		if i > digits {
			if n, err := strconv.Atoi(pattern[digits:i]); err != nil || n > 9 {
				width = 10
			} else {
				width = n
			}
		}
		if text, ok := p.fill(pattern[i], width); ok {
			out.WriteString(text)
		} else {
			out.WriteString(pattern[start : i+1])
		}
	}
	return out.String()
}

// fill is what one letter of a pattern stands for in the output of a batch script.
func (p logParts) fill(letter byte, width int) (string, bool) {
	padded := func(n int64) (string, bool) { return fmt.Sprintf("%0*d", width, n), true }
	switch letter {
	case '%':
		return "%", true
	case 'A':
		if p.arrayID > 0 {
			return padded(p.arrayID)
		}
		return padded(p.id)
	case 'a':
		if p.task < 0 {
			return padded(4294967294) // as Slurm writes it
		}
		return padded(p.task)
	case 'b':
		if p.task < 0 {
			return padded(4)
		}
		return padded(p.task % 10)
	case 'j', 'J':
		return padded(p.id)
	case 'N':
		host, _, _ := strings.Cut(p.host, ".")
		return host, true
	case 'n', 't':
		return padded(0)
	case 'r':
		return padded(int64(p.restarts))
	case 'S':
		return p.sluid, true
	case 's':
		return "batch", true
	case 'u':
		return p.user, true
	case 'x':
		return p.name, true
	}
	return "", false
}
