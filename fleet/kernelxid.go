package fleet

import (
	"fmt"
	"time"

	"foretop/telemetry/facts"
)

// The driver reports an Xid twice: as a line of the kernel log, and as an event to who asked NVML for them. Whichever comes first, an event and a line of
// one GPU and code within xidNear are one. An event that no line belongs to is a line of its own, marked as the driver's: the log may not be read, or the
// line was one of too many.
const (
	xidNear = 5 * time.Second
	maxXids = 64               // lines, and events, that wait for their counterparts
	maxLag  = 10 * time.Minute // by so much may the clock of the kernel log go wrong against the monotonic one

	// GPUEvent.What: an Xid; that the driver took the order for events, so that none is no news; how many were dropped of too many (the code says).
	xidEvent       = "xid"
	listeningEvent = "listening"
	droppedEvent   = "events_dropped"
)

// xidSeen is an Xid of which the counterpart was not seen yet, or several that were folded.
type xidSeen struct {
	bus         string
	code, mig   int
	first, last int64 // µs of the node's monotonic clock
	n           int
}

func (a *xidSeen) same(b *xidSeen) bool {
	return a.code == b.code && a.bus == b.bus && (a.mig == b.mig || a.mig == 0 || b.mig == 0) &&
		a.first-b.last <= xidNear.Microseconds() && b.first-a.last <= xidNear.Microseconds()
}

type xidBook struct {
	lines, events []xidSeen
	lag           time.Duration // of the freshest line of this stream: so much is the log's clock behind
	lagKnown      bool
	sequence      uint64 // of the last event of this stream
}

// reset begins a new stream.
func (b *xidBook) reset() { b.lagKnown, b.sequence = false, 0 }

// heard notes lines of the kernel log, n of them from one time to another, before they are taken in: events that stood for them go.
func (b *xidBook) heard(k *kernelTail, l *KernelLine, firstUS, lastUS int64, n int, lag time.Duration) {
	if !b.lagKnown || lag < b.lag {
		b.lag, b.lagKnown = max(-maxLag, min(lag, maxLag)), true
	}
	if l.Class.Xid == 0 {
		return
	}
	s := xidSeen{bus: busOf(l.Class.PCI), code: l.Class.Xid, mig: l.Class.MIG, first: firstUS + b.lag.Microseconds(), last: lastUS + b.lag.Microseconds(), n: n}
	kept := b.events[:0]
	for i := range b.events {
		if e := &b.events[i]; s.n > 0 && s.same(e) {
			s.n--
			k.untell(e)
		} else {
			kept = append(kept, *e)
		}
	}
	b.events = kept
	if s.n > 0 {
		b.lines = remembered(b.lines, s)
	}
}

// event takes an event in; true where no line told the same.
func (b *xidBook) event(s xidSeen) bool {
	for i := len(b.lines) - 1; i >= 0; i-- {
		if l := &b.lines[i]; s.same(l) {
			if l.n--; l.n == 0 {
				b.lines = append(b.lines[:i], b.lines[i+1:]...)
			}
			return false
		}
	}
	b.events = remembered(b.events, s)
	return true
}

func remembered(list []xidSeen, s xidSeen) []xidSeen {
	if len(list) == maxXids {
		list = append(list[:0], list[1:]...)
	}
	return append(list, s)
}

// untell takes back what was told for an event.
func (k *kernelTail) untell(s *xidSeen) {
	k.own()
	for i := len(k.lines) - 1; i >= 0; i-- {
		l := &k.lines[i]
		if !l.NVML || l.Class.Xid != s.code || l.Class.MIG != s.mig || busOf(l.Class.PCI) != s.bus {
			continue
		}
		if l.Count > 1 {
			l.Count--
		} else {
			k.lines = append(k.lines[:i], k.lines[i+1:]...)
		}
		return
	}
}

// applyEvents takes in what a driver reports of its accelerators by itself.
func (n *node) applyEvents(payload []byte, classify func(string) KernelClass) error {
	m := new(facts.GPUEvents)
	if err := facts.Decode(payload, m); err != nil {
		return err
	}
	k := &n.kernel
	for _, e := range m.Events {
		if e.Sequence <= k.xids.sequence || n.inventory == nil || int(e.Gpu) >= len(n.inventory.Gpus) {
			continue
		}
		k.xids.sequence = e.Sequence
		n.xidEvents = n.xidEvents || e.What == xidEvent || e.What == listeningEvent
		if e.What == droppedEvent && k.via == "" { // else the log has them, or counts them
			k.untold += uint64(e.Code)
		}
		if e.What != xidEvent || e.Code == 0 {
			continue
		}
		pci := n.inventory.Gpus[e.Gpu].Pci
		s := xidSeen{bus: busOf(pci), code: int(e.Code), mig: int(e.Instance), first: e.MonoUs, last: e.MonoUs, n: 1}
		if !k.xids.event(s) {
			continue
		}
		l := k.line(eventText(s.bus, s.code, s.mig), "", e.MonoUs, classify, n)
		l.NVML, l.GPU, l.Level = true, int(e.Gpu), 3
		l.Text = fmt.Sprintf("Xid %d of GPU%d, told by NVML: the kernel log, as far as it was read, has no such line", s.code, e.Gpu)
		if pci == "" {
			l.Class.PCI = ""
		}
		k.add(l)
	}
	return nil
}

// eventText is an event in the words of the driver's own line, so that the same table classifies it.
func eventText(bus string, code, mig int) string {
	if bus == "" {
		bus = "0000:00:00"
	}
	if mig > 0 {
		bus += fmt.Sprintf(" GPU-I:%02d", mig-1)
	}
	return fmt.Sprintf("NVRM: Xid (PCI:%s): %d", bus, code)
}

// moment is when something happened on our clock, by the node's monotonic one.
func (n *node) moment(monoUS int64) time.Time {
	return n.boot.Add(time.Duration(max(0, min(monoUS, maxMonoUS))) * time.Microsecond)
}

// lag is how long ago a line was written, by its stamp.
func (n *node) lag(monoUS int64) time.Duration { return n.lastFrame.Sub(n.moment(monoUS)) }

// maxMonoUS is beyond the uptime of any machine.
const maxMonoUS = 1 << 52
