//go:build linux && cgo

package main

import (
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/NVIDIA/go-nvml/pkg/nvml"
	"golang.org/x/sys/unix"

	"foretop/collectors/nvml/pipe"
	"foretop/telemetry"
)

const (
	reinitFirst = time.Minute // after a GPU was lost; doubled each time up to reinitMost
	reinitMost  = 30 * time.Minute
	retryFailed = 10 * time.Second // a GPU whose calls all fail is asked again that seldom
	flushAfter  = 900 * time.Millisecond
	tellRound   = 10 * time.Second // the round's cost
	linkTurn    = 2                // rounds between two looks at the traffic of links
	detailTurn  = 5                // and at what else only a viewer wants
)

// reader holds the driver's library and what was last read of each GPU.
type reader struct {
	lib        nvml.Interface
	there      callSet // functions that this driver has
	out        *output
	watch      *watch
	root       string
	onPCI      []string          // addresses of all NVIDIA GPUs
	bound      []string          // of those that the kernel's driver has
	unseen     map[string]string // why some are not shown
	refused    int               // how many the driver counts and refuses to this user
	detail     bool
	looked     int // the round in which detail began
	round      int
	slots      []*slot
	relist     bool // the lists of parts and links are out of date
	relook     bool // so is what the driver shows
	turn       int  // the part that is read next, where there are many
	events     *listener
	inv        pipe.Inventory
	told       pipe.Inventory // as last sent
	gen        uint64         // of the told inventory
	state      telemetry.State
	enc        telemetry.Encoder
	buf        []byte
	sent       time.Time      // when the last sample was
	procs      pipe.Processes // as last sent
	broken     nvml.Return    // the whole library answers with this: the process must start over
	fields     []nvml.FieldValue
	which      []int
	activities nvml.GpmMetricsGetType
}

// slot is one GPU. It keeps its index for the life of the process, whatever the driver's own index becomes.
type slot struct {
	index          int
	dev            nvml.Device // nil: the driver gives no handle
	hidden         bool        // this user may not see it any more
	refused        callSet     // questions that this GPU or its driver does not know
	noFast, noSlow uint64      // bits of fastFields and slowFields as well
	noEnergy       uint64      // and of energyFields
	fabricVersion  int         // 2: the newest that the driver knows
	hasGPM         bool
	gpm            gpm
	links          links
	mig            bool
	parts          []part
	firstPart      int       // entity of parts[0]
	limited        bool      // limits were asked for
	slowDue        bool      // slow readings are to be taken before their time
	retry          time.Time // not to be asked before
	answers        int       // of the present list of readings
	wrong          nvml.Return
}

// run reads until the library is broken, which the returned status words.
func run(first pipe.Settings, settings <-chan pipe.Settings, out *output, w *watch) pipe.Status {
	lib, st := openLibrary(first.Root, w)
	if st.Health != pipe.OK {
		return st
	}
	r := &reader{lib: lib, out: out, watch: w, root: first.Root, detail: first.Detail}
	r.there = lookUp(lib)
	r.state.Resize(telemetry.ScopeGroup, int(telemetry.NumGroups))
	r.state.Resize(telemetry.ScopeCall, int(callWait))
	for c := range callWait {
		r.inv.Calls = append(r.inv.Calls, c.String())
	}
	for i, g := range first.Known {
		if i < pipe.MaxGPUs {
			r.addSlot(g)
		}
	}
	if st := r.enumerate(); st.Health != pipe.OK {
		r.tellInventory()
		return st
	}
	r.events = r.listen()
	return r.loop(first, settings)
}

func (r *reader) loop(set pipe.Settings, settings <-chan pipe.Settings) pipe.Status {
	fast, slow, procs := every(set.FastMS, time.Second), every(set.SlowMS, 30*time.Second), every(set.ProcessesMS, 5*time.Second)
	var slowAt, procsAt, tellAt time.Time
	firstReinit := every(set.ReinitMS, reinitFirst)
	reinit, reinitAt := firstReinit, time.Time{}
	tick := time.NewTicker(fast)
	defer tick.Stop()
	r.watch.beat.Store(int64(pipe.Beat(fast)))
	for ; ; r.round++ {
		start := time.Now()
		r.fastRound(start)
		round := time.Since(start)
		if isSlow := start.After(slowAt); isSlow || r.slowIsDue() {
			r.sample() // a slow driver makes a slow round long
			r.slowRound(isSlow)
			if isSlow {
				slowAt = start.Add(slow)
			}
		}
		r.sample()
		if start.After(procsAt) {
			r.processes(r.round == 0)
			procsAt = start.Add(procs)
		}
		r.askRemotes()
		r.tellInventory()
		r.watch.leave()
		if r.broken != nvml.SUCCESS {
			return initStatus(r.lib, r.broken, max(len(r.onPCI), 1))
		}
		if start.After(tellAt) {
			r.out.status(r.ok(round))
			tellAt = start.Add(tellRound)
		}
		switch lost := r.anyLost(); {
		case !lost:
			reinit, reinitAt = firstReinit, time.Time{}
		case reinitAt.IsZero():
			reinitAt = start.Add(reinit)
		case start.After(reinitAt):
			if st := r.reinit(); st.Health != pipe.OK {
				return st
			}
			tellAt = time.Time{}
			reinit = min(2*reinit, reinitMost)
			reinitAt = time.Now().Add(reinit)
		}
		if r.relook {
			r.relook = false
			if st := r.reinit(); st.Health != pipe.OK {
				return st
			}
			tellAt = time.Time{}
		}
		if r.round == 0 { // nodes of one fleet do not all read at the same moment
			time.Sleep(rand.N(fast))
			tick.Reset(fast)
		}
		select {
		case <-tick.C:
		case set = <-settings:
			fast = every(set.FastMS, fast)
			tick.Reset(fast)
			r.watch.beat.Store(int64(pipe.Beat(fast)))
			r.setDetail(set.Detail)
		}
	}
}

// setDetail begins or ends the readings that are only for somebody who looks. Those that are not taken any more become absent: they would be told
// again, out of date, when the next one looks.
func (r *reader) setDetail(on bool) {
	if on == r.detail {
		return
	}
	r.detail, r.looked = on, r.round+1
	for _, s := range r.slots {
		s.slowDue, s.limited = on, s.limited && !on
	}
	if on {
		return
	}
	for _, d := range telemetry.Defs() {
		sc := d.ID.Scope()
		if d.Level != telemetry.Detail || sc != telemetry.ScopeGPU && sc != telemetry.ScopeGPULink && sc != telemetry.ScopeCall {
			continue
		}
		for i := range r.state.Count(sc) {
			r.state.Clear(d.ID, i)
		}
	}
}

// ok is the status of a library that answers.
func (r *reader) ok(round time.Duration) pipe.Status {
	s := pipe.Status{Health: pipe.OK, GPU: -1, RoundUS: round.Microseconds()}
	if why := r.hidden(); why != "" {
		s.Text = "the driver shows " + strconv.Itoa(r.total()-len(r.inv.Unseen)) + " of the " + strconv.Itoa(r.total()) + " NVIDIA GPUs: " + why
	}
	if r.watch.waitIsLate() {
		if s.Text != "" {
			s.Text += "; "
		}
		s.Text += "events (Xid) are not heard: " + callWait.String() + " does not return"
	}
	return s
}

// fastRound reads what is wanted each tick, one GPU after the other. When that takes long, what was read so far is sent in between.
func (r *reader) fastRound(now time.Time) {
	left := mostParts
	for _, s := range r.slots {
		r.read(s, fastReadings, now, true)
		if r.turnOf(linkTurn) && r.broken == nvml.SUCCESS {
			r.read(s, linkReadings, now, false)
		}
		if r.turnOf(detailTurn) && r.broken == nvml.SUCCESS {
			r.read(s, detailReadings, now, false)
		}
		if r.broken == nvml.SUCCESS && r.isWell(s) {
			r.readParts(s, &left)
		}
		if r.broken != nvml.SUCCESS {
			return
		}
		r.state.Set(telemetry.ReadMS, int(telemetry.GroupGPU), monotonicMS())
		if time.Since(r.sent) > flushAfter && s.index < len(r.slots)-1 && r.gen > 0 && time.Since(now) > flushAfter {
			r.tellInventory()
			r.sample()
		}
	}
}

// turnOf says whether, while somebody looks, it is the turn of what is read every so many rounds: at once at first.
func (r *reader) turnOf(rounds int) bool { return r.detail && (r.round-r.looked)%rounds == 0 }

// slowIsDue says whether some GPU's slow readings are wanted before their time.
func (r *reader) slowIsDue() bool {
	if r.events != nil && r.events.mig.Swap(false) {
		for _, s := range r.slots {
			s.slowDue = true
		}
	}
	return slices.ContainsFunc(r.slots, func(s *slot) bool { return s.slowDue && r.isWell(s) })
}

// slowRound reads of all GPUs, or of those only of which it is due.
func (r *reader) slowRound(all bool) {
	now := time.Now()
	if all {
		r.relook = r.changedOnPCI()
	}
	due := func(s *slot) bool { return r.isWell(s) && (all || s.slowDue) }
	for _, s := range r.slots {
		if due(s) {
			r.checkMIG(s)
		}
	}
	r.list() // before anything is read of what it lists
	for _, s := range r.slots {
		if !due(s) {
			continue
		}
		s.slowDue = false
		r.read(s, slowReadings, now, false)
		if r.detail && r.broken == nvml.SUCCESS {
			r.read(s, slowDetailReadings, now, false)
		}
		if r.broken != nvml.SUCCESS {
			return
		}
	}
	r.state.Set(telemetry.ReadMS, int(telemetry.GroupGPUSlow), monotonicMS())
}

// changedOnPCI says whether the kernel's driver has other GPUs than it had, or one that was not shown has another reason for it now.
func (r *reader) changedOnPCI() bool {
	if !slices.Equal(pipe.BoundGPUs(r.root), r.bound) {
		return true
	}
	for pci, why := range r.unseen {
		if now := pipe.WhyUnseen(r.root, pci); now != why && !(r.refused > 0 && strings.HasPrefix(now, pipe.NotStarted)) {
			return true
		}
	}
	return false
}

// isWell says whether a GPU is there and answers.
func (r *reader) isWell(s *slot) bool {
	return s.dev != nil && r.state.Get(telemetry.GPUStatus, s.index) == telemetry.GPUOK
}

// sample sends what changed. The inventory goes first where it is not known yet, so that a sample's entities always have a meaning.
func (r *reader) sample() {
	r.tellInventory()
	if r.detail {
		r.watch.put(&r.state)
		r.state.Set(telemetry.ReadMS, int(telemetry.GroupCalls), monotonicMS())
	}
	r.buf = r.enc.Encode(r.buf[:0], &r.state, r.gen, monotonicMS(), telemetry.Detail, false)
	r.out.frame(pipe.KindSample, r.buf)
	r.sent = time.Now()
}

// tellInventory sends the inventory when it changed.
func (r *reader) tellInventory() {
	a, b := &r.inv, &r.told
	if r.gen > 0 && a.Driver == b.Driver && a.CUDA == b.CUDA && a.NVML == b.NVML && slices.Equal(a.GPUs, b.GPUs) && slices.Equal(a.Parts, b.Parts) &&
		slices.Equal(a.Links, b.Links) && slices.Equal(a.Unseen, b.Unseen) {
		return
	}
	r.gen++
	r.told = r.inv
	r.told.GPUs, r.told.Links = slices.Clone(r.inv.GPUs), slices.Clone(r.inv.Links) // the others are not changed in place
	r.out.frame(pipe.KindInventory, r.inv.Append(nil))
}

// anyLost says whether the driver gives no handle of some GPU that this user may see.
func (r *reader) anyLost() bool {
	return slices.ContainsFunc(r.slots, func(s *slot) bool { return s.dev == nil && !s.hidden })
}

// reinit lets go of the library and takes it again: the only way to see a GPU that came back from a reset, or a new one.
func (r *reader) reinit() pipe.Status {
	if !r.events.end(r) {
		return pipe.Status{Health: pipe.OK} // the library cannot be let go of: another time, perhaps
	}
	r.events = nil
	for _, s := range r.slots {
		r.free(&s.gpm)
		for i := range s.parts {
			r.free(&s.parts[i].gpm)
		}
		s.dev, s.parts = nil, nil
	}
	r.watch.enter(callShutdown, -1)
	r.lib.Shutdown()
	r.watch.enter(callInit, -1)
	ret := r.lib.Init()
	r.watch.leave()
	if st := initStatus(r.lib, ret, len(r.onPCI)); st.Health != pipe.OK {
		return st
	}
	st := r.enumerate()
	if st.Health == pipe.OK {
		r.events = r.listen()
	} else {
		r.tellInventory()
	}
	return st
}

func monotonicNS() int64 {
	var t unix.Timespec
	if unix.ClockGettime(unix.CLOCK_MONOTONIC, &t) != nil {
		return 0
	}
	return t.Nano()
}

// monotonicMS is the clock of all samples of a node: CLOCK_MONOTONIC.
func monotonicMS() int64 { return monotonicNS() / 1e6 }
