//go:build linux && cgo

package main

import (
	"fmt"
	"math/rand/v2"
	"reflect"
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
)

// reader holds the driver's library and what was last read of each GPU.
type reader struct {
	lib    nvml.Interface
	out    *output
	watch  *watch
	sys    string
	onPCI  int
	fast   []call // those that this driver has
	slow   []call
	slots  []*slot
	inv    pipe.Inventory
	told   pipe.Inventory // as last sent
	gen    uint64         // of the told inventory
	state  telemetry.State
	enc    telemetry.Encoder
	buf    []byte
	sent   time.Time      // when the last sample was
	procs  pipe.Processes // as last sent
	broken nvml.Return    // the whole library answers with this: the process must start over
}

// slot is one GPU. It keeps its index for the life of the process, whatever the driver's own index becomes.
type slot struct {
	index       int
	dev         nvml.Device // nil: the driver gives no handle
	unsupported uint64      // bits of calls, fast ones from 0 and slow ones from 32, that this GPU does not have
	fastFields  []nvml.FieldValue
	slowFields  []nvml.FieldValue
	gpm         gpm
	retry       time.Time // not to be asked before
}

// run reads until the library is broken, which the returned status words.
func run(first pipe.Settings, pace <-chan pipe.Settings, out *output, w *watch) pipe.Status {
	lib, st := openLibrary(first.Sys, w)
	if st.Health != pipe.OK {
		return st
	}
	r := &reader{lib: lib, out: out, watch: w, sys: first.Sys, onPCI: pipe.PCIGPUs(first.Sys)}
	r.fast, r.slow = available(lib, fastCalls), available(lib, slowCalls)
	r.state.Resize(telemetry.ScopeGroup, int(telemetry.NumGroups))
	for i, g := range first.Known {
		if i < pipe.MaxGPUs {
			r.addSlot(g)
		}
	}
	if st := r.enumerate(); st.Health != pipe.OK {
		return st
	}
	return r.loop(first, pace)
}

func (r *reader) loop(set pipe.Settings, pace <-chan pipe.Settings) pipe.Status {
	fast, slow, procs := every(set.FastMS, time.Second), every(set.SlowMS, 30*time.Second), every(set.ProcessesMS, 5*time.Second)
	var slowAt, procsAt, tellAt time.Time
	firstReinit := every(set.ReinitMS, reinitFirst)
	reinit, reinitAt := firstReinit, time.Time{}
	tick := time.NewTicker(fast)
	defer tick.Stop()
	for n := 0; ; n++ {
		start := time.Now()
		r.fastRound(start)
		round := time.Since(start)
		if start.After(slowAt) {
			r.slowRound()
			slowAt = start.Add(slow)
		}
		r.sample()
		if start.After(procsAt) {
			r.processes(n == 0)
			procsAt = start.Add(procs)
		}
		r.tellInventory()
		r.watch.leave()
		if r.broken != nvml.SUCCESS {
			return initStatus(r.lib, r.broken, max(r.onPCI, 1))
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
			reinit = min(2*reinit, reinitMost)
			reinitAt = time.Now().Add(reinit)
		}
		if n == 0 { // nodes of one fleet do not all read at the same moment
			time.Sleep(rand.N(fast))
			tick.Reset(fast)
		}
		select {
		case <-tick.C:
		case set = <-pace:
			fast = every(set.FastMS, fast)
			tick.Reset(fast)
		}
	}
}

// ok is the status of a library that answers.
func (r *reader) ok(round time.Duration) pipe.Status {
	s := pipe.Status{Health: pipe.OK, GPU: -1, RoundUS: round.Microseconds()}
	if n := len(r.slots); r.onPCI > n {
		s.Text = fmt.Sprintf("the driver shows %d of the %d NVIDIA GPUs on the PCI bus", n, r.onPCI)
	}
	return s
}

// fastRound reads what is wanted each tick, one GPU after the other. When that takes long, what was read so far is sent in between.
func (r *reader) fastRound(now time.Time) {
	for _, s := range r.slots {
		r.read(s, r.fast, 0, now)
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

func (r *reader) slowRound() {
	now := time.Now()
	for _, s := range r.slots {
		if r.state.Get(telemetry.GPUStatus, s.index) == telemetry.GPUOK {
			r.read(s, r.slow, 32, now)
		}
	}
	r.state.Set(telemetry.ReadMS, int(telemetry.GroupGPUSlow), monotonicMS())
}

// sample sends what changed. The inventory goes first where it is not known yet, so that a sample's entities always have a meaning.
func (r *reader) sample() {
	if r.gen == 0 {
		r.tellInventory()
	}
	r.buf = r.enc.Encode(r.buf[:0], &r.state, r.gen, monotonicMS(), telemetry.Detail, false)
	r.out.frame(pipe.KindSample, r.buf)
	r.sent = time.Now()
}

// tellInventory sends the inventory when it changed.
func (r *reader) tellInventory() {
	if r.gen > 0 && reflect.DeepEqual(r.inv, r.told) {
		return
	}
	r.gen++
	r.told = r.inv
	r.told.GPUs = append([]pipe.GPU(nil), r.inv.GPUs...)
	r.out.frame(pipe.KindInventory, r.inv.Append(nil))
}

// anyLost says whether the driver gives no handle of some GPU.
func (r *reader) anyLost() bool {
	for _, s := range r.slots {
		if s.dev == nil {
			return true
		}
	}
	return false
}

// reinit lets go of the library and takes it again: the only way to see a GPU that came back from a reset.
func (r *reader) reinit() pipe.Status {
	for _, s := range r.slots {
		s.gpm.free()
		s.dev = nil
	}
	r.watch.enter("nvmlShutdown", -1)
	r.lib.Shutdown()
	r.watch.enter("nvmlInit", -1)
	ret := r.lib.Init()
	r.watch.leave()
	if st := initStatus(r.lib, ret, r.onPCI); st.Health != pipe.OK {
		return st
	}
	return r.enumerate()
}

// monotonicMS is the clock of all samples of a node: CLOCK_MONOTONIC.
func monotonicMS() int64 {
	var t unix.Timespec
	if unix.ClockGettime(unix.CLOCK_MONOTONIC, &t) != nil {
		return 0
	}
	return t.Nano() / 1e6
}
