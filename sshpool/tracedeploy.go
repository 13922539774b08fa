package sshpool

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"foretop/sshpool/payload"
)

// What the start script says beside its start line where somebody looks: at each point where it decides, what it found there.
//
//	SHELL NONCE PATH     the login shell has come to it
//	AT NONCE WORD DIR    what lies in a folder, before it is chosen or passed over; WORD is one of atWords
//	HOME NONCE N         what the shared folder gave: see look in bootstrap.go
//	GO NONCE DIR         the collector is started there
const (
	sayShell = "FORETOP-SHELL "
	sayAt    = "FORETOP-AT "
	sayHome  = "FORETOP-HOME "
	sayGo    = "FORETOP-GO "
)

// atWords say what a folder is, by the script's word.
var atWords = map[string]string{
	"has":     "the collector lies there, unharmed",
	"empty":   "ours, without this collector",
	"damaged": "what lies there has another checksum, or is not ours: it is replaced",
	"noexec":  "it may not execute programs",
	"link":    "a symbolic link: never used",
	"others":  "not a folder of yours alone (owner, or mode other than 0700): never used",
	"open":    "in a folder where others may replace it (open to all without the sticky bit, or owned by another user): never used",
	"denied":  "it cannot be made, or is not safely yours alone",
	"usable":  "it takes the collector",
}

// noRuntimeDir is where the folder in $XDG_RUNTIME_DIR would be where that is not set.
const noRuntimeDir = "/nonexistent/"

// homeWords say what the shared folder gave.
var homeWords = map[string]string{"0": "the collector lies there: it is copied", "3": "usable, without this collector", "137": "no answer in time: it hangs"}

// lookout turns what a start script says into steps; nil: nobody looks.
type lookout struct {
	t       *tracing
	nonce   string
	shared  string
	now     *span // shell, folder, collector
	folder  *span
	line    []byte
	noise   int // bytes before the script's first word
	said    string
	came    bool // the script's first word
	further bool // not the first start: the shell is known
	left    bool // another start takes its place
}

// lookout begins to look at a start.
func (d *deployment) lookout(nonce string) *lookout {
	if d.trace == nil {
		return nil
	}
	l := &lookout{t: d.trace, nonce: nonce, shared: spoken.Replace(d.scripts.shared), further: d.starts > 0}
	d.starts++
	if l.further {
		l.now = l.t.step("collector")
	} else {
		l.now = l.t.step("shell")
	}
	return l
}

// over gives a reader of r that l hears too.
func (l *lookout) over(r io.Reader) io.Reader {
	if l == nil {
		return r
	}
	return io.TeeReader(r, l)
}

// Write takes a start's output, which may be anything.
func (l *lookout) Write(b []byte) (int, error) {
	for _, c := range b {
		if c != '\n' {
			if len(l.line) < maxLine {
				l.line = append(l.line, c)
			}
			if !l.came {
				l.noise++
			}
			continue
		}
		l.hear(string(l.line))
		l.line = l.line[:0]
		if !l.came {
			l.noise++
		}
	}
	return len(b), nil
}

// hear takes one line. Words of another nonce are noise.
func (l *lookout) hear(line string) {
	i := strings.Index(line, "FORETOP-") // noise may stand before it
	if i < 0 {
		l.heardNoise(line)
		return
	}
	for _, w := range []struct {
		word string
		do   func(string)
	}{{sayShell, l.shell}, {sayAt, l.at}, {sayHome, l.home}, {sayGo, l.goes}} {
		if rest, ok := strings.CutPrefix(line[i:], w.word+l.nonce+" "); ok {
			if w.word == sayShell {
				l.noise -= len(line) - i
				l.heardNoise(line[:i])
			}
			w.do(rest)
			return
		}
	}
	l.heardNoise(line)
}

func (l *lookout) heardNoise(line string) {
	if l.said == "" && !l.came {
		l.said = clean(line)
	}
}

func (l *lookout) shell(path string) {
	l.came = true
	if l.further {
		return
	}
	l.now.say(path)
	if l.noise > 0 {
		l.now.say(fmt.Sprintf("its start-up files print %d bytes, which begin: %s", l.noise, l.said))
	}
	l.now.end(nil)
	l.folder = l.t.step("folder")
	l.now = l.folder
}

func (l *lookout) at(rest string) {
	word, dir, _ := strings.Cut(rest, " ")
	what, ok := atWords[word] // a folder that is not there yet is not worth a word: what is made of it comes later
	if !ok || strings.HasPrefix(dir, noRuntimeDir) || l.further && word != "denied" && word != "noexec" {
		return
	}
	l.now.say(dir + ": " + what)
}

func (l *lookout) home(rest string) {
	what, ok := homeWords[rest]
	if !ok {
		what = "it cannot be used: not there and not to be made, or not yours"
	}
	if !l.further {
		l.now.say(l.shared + " (perhaps shared by nodes): " + what)
	}
}

func (l *lookout) goes(dir string) {
	if !l.further {
		l.folder.end(nil)
		l.now = l.t.step("collector")
	}
	l.now.say("started in " + dir)
}

// end is told the start line, or why there was none.
func (l *lookout) end(line startLine, err error) {
	switch {
	case l == nil, l.left, err != nil: // the step that goes on is the one that failed
	case line.kind == "stream":
		l.now.end(nil)
	case line.kind == "need":
		n := parseNeed(line.text)
		l.now.say("wanted: the collector for " + n.platform.String())
		l.now.end(nil)
	}
}

// gives says that a start came to nothing, and another is tried.
func (l *lookout) gives(why string) {
	if l == nil {
		return
	}
	l.left = true
	l.now.end(errors.New(why))
}

// sends begins the step of an upload.
func (d *deployment) sends(b *payload.Bundle, reader bool, folder int) *span {
	s := d.trace.step("upload")
	if s != nil {
		what, size := "the collector", b.Collector.Size
		if reader {
			what, size = "the collector and its NVML reader", size+b.Reader.Size
		}
		dir := d.scripts.shared
		if folder >= 0 {
			dir = d.scripts.folders[folder]
		}
		s.say(fmt.Sprintf("%s (%.1f MB) to %s", what, float64(size)/1e6, spoken.Replace(dir)))
	}
	return s
}

// explain says what a name came to, and what decided it.
func (r *resolver) explain(s *span, answer *Resolved) {
	if answer == nil {
		return
	}
	s.say(answer.User + "@" + answer.addr())
	var read []string
	r.mu.Lock()
	for _, c := range r.cached {
		if c.r != answer {
			continue
		}
		for _, f := range c.files[min(len(c.files), usualFiles):] {
			if f.mtime != 0 && !strings.HasSuffix(f.path, ".d") && !slices.Contains(read, f.path) {
				read = append(read, f.path)
			}
		}
	}
	r.mu.Unlock()
	switch {
	case r.program == "":
		s.say("by OpenSSH's defaults: no ssh program is installed")
	case len(read) == 0:
		s.say("by ssh's defaults: it read no configuration file")
	default:
		s.say("ssh read " + strings.Join(read, ", "))
	}
	if answer.ProxyJump != "" {
		s.say("ProxyJump " + answer.ProxyJump)
	}
	if answer.HostKeyAlias != "" {
		s.say("HostKeyAlias " + answer.HostKeyAlias)
	}
}
