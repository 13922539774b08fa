package fleet

import (
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"foretop/telemetry"
)

// LogTail is the end of a job's log file, as it was read on one of its nodes.
type LogTail struct {
	Path    string
	Node    string // where it was read
	At      time.Time
	ModTime time.Time // when it was last written, by that node's clock; zero unknown
	Size    int64     // bytes; -1 unknown
	Lines   []string  // the last ones, clean, oldest first; nil where only its age was asked for
	Numbers []LogNumber
	Error   string // why it could not be read; "" it could
	Remedy  string
}

// LogNumber is a number that a pattern found in a log: the latest one.
type LogNumber struct {
	Name string
	Text string // as the log writes it
	Line int    // in Lines
}

// LogPattern finds a number in a log: the first group of the expression is it.
type LogPattern struct {
	Name string
	Expr *regexp.Regexp
}

// Bounds of a log's end.
const (
	MaxLogLines = 500
	maxLogLine  = 2 << 10
	maxNumber   = 32
)

// LogLines cuts the end of a log into clean lines, the last MaxLogLines of them. A line that was written over in place (progress bars do, with carriage returns)
// is what it was last. whole says that text begins where the file does; otherwise its first line is only a part of one, and is left out.
func LogLines(text string, whole bool) []string {
	lines := strings.Split(strings.TrimSuffix(text, "\n"), "\n")
	if !whole && len(lines) > 1 {
		lines = lines[1:]
	}
	lines = lines[max(0, len(lines)-MaxLogLines):]
	out := make([]string, 0, len(lines))
	for _, l := range lines {
		l = strings.TrimRight(l, "\r \t")
		if i := strings.LastIndexByte(l, '\r'); i >= 0 {
			l = l[i+1:]
		}
		out = append(out, telemetry.Clean(plainText(l), maxLogLine))
	}
	if len(out) == 1 && out[0] == "" {
		return []string{}
	}
	return out
}

// plainText takes out the sequences that colour a terminal (ECMA-48 CSI and OSC); whatever is left of others is for Clean.
func plainText(s string) string {
	if !strings.Contains(s, "\x1b") {
		return s
	}
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] != 0x1b || i+1 >= len(s) {
			b.WriteByte(s[i])
			continue
		}
		switch s[i+1] {
		case '[':
			for i += 2; i < len(s) && (s[i] < 0x40 || s[i] > 0x7e); i++ {
			}
		case ']':
			for i += 2; i < len(s) && s[i] != 0x07 && s[i] != 0x1b; i++ {
			}
			if i+1 < len(s) && s[i] == 0x1b && s[i+1] == '\\' {
				i++
			}
		default:
			i++
		}
	}
	return b.String()
}

// LogNumbers finds the latest number of each pattern; those that the log does not have are left out.
func LogNumbers(lines []string, patterns []LogPattern) []LogNumber {
	var out []LogNumber
	for _, p := range patterns {
		for i := len(lines) - 1; i >= 0; i-- {
			m := p.Expr.FindAllStringSubmatch(lines[i], -1)
			if len(m) == 0 || len(m[len(m)-1]) < 2 || m[len(m)-1][1] == "" {
				continue
			}
			out = append(out, LogNumber{Name: p.Name, Text: telemetry.Clean(m[len(m)-1][1], maxNumber), Line: i})
			break
		}
	}
	return out
}

// SetLog takes over the end of a job's log.
func (f *Fleet) SetLog(job string, l *LogTail) {
	now := f.opt.Now()
	if f.opt.Tap != nil && l != nil {
		f.opt.Tap.Logged(job, l, now)
	}
	f.logs.set(job, l, now)
}

// logBook keeps the logs that were read, by job. The map is never changed, only replaced.
type logBook struct {
	mu   sync.Mutex
	logs atomic.Pointer[map[string]*LogTail]
}

// A log is forgotten when it was not read again for so long; there are never more than so many.
const (
	forgetLog = 2 * time.Hour
	maxLogs   = 1024
)

func (b *logBook) set(job string, l *LogTail, now time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	kept := make(map[string]*LogTail, 16)
	for k, old := range b.now() {
		if now.Sub(old.At) <= forgetLog {
			kept[k] = old
		}
	}
	if delete(kept, job); l != nil && len(kept) < maxLogs {
		kept[job] = l
	}
	b.logs.Store(&kept)
}

func (b *logBook) now() map[string]*LogTail {
	if p := b.logs.Load(); p != nil {
		return *p
	}
	return nil
}
