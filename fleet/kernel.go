package fleet

import (
	"math"
	"slices"
	"strings"
	"time"

	"foretop/telemetry"
	"foretop/telemetry/facts"
)

const (
	kernelTailLines   = 100 // kept a node; what matters among them is kept longer, as problems
	kernelTextBytes   = 400
	kernelDeviceBytes = 64
	kernelMoreLines   = 6               // that belong to one
	kernelSilence     = 3 * time.Minute // a line like one before belongs to it unless there was none for so long
	kernelFollows     = 5 * time.Second // after a line come those that tell more of it
	kernelApart       = 3               // lines that differ in their process only stand apart as long as they are so few
)

// KernelLine is one record of the kernel log, or several that are alike, and what it says.
type KernelLine struct {
	Sequence uint64      `json:",omitzero"` // of the newest
	At       time.Time   `json:",omitzero"` // of the newest: on our clock, from the node's monotonic one
	First    time.Time   `json:",omitzero"` // of the oldest; zero where there is one only
	WallUS   int64       `json:",omitzero"` // of the newest by the node's own wall clock, Unix time; 0 unknown
	MonoUS   int64       `json:",omitzero"`
	Level    uint32      `json:",omitzero"`
	Count    int         `json:",omitzero"` // records that it stands for; 0 is 1
	Text     string      `json:",omitzero"` // of the newest
	Oldest   string      `json:",omitzero"` // text of the oldest, where it differs
	More     []string    `json:",omitzero"`
	Device   string      `json:",omitzero"` // as the kernel names it: "+pci:0000:3b:00.0"
	Class    KernelClass `json:",omitzero"`
	GPU      int         `json:",omitzero"` // index of the GPU that it names, -1
	NVML     bool        `json:",omitzero"` // the driver told it by itself: the kernel log has no such line, or may not be read

	shape uint64
}

// N is how many records the line stands for.
func (l *KernelLine) N() int { return max(1, l.Count) }

// Since is when the oldest of its records was written.
func (l *KernelLine) Since() time.Time {
	if l.First.IsZero() {
		return l.At
	}
	return l.First
}

// kernelTail is the end of a node's kernel log. Lines are told once: what comes again after a reconnect is known by its sequence number.
type kernelTail struct {
	via    string // by which way the records come: kmsg or journal, which number them differently
	last   uint64 // sequence of the newest record
	until  int64  // MonoUs of the newest record; older ones of another way are known
	from   int64  // MonoUs up to which this way's records are known from the other
	lost   uint64
	untold uint64
	lines  []KernelLine // oldest first
	shared bool         // a view has them: they are not changed in place any more
	pci    map[string]int
	xids   xidBook
}

func (k *kernelTail) apply(payload []byte, classify func(string) KernelClass, n *node) error {
	log := new(facts.KernelLog)
	if err := facts.Decode(payload, log); err != nil {
		return err
	}
	k.lost += log.Lost
	if log.Via != k.via {
		if k.via != "" {
			k.last, k.from = 0, k.until
		}
		k.via = log.Via
	}
	last, until := k.last, k.until // what a frame holds is all newer than what was told before
	for _, r := range log.Records {
		if r.Sequence <= last && last != 0 || r.MonoUs <= k.from && k.from != 0 || r.Facility != 0 {
			continue
		}
		k.last, until = max(k.last, r.Sequence), max(until, r.MonoUs)
		l := k.line(r.Text, r.Device, r.MonoUs, classify, n)
		l.Sequence, l.Level, l.WallUS = r.Sequence, r.Level, r.WallUs
		k.xids.heard(k, &l, r.MonoUs, r.MonoUs, 1, n.lag(r.MonoUs))
		k.add(l)
	}
	for _, f := range log.Folds {
		if f.LastSequence <= last && last != 0 || f.LastMonoUs <= k.from && k.from != 0 || f.Count == 0 {
			continue
		}
		k.last, until = max(k.last, f.LastSequence), max(until, f.LastMonoUs)
		k.fold(f, classify, n)
	}
	k.until = until
	return nil
}

// line makes a line of a record's text and what it says.
func (k *kernelTail) line(text, device string, monoUS int64, classify func(string) KernelClass, n *node) KernelLine {
	l := KernelLine{
		MonoUS: monoUS, Text: strings.Clone(shorten(text)), Device: telemetry.Clean(strings.Clone(device), kernelDeviceBytes), GPU: -1,
		At: n.moment(monoUS), shape: telemetry.Shape(text),
	}
	if classify != nil {
		l.Class = classify(l.Text)
		if pci, ok := strings.CutPrefix(l.Device, "+pci:"); ok && l.Class.Kind != "" && l.Class.PCI == "" && isPCI(pci) {
			l.Class.PCI = pci
		}
		l.GPU = k.gpu(l.Class.PCI)
	}
	return l
}

// fold takes in a count of records that were not told one by one. It belongs to the line that they are like, or to none: then they were of too many
// kinds, and what the last of them says is not what the others say.
func (k *kernelTail) fold(f *facts.KernelFold, classify func(string) KernelClass, n *node) {
	if f.Sequence == 0 {
		k.untold += f.Count
		return
	}
	l := k.line(f.LastText, "", f.LastMonoUs, classify, n)
	l.Sequence, l.Count, l.First = f.LastSequence, int(min(f.Count, math.MaxInt32)), n.moment(min(f.FirstMonoUs, f.LastMonoUs))
	k.own()
	at := slices.IndexFunc(k.lines, func(h KernelLine) bool { return h.Sequence == f.Sequence && !h.NVML })
	if at < 0 {
		at = k.like(&l)
	}
	if at >= 0 {
		h := &k.lines[at]
		l.Level, l.Device = h.Level, h.Device
		if l.Class.PCI == "" && l.Class.Kind != "" {
			l.Class.PCI, l.GPU = h.Class.PCI, h.GPU
		}
	}
	k.xids.heard(k, &l, f.FirstMonoUs, f.LastMonoUs, l.Count, n.lag(f.LastMonoUs))
	if at = slices.IndexFunc(k.lines, func(h KernelLine) bool { return h.Sequence == f.Sequence && !h.NVML }); at < 0 { // an event may have gone from before it
		at = k.like(&l)
	}
	if at < 0 {
		k.append(l)
		return
	}
	k.join(at, l)
}

// view is the lines as they are now, shared by all views until they change.
func (k *kernelTail) view() []KernelLine {
	k.shared = true
	return k.lines
}

// own makes the lines ours alone, before they are changed.
func (k *kernelTail) own() {
	if k.shared {
		k.lines, k.shared = append(make([]KernelLine, 0, len(k.lines)+1), k.lines...), false
	}
}

// add takes a line in: as more of the one before it, as one more of those that it is like, or as a new one.
func (k *kernelTail) add(l KernelLine) {
	k.own()
	if l.Class.Follows {
		if at := k.head(&l); at >= 0 {
			k.attach(&k.lines[at], &l)
			return
		}
	}
	if at := k.like(&l); at >= 0 {
		k.join(at, l)
		return
	}
	k.append(l)
}

// head finds the line that another tells more of; -1 where it is not known.
func (k *kernelTail) head(l *KernelLine) int {
	c := &l.Class
	for i := len(k.lines) - 1; i >= 0; i-- {
		h := &k.lines[i]
		if h.Class.Kind == c.Kind && !h.NVML && l.At.Sub(h.At).Abs() <= kernelFollows &&
			(h.Class.PCI == "" || c.PCI == "" || h.Class.PCI == c.PCI) && (h.Class.PID == 0 || c.PID == 0 || h.Class.PID == c.PID) &&
			(h.Class.Device == "" || c.Device == "" || h.Class.Device == c.Device) && h.Class.SXid == c.SXid && h.Class.Xid == c.Xid && h.Class.MIG == c.MIG {
			return i
		}
	}
	return -1
}

// attach makes a line part of another: what is worse of the two is what it says, and neither's facts are lost.
func (k *kernelTail) attach(h, l *KernelLine) {
	more, tells := l.Text, l.Class
	if l.Class.Severity > h.Class.Severity || l.Class.Severity == h.Class.Severity && l.Class.PID != 0 && h.Class.PID == 0 && l.Class.Text != "" {
		more, tells = h.Text, h.Class
		h.Text, h.Level = l.Text, min(h.Level, l.Level)
		h.Class = l.Class
		h.Class.Follows = false
	}
	h.Sequence = max(h.Sequence, l.Sequence)
	c := &h.Class
	for _, f := range []struct{ to, from *string }{{&c.PCI, &tells.PCI}, {&c.Device, &tells.Device}, {&c.Process, &tells.Process}, {&c.Cgroup, &tells.Cgroup}, {&c.Action, &tells.Action}} {
		if *f.to == "" {
			*f.to = *f.from
		}
	}
	if c.PID == 0 {
		c.PID = tells.PID
	}
	if c.Detail == "" {
		c.Detail = tells.Detail
	} else if tells.Detail != "" && !strings.Contains(c.Detail, tells.Detail) && len(c.Detail) < kernelTextBytes {
		c.Detail += ", " + tells.Detail
	}
	h.GPU = k.gpu(c.PCI)
	if len(h.More) < kernelMoreLines {
		h.More = append(h.More[:len(h.More):len(h.More)], more)
	}
}

// like finds the line that another is one more of; -1 for none. Lines of different processes stand apart while they are few.
func (k *kernelTail) like(l *KernelLine) int {
	found, few := -1, 0
	for i := len(k.lines) - 1; i >= 0; i-- {
		h := &k.lines[i]
		if h.shape != l.shape || h.NVML != l.NVML || l.At.Sub(h.At) > kernelSilence || h.Class.Kind != l.Class.Kind || h.Class.Severity != l.Class.Severity ||
			h.Class.PCI != l.Class.PCI || h.Class.Device != l.Class.Device {
			continue
		}
		if h.Class.PID == l.Class.PID {
			return i
		}
		if found < 0 {
			found = i
		}
		few++
	}
	if few < kernelApart {
		return -1
	}
	return found
}

// join makes a line one more of another, which stands where its newest does.
func (k *kernelTail) join(at int, l KernelLine) {
	h := k.lines[at]
	l.Count, l.First, l.Oldest, l.More = h.N()+l.N(), h.Since(), h.Oldest, h.More
	if l.Oldest == "" && h.Text != l.Text {
		l.Oldest = h.Text
	}
	if l.At.Before(h.At) {
		l.At, l.MonoUS = h.At, h.MonoUS
	}
	if l.First.After(l.At) {
		l.First = l.At
	}
	l.Sequence = max(l.Sequence, h.Sequence)
	copy(k.lines[at:], k.lines[at+1:])
	k.lines[len(k.lines)-1] = l
}

// append keeps the newest lines: those that say least give way first, and of them the oldest.
func (k *kernelTail) append(l KernelLine) {
	if len(k.lines) >= kernelTailLines {
		drop, least := 0, math.MaxInt
		for i := range k.lines {
			if w := k.lines[i].weight(); w < least {
				drop, least = i, w
			}
		}
		k.lines = slices.Delete(k.lines, drop, drop+1)
	}
	if n := len(k.lines); n == cap(k.lines) { // lines are large, and few come after the first: doubling would hold more than it saves
		k.lines = append(make([]KernelLine, 0, n+n/4+1), k.lines...)
	}
	k.lines = append(k.lines, l)
}

// weight is how much a line says. A recovery says as much as the fault that it takes back.
func (l *KernelLine) weight() int {
	switch {
	case l.Class.Kind == "":
		return 0
	case l.Class.Severity == Critical:
		return 3
	case l.Class.Severity == Warning, l.Class.Severity == Fine && l.Class.Text != "":
		return 2
	}
	return 1
}

// locate learns which PCI address is which GPU, for lines already there too.
func (k *kernelTail) locate(inv *facts.Inventory) {
	k.pci = make(map[string]int, len(inv.Gpus))
	for i, g := range inv.Gpus {
		k.pci[busOf(g.Pci)] = i
	}
	k.own()
	for i := range k.lines {
		k.lines[i].GPU = k.gpu(k.lines[i].Class.PCI)
	}
}

func (k *kernelTail) gpu(pci string) int {
	if i, ok := k.pci[busOf(pci)]; ok && pci != "" {
		return i
	}
	return -1
}

// isPCI says whether s is dddd:bb:dd.f, as the kernel writes it.
func isPCI(s string) bool {
	if len(s) != len("0000:3b:00.0") {
		return false
	}
	for i := range len(s) {
		c := s[i]
		switch i {
		case 4, 7:
			if c != ':' {
				return false
			}
		case 10:
			if c != '.' {
				return false
			}
		default:
			if (c < '0' || c > '9') && (c < 'a' || c > 'f') {
				return false
			}
		}
	}
	return true
}

// busOf is a PCI address in lower case without its function and with a four-digit domain, as NVML, sysfs and the driver's messages differ in those.
func busOf(pci string) string {
	pci = strings.ToLower(pci)
	if at := strings.LastIndexByte(pci, '.'); at >= 0 {
		pci = pci[:at]
	}
	if domain, rest, ok := strings.Cut(pci, ":"); ok && len(domain) > 4 && strings.Contains(rest, ":") {
		pci = domain[len(domain)-4:] + ":" + rest
	}
	return pci
}

func shorten(s string) string {
	if len(s) <= kernelTextBytes {
		return s
	}
	cut := kernelTextBytes
	for cut > 0 && s[cut]&0xc0 == 0x80 {
		cut--
	}
	return s[:cut] + "…"
}
