package findings

import (
	"strconv"
	"strings"

	"foretop/fleet"
)

// rule is one line of the tables: lines of a form, and what they mean.
//
// A pattern is text with places in it:
//
//   - anything
//     <x>       anything, for $x of the text
//     <comm>    a process's name: anything, up to the last place where the pattern goes on
//     <cgroup>  a control group: anything
//     <pid> <n> a number; <n> for $n
//     <dev>     a device's name, for $dev: letters, digits, and - _ . /
//     <pci>     a PCI address, with or without its function
//
// A pattern without * at its end is the whole line.
type rule struct {
	kind     string
	on       string // see below
	pattern  string
	severity fleet.Severity
	cause    fleet.Cause
	text     string // "subject: what", with $x $n $dev $comm
	action   string
	read     reader // reads on; nil: there is no more to it
}

// What a pattern is held against.
const (
	bare      = ""  // the line
	named     = ":" // what follows "NAME: ", which becomes the device
	anyDriver = "*" // what follows "DRIVER DEVICE: " or "DRIVER DEVICE NETDEV: ", of whichever driver; else of the driver that on names
)

// reader completes a class from what a rule found; false: the line is not of the rule's kind after all.
type reader func(f *found, c *fleet.KernelClass) bool

// found is what a pattern's places held.
type found struct {
	rest              string // what the pattern was held against
	x, n, dev         string
	comm, cgroup, pci string
	pid               string
	origin
}

// origin is what a driver's line begins with.
type origin struct{ driver, device, netd string }

// follows marks a line as one that tells more of the one before.
func follows(_ *found, c *fleet.KernelClass) bool {
	c.Follows = true
	return true
}

// program is a rule, compiled.
type program struct {
	*rule
	steps  []step
	needle string // the longest text of the pattern
	open   bool   // the pattern ends in *
	fixed  bool   // the text has no places
}

// step is a place, and the text after it.
type step struct {
	place   byte // 0: only the text
	literal string
}

var placeNames = map[string]byte{"x": 'x', "comm": 'c', "cgroup": 'g', "pid": 'p', "n": 'n', "dev": 'd', "pci": 'a'}

func compile(r *rule) *program {
	p := &program{rule: r, fixed: !strings.Contains(r.text, "$")}
	s := r.pattern
	if p.open = strings.HasSuffix(s, "*"); p.open {
		s = s[:len(s)-1]
	}
	at := step{}
	for s != "" {
		i := strings.IndexAny(s, "*<")
		if i < 0 {
			at.literal += s
			break
		}
		at.literal += s[:i]
		place, rest := byte('*'), s[i+1:]
		if s[i] == '<' {
			name, after, _ := strings.Cut(rest, ">")
			if place = placeNames[name]; place == 0 { // a bracket of the line's own: <...>
				at.literal += "<"
				s = rest
				continue
			}
			rest = after
		}
		p.steps = append(p.steps, at)
		at, s = step{place: place}, rest
	}
	p.steps = append(p.steps, at)
	for _, st := range p.steps {
		if len(st.literal) > len(p.needle) {
			p.needle = st.literal
		}
	}
	return p
}

// match holds a line against the pattern from one of its steps on. It goes on from the left to the right; only where a process's name ends is found
// by what follows, for it may hold anything.
func (p *program) match(s string, from int, f *found) bool {
	for i := from; i < len(p.steps); i++ {
		st := &p.steps[i]
		at := 0
		switch st.place {
		case 0:
		case 'p', 'n':
			if at = digits(s); at == 0 || at > 10 {
				return false
			}
		case 'd':
			if at = nameLength(s); at == 0 || at > maxDevice {
				return false
			}
		case 'a':
			at = addressLength(s)
			if f.pci = pciAddress(s[:at]); f.pci == "" {
				return false
			}
		case 'c':
			for at = 0; at < min(len(s), maxComm); at++ {
				if strings.HasPrefix(s[at:], st.literal) && p.match(s[at+len(st.literal):], i+1, f) {
					f.comm = s[:at]
					return true
				}
			}
			return false
		default:
			if at = len(s); st.literal != "" || i < len(p.steps)-1 {
				at = strings.Index(s, st.literal)
			}
			if at < 0 {
				return false
			}
		}
		f.keep(st.place, s[:at])
		s = s[at:]
		if !strings.HasPrefix(s, st.literal) {
			return false
		}
		s = s[len(st.literal):]
	}
	return p.open || s == ""
}

const (
	maxComm   = 64 // of a process's name: 15, and more for the kernel's own workers
	maxDevice = 40
)

func (f *found) keep(place byte, s string) {
	switch place {
	case 'x':
		f.x = s
	case 'g':
		f.cgroup = s
	case 'p':
		f.pid = s
	case 'n':
		f.n = s
	case 'd':
		f.dev = s
	}
}

func digits(s string) (n int) {
	for n < len(s) && s[n] >= '0' && s[n] <= '9' {
		n++
	}
	return n
}

// nameLength is the length of the device's name that s begins with, less a full stop.
func nameLength(s string) (n int) {
	for n < len(s) && nameByte(s[n]) {
		n++
	}
	for n > 0 && s[n-1] == '.' {
		n--
	}
	return n
}

func addressLength(s string) (n int) {
	for n < len(s) && n < 16 && (s[n] == ':' || s[n] == '.' || isHex(s[n:n+1])) {
		n++
	}
	for n > 0 && (s[n-1] == ':' || s[n-1] == '.') {
		n--
	}
	return n
}

func nameByte(c byte) bool {
	return 'a' <= c|0x20 && c|0x20 <= 'z' || '0' <= c && c <= '9' || c == '-' || c == '_' || c == '.' || c == '/'
}

// class is what a line that matched means; false where the rule's reader takes it for another.
func (p *program) class(f found) (fleet.KernelClass, bool) {
	c := fleet.KernelClass{Severity: p.severity, Cause: p.cause, Kind: p.kind, Action: p.action, PCI: f.pci, Device: f.dev, Cgroup: short(f.cgroup, 200)}
	if c.PCI == "" {
		c.PCI = pciAddress(f.device)
	}
	if c.Device == "" {
		if c.Device = f.netd; c.Device == "" && c.PCI == "" {
			c.Device = f.device
		}
	}
	if f.comm != "" {
		c.Process = short(f.comm, 32)
	}
	if f.pid != "" {
		pid, _ := strconv.ParseInt(f.pid, 10, 32)
		c.PID = int32(pid)
	}
	if c.Text = p.text; !p.fixed {
		c.Text = fill(p.text, &f, &c)
	}
	return c, p.read == nil || p.read(&f, &c)
}

func (p *program) try(s string, from origin) (fleet.KernelClass, *rule) {
	f := found{rest: s}
	if !p.match(s, 0, &f) {
		return fleet.KernelClass{}, nil
	}
	f.origin = from
	if c, ok := p.class(f); ok {
		return c, p.rule
	}
	return fleet.KernelClass{}, nil
}

// fill puts what was found into a text.
func fill(text string, f *found, c *fleet.KernelClass) string {
	var b strings.Builder
	for text != "" {
		before, rest, ok := strings.Cut(text, "$")
		b.WriteString(before)
		if !ok {
			break
		}
		switch {
		case strings.HasPrefix(rest, "x"):
			b.WriteString(short(f.x, 48))
			rest = rest[1:]
		case strings.HasPrefix(rest, "n"):
			b.WriteString(f.n)
			rest = rest[1:]
		case strings.HasPrefix(rest, "dev"):
			b.WriteString(c.Device)
			rest = rest[3:]
		case strings.HasPrefix(rest, "comm"):
			b.WriteString(c.Process)
			rest = rest[4:]
		}
		text = rest
	}
	return b.String()
}
