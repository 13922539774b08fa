package accelerators

import (
	"bytes"
	"errors"
	"io/fs"
	"strings"

	"foretop/collectors/kernfs"
	"foretop/telemetry"
)

const (
	walkEachMS  = 10_000 // between the beginnings of two walks
	walkYoung   = 6      // walks for which a process is looked at each time; later, as long as it has nothing open, once in as many
	walkLinks   = 2_000  // links of /proc/PID/fd looked at in one step
	walkClients = 4_096
	maxPIDs     = 1 << 16
)

// fdWalk finds the processes that have one of some device files open, and reads what the driver tells of such an open file. It goes through /proc in steps, so
// that none takes long, and begins anew every 10 s.
type fdWalk struct {
	sys     sysfs
	nodes   map[string]string // device file → PCI address; nil: nothing to look for
	pids    []int32           // of the walk that goes on
	first   map[int32]uint64  // the walk that first met a process
	walks   uint64
	at      int
	beganMS int64
	whole   bool // a walk has ended
	denied  bool // some processes may not be looked at
	going   []openClient
	found   []openClient // by the last whole walk
	partial bool         // and whether some were denied to it
}

// openClient is an open device file: a client of the driver. Copies of its descriptor, in children too, are one client.
type openClient struct {
	pid     int32
	address string
	client  uint64
	memory  int64 // bytes in the card's own memory
}

// due says whether a walk goes on or is to begin.
func (w *fdWalk) due(now int64) bool {
	return w.at < len(w.pids) || w.beganMS == 0 || now-w.beganMS >= walkEachMS
}

// step goes on with the walk that is due. It says whether it ended just now.
func (w *fdWalk) step(now int64) bool {
	if w.at >= len(w.pids) {
		w.begin(now)
	}
	for links := 0; w.at < len(w.pids); w.at++ {
		if links >= walkLinks {
			return false
		}
		links += w.look(w.pids[w.at])
	}
	w.found, w.going, w.partial, w.whole = w.going, w.found[:0], w.denied, true
	return true
}

func (w *fdWalk) begin(now int64) {
	w.beganMS, w.at, w.pids, w.denied, w.going = now, 0, w.pids[:0], false, w.going[:0]
	w.walks++
	holds := make(map[int32]bool, len(w.found))
	for _, o := range w.found {
		holds[o.pid] = true
	}
	first := make(map[int32]uint64, len(w.first))
	names, _ := w.sys.root.Names("proc")
	for _, n := range names {
		v, ok := kernfs.ParseUint([]byte(n))
		if !ok || v == 0 || v >= 1<<31 || len(first) >= maxPIDs {
			continue
		}
		pid := int32(v)
		met, known := w.first[pid]
		if !known {
			met = w.walks
		}
		first[pid] = met
		if w.walks-met < walkYoung || (w.walks+v)%walkYoung == 0 || holds[pid] {
			w.pids = append(w.pids, pid)
		}
	}
	w.first = first
}

// look takes one process; it gives how many links it looked at.
func (w *fdWalk) look(pid int32) int {
	dir := procName(pid, "fd")
	names, err := w.sys.root.Names(dir)
	if err != nil {
		w.denied = w.denied || errors.Is(err, fs.ErrPermission)
		return 1
	}
	for _, n := range names {
		if _, ours := w.nodes[readLink(w.sys, dir+"/"+n)]; !ours {
			continue
		}
		b, err := w.sys.read(procName(pid, "fdinfo/"+n))
		if err != nil {
			continue
		}
		if c, ok := parseFDInfo(b); ok {
			c.pid = pid
			w.add(c)
		}
	}
	return 1 + len(names)
}

func (w *fdWalk) add(c openClient) {
	for _, o := range w.going {
		if o.address == c.address && o.client == c.client {
			return
		}
	}
	if len(w.going) < walkClients {
		w.going = append(w.going, c)
	}
}

// heldOf are the processes that have the card open, as the last walk found them.
func (w *fdWalk) heldOf(c *intelCard, gpu uint32, list []Holder) []Holder {
	for _, o := range w.found {
		if o.address != c.address {
			continue
		}
		h := Holder{PID: o.pid, GPU: gpu}
		if o.memory >= 0 {
			h.Memory, h.Known = uint64(o.memory), true
		}
		list = mergeHolder(list, h)
	}
	return list
}

// usedOf is how much of the card's memory its clients have, absent where some could not be seen.
func (w *fdWalk) usedOf(c *intelCard) int64 {
	if w.partial || c.clients != nil {
		return telemetry.Absent
	}
	sum := int64(0)
	for _, o := range w.found {
		if o.address == c.address && o.memory > 0 {
			sum = plusBytes(sum, o.memory)
		}
	}
	return sum
}

// parseFDInfo reads what a driver tells of an open file (Documentation/gpu/drm-usage-stats.rst): lines "KEY: VALUE [UNIT]". Memory is what is resident in the
// card's own regions (vram0 of xe, local0 of i915), else what was allocated there.
func parseFDInfo(b []byte) (c openClient, ok bool) {
	resident, total, memory := telemetry.Absent, telemetry.Absent, telemetry.Absent
	for len(b) > 0 {
		var l []byte
		l, b = kernfs.Line(b)
		key, rest, _ := bytes.Cut(l, []byte{':'})
		switch name := string(key); {
		case name == "drm-pdev":
			if w, _ := kernfs.Field(rest); isPCIAddress(string(w)) {
				c.address = string(w)
			}
		case name == "drm-client-id":
			c.client, _, ok = kernfs.Leading(rest)
		case ownMemory(name, "drm-resident-"):
			resident = plusBytes(resident, parseSize(rest))
		case ownMemory(name, "drm-total-"):
			total = plusBytes(total, parseSize(rest))
		case ownMemory(name, "drm-memory-"): // what older drivers call total
			memory = plusBytes(memory, parseSize(rest))
		}
	}
	c.memory = resident
	for _, v := range [...]int64{total, memory} {
		if c.memory == telemetry.Absent {
			c.memory = v
		}
	}
	return c, ok && c.address != ""
}

func ownMemory(key, prefix string) bool {
	region, ok := strings.CutPrefix(key, prefix)
	return ok && (strings.HasPrefix(region, "vram") || strings.HasPrefix(region, "local"))
}

// parseSize reads "NUMBER [KiB|MiB]" as bytes.
func parseSize(b []byte) int64 {
	v, rest, ok := kernfs.Leading(b)
	unit, _ := kernfs.Field(rest)
	shift := 0
	switch string(unit) {
	case "":
	case "KiB":
		shift = 10
	case "MiB":
		shift = 20
	case "GiB":
		shift = 30
	default:
		return telemetry.Absent
	}
	if !ok || v > 1<<62>>shift {
		return telemetry.Absent
	}
	return int64(v << shift)
}
