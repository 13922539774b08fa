package collectors

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"

	"foretop/collectors/kernfs"
	"foretop/telemetry"
)

// tickMS is the length of a tick in /proc/stat (USER_HZ is 100 on every architecture that Go knows).
const tickMS = 10

// cpuTimes is one line of /proc/stat, in ticks. user and nice hold guest time already.
type cpuTimes struct{ user, nice, system, idle, iowait, irq, softirq, steal uint64 }

func (t *cpuTimes) total() uint64 {
	return t.user + t.nice + t.system + t.idle + t.iowait + t.irq + t.softirq + t.steal
}

// cpuStat is /proc/stat as far as it is told.
type cpuStat struct {
	all                             cpuTimes
	cores                           []cpuTimes // by number; a CPU that is offline is all zero
	switches, forks                 uint64
	running, blocked                uint64
	hasSwitches, hasForks, hasQueue bool
}

// cpuReader reads /proc/stat, /proc/loadavg, /proc/pressure/* and /proc/uptime.
type cpuReader struct {
	m                  *machine
	stat, load, uptime *kernfs.File
	pressure           [3]*kernfs.File // cpu, memory, io
	now, before        cpuStat
	beforeSet          bool
	sized              bool // the number of cores is told
	wallOffset         int64
}

func newCPU(m *machine) reader {
	c := &cpuReader{m: m, stat: m.root.Hold("proc/stat"), load: m.root.Hold("proc/loadavg"), uptime: m.root.Hold("proc/uptime")}
	for i, name := range []string{"cpu", "memory", "io"} {
		c.pressure[i] = m.root.Hold("proc/pressure/" + name)
	}
	return c
}

func (c *cpuReader) close() {
	for _, h := range append([]*kernfs.File{c.stat, c.load, c.uptime}, c.pressure[:]...) {
		h.Close()
	}
}

func (c *cpuReader) read(context.Context) error {
	b, err := c.stat.Read()
	if err != nil {
		return err
	}
	detail := c.m.board.detail.Load()
	if err := parseStat(b, &c.now, detail || !c.sized); err != nil {
		return fmt.Errorf("parse %s: %w", c.stat.Name, err)
	}
	at := c.m.clock.MonoMS()
	c.wallOffset = steady(c.wallOffset, c.m.clock.Now().UnixMilli()-at)
	load, loadOK := c.readLoad()
	var up uint64
	upOK := false
	if b, err := c.uptime.Read(); err == nil {
		w, _ := kernfs.Field(b)
		up, upOK = kernfs.ParseMilli(w)
	}
	pressure, pressureErr := c.readPressure()

	c.m.board.mu.Lock()
	defer c.m.board.mu.Unlock()
	s := &c.m.board.state
	c.m.board.read(telemetry.GroupHost, at)
	s.Set(telemetry.WallOffsetMS, 0, c.wallOffset)
	setTimes(s, &c.now.all)
	setIf(s, telemetry.ContextSwitches, c.now.switches, c.now.hasSwitches)
	setIf(s, telemetry.Forks, c.now.forks, c.now.hasForks)
	setIf(s, telemetry.ProcsRunning, c.now.running, c.now.hasQueue)
	setIf(s, telemetry.ProcsBlocked, c.now.blocked, c.now.hasQueue)
	for i, m := range []telemetry.Metric{telemetry.Load1Milli, telemetry.Load5Milli, telemetry.Load15Milli} {
		setIf(s, m, load[i], loadOK)
	}
	setIf(s, telemetry.UptimeMS, up, upOK)
	pressure.set(s)
	c.setCores(s, detail)
	return pressureErr
}

// steadyMS is by how much the wall clock's distance from the monotonic one must change to be told anew: the two are not read at one moment, and a disciplined
// clock moves slowly.
const steadyMS = 20

func steady(was, is int64) int64 {
	if d := is - was; d > -steadyMS && d < steadyMS {
		return was
	}
	return is
}

func setIf(s *telemetry.State, m telemetry.Metric, v uint64, ok bool) {
	if !ok {
		s.Clear(m, 0)
		return
	}
	s.SetUint(m, 0, v)
}

func setTimes(s *telemetry.State, t *cpuTimes) {
	s.SetUint(telemetry.CPUUserMS, 0, (t.user+t.nice)*tickMS)
	s.SetUint(telemetry.CPUSystemMS, 0, (t.system+t.irq+t.softirq)*tickMS)
	s.SetUint(telemetry.CPUIdleMS, 0, t.idle*tickMS)
	s.SetUint(telemetry.CPUIowaitMS, 0, t.iowait*tickMS)
	s.SetUint(telemetry.CPUStealMS, 0, t.steal*tickMS)
	s.SetUint(telemetry.CPUNiceMS, 0, t.nice*tickMS)
	s.SetUint(telemetry.CPUIRQMS, 0, t.irq*tickMS)
	s.SetUint(telemetry.CPUSoftIRQMS, 0, t.softirq*tickMS)
}

// setCores tells each core's shares since the reading before, at detail level only: at base level the core lines are not even parsed.
func (c *cpuReader) setCores(s *telemetry.State, detail bool) {
	had := c.beforeSet
	c.now.cores, c.before.cores = c.before.cores, c.now.cores // now in before
	c.beforeSet = detail
	now, was := c.before.cores, c.now.cores
	if (detail || !c.sized) && s.Count(telemetry.ScopeCore) != len(now) {
		c.m.board.resize(telemetry.ScopeCore, len(now))
	}
	c.sized = true
	if !detail {
		return
	}
	if !had || len(was) != len(now) {
		return
	}
	for i := range now {
		total := now[i].total() - was[i].total()
		if now[i].total() <= was[i].total() { // offline, or counters went backwards
			s.ClearEntity(telemetry.ScopeCore, i)
			continue
		}
		idle := grown(now[i].idle, was[i].idle) + grown(now[i].iowait, was[i].iowait)
		system := grown(now[i].system, was[i].system) + grown(now[i].irq, was[i].irq) + grown(now[i].softirq, was[i].softirq)
		s.Set(telemetry.CoreBusyPct, i, percent(total-min(idle, total), total))
		s.Set(telemetry.CoreSystemPct, i, percent(system, total))
		s.Set(telemetry.CoreIowaitPct, i, percent(grown(now[i].iowait, was[i].iowait), total))
	}
}

// grown is how much a counter grew; one that went back (idle and iowait do, by a tick) did not grow.
func grown(now, was uint64) uint64 { return now - min(was, now) }

func percent(part, total uint64) int64 { return int64(min(100, (part*100+total/2)/total)) }

var errNoCPU = errors.New("no cpu line")

// parseStat parses /proc/stat. Core lines are parsed only when asked for.
func parseStat(b []byte, s *cpuStat, cores bool) error {
	buf := s.cores[:0]
	*s = cpuStat{}
	found := false
	for len(b) > 0 {
		var l []byte
		l, b = kernfs.Line(b)
		key, rest := kernfs.Field(l)
		switch {
		case len(key) == 3 && string(key) == "cpu":
			found = parseTimes(rest, &s.all)
		case len(key) > 3 && string(key[:3]) == "cpu":
			if n, ok := kernfs.ParseUint(key[3:]); cores && ok && n < uint64(telemetry.MaxEntities(telemetry.ScopeCore)) {
				for uint64(len(buf)) <= n {
					buf = append(buf, cpuTimes{})
				}
				if !parseTimes(rest, &buf[n]) {
					buf[n] = cpuTimes{}
				}
			}
		case string(key) == "ctxt":
			s.switches, _, s.hasSwitches = kernfs.Leading(rest)
		case string(key) == "processes":
			s.forks, _, s.hasForks = kernfs.Leading(rest)
		case string(key) == "procs_running":
			s.running, _, s.hasQueue = kernfs.Leading(rest)
		case string(key) == "procs_blocked":
			s.blocked, _, s.hasQueue = kernfs.Leading(rest)
		}
	}
	s.cores = buf
	if !found {
		return errNoCPU
	}
	return nil
}

// parseTimes reads the numbers of a cpu line. The first four are there in every kernel; what an old one leaves out is zero.
func parseTimes(b []byte, t *cpuTimes) bool {
	for i, p := range [...]*uint64{&t.user, &t.nice, &t.system, &t.idle, &t.iowait, &t.irq, &t.softirq, &t.steal} {
		v, rest, ok := kernfs.Leading(b)
		if !ok {
			return i >= 4 && len(kernfs.Trim(b)) == 0
		}
		if v > 1<<53 { // 285,000 years: damaged, and it would overflow below
			return false
		}
		*p, b = v, rest
	}
	return true
}

func (c *cpuReader) readLoad() (load [3]uint64, ok bool) {
	b, err := c.load.Read()
	if err != nil {
		return load, false
	}
	return parseLoad(b)
}

// parseLoad parses /proc/loadavg to thousandths.
func parseLoad(b []byte) (load [3]uint64, ok bool) {
	for i := range load {
		var w []byte
		w, b = kernfs.Field(b)
		if load[i], ok = kernfs.ParseMilli(w); !ok {
			return load, false
		}
	}
	return load, true
}

// pressure is the stall time of the kernel's pressure files (PSI, Documentation/accounting/psi.rst), in µs.
type pressure struct {
	some, full       [3]uint64 // cpu, memory, io
	hasSome, hasFull [3]bool
}

func (p *pressure) set(s *telemetry.State) {
	setIf(s, telemetry.PSICPUSomeUS, p.some[0], p.hasSome[0])
	setIf(s, telemetry.PSIMemorySomeUS, p.some[1], p.hasSome[1])
	setIf(s, telemetry.PSIMemoryFullUS, p.full[1], p.hasFull[1])
	setIf(s, telemetry.PSIIOSomeUS, p.some[2], p.hasSome[2])
	setIf(s, telemetry.PSIIOFullUS, p.full[2], p.hasFull[2])
}

// readPressure reads what there is. A kernel without PSI, or with it off at boot (the files are there and a read says EOPNOTSUPP), is no fault.
func (c *cpuReader) readPressure() (p pressure, err error) {
	missing := 0
	for i, h := range c.pressure {
		b, err := h.Read()
		switch {
		case errors.Is(err, fs.ErrNotExist), errors.Is(err, errors.ErrUnsupported):
			missing++
			continue
		case err != nil:
			return p, err
		}
		p.some[i], p.full[i], p.hasSome[i], p.hasFull[i] = parsePressure(b)
	}
	if missing == len(c.pressure) {
		return p, remark("this kernel has no pressure stall information")
	}
	return p, nil
}

// parsePressure reads "some avg10=0.00 avg60=0.00 avg300=0.00 total=123" and the same with full.
func parsePressure(b []byte) (some, full uint64, hasSome, hasFull bool) {
	for len(b) > 0 {
		var l []byte
		l, b = kernfs.Line(b)
		_, total, ok := bytes.Cut(l, []byte("total="))
		if !ok {
			continue
		}
		word, _ := kernfs.Field(l)
		v, ok := kernfs.ParseUint(kernfs.Trim(total))
		switch string(word) {
		case "some":
			some, hasSome = v, ok
		case "full":
			full, hasFull = v, ok
		}
	}
	return some, full, hasSome, hasFull
}
