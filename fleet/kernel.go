package fleet

import (
	"slices"
	"strings"
	"time"

	"foretop/telemetry/facts"
)

const (
	kernelTailLines = 100 // kept a node; what matters among them is kept longer, as problems
	kernelTextBytes = 400
)

// kernelTail is the end of a node's kernel log. Lines are told once: what comes again after a reconnect is known by its sequence number.
type kernelTail struct {
	via   string // by which way the records come: kmsg or journal, which number them differently
	last  uint64 // sequence of the newest record
	until int64  // MonoUs of the newest record; older ones of another way are known
	from  int64  // MonoUs up to which this way's records are known from the other
	lost  uint64
	lines []KernelLine // oldest first
	shown []KernelLine // a copy for views, made anew when lines changed
	pci   map[string]int
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
	for _, r := range log.Records {
		if r.Sequence <= k.last && k.last != 0 || r.MonoUs <= k.from && k.from != 0 {
			continue
		}
		k.last, k.until = r.Sequence, max(k.until, r.MonoUs)
		line := KernelLine{
			Sequence: r.Sequence, MonoUS: r.MonoUs, Level: r.Level, Text: strings.Clone(shorten(r.Text)), GPU: -1,
			At: n.boot.Add(time.Duration(r.MonoUs) * time.Microsecond),
		}
		if classify != nil {
			line.Class = classify(line.Text)
			line.GPU = k.gpu(line.Class.PCI)
		}
		k.add(line)
	}
	return nil
}

// view is the lines as they are now, shared by all views until they change.
func (k *kernelTail) view() []KernelLine {
	if k.shown == nil && len(k.lines) > 0 {
		k.shown = slices.Clone(k.lines)
	}
	return k.shown
}

// add keeps the newest lines; ordinary ones give way to those that say something, a recovery as much as a fault.
func (k *kernelTail) add(line KernelLine) {
	k.shown = nil
	if len(k.lines) == kernelTailLines {
		drop := max(0, slices.IndexFunc(k.lines, func(l KernelLine) bool { return l.Class.Kind == "" }))
		copy(k.lines[drop:], k.lines[drop+1:])
		k.lines = k.lines[:len(k.lines)-1]
	}
	k.lines = append(k.lines, line)
}

// locate learns which PCI address is which GPU, for lines already there too.
func (k *kernelTail) locate(inv *facts.Inventory) {
	k.pci = make(map[string]int, len(inv.Gpus))
	for i, g := range inv.Gpus {
		k.pci[busOf(g.Pci)] = i
	}
	k.shown = nil
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
