//go:build linux && cgo

package main

import (
	"sync/atomic"
	"time"

	"github.com/NVIDIA/go-nvml/pkg/nvml"

	"foretop/collectors/nvml/pipe"
)

const (
	eventWait   = 2 * time.Second
	eventWindow = 10 * time.Second
	eventsOfOne = 16 // of one kind, code and GPU, in a window; more are only counted
)

// eventKinds are what is wanted, and how it is called. Before Register nothing is told; what a driver does not know makes it refuse all.
var eventKinds = []struct {
	bit  uint64
	what string
}{
	{nvml.EventTypeXidCriticalError, "xid"},
	{nvml.EventTypeDoubleBitEccError, "ecc_double_bit"},
	{nvml.EventMigConfigChange, "mig_config"},
	{nvml.EventTypeSingleBitEccErrorStorm, "ecc_single_bit_storm"},
	{nvml.EventTypeDramRetirementEvent, "dram_retirement"},
	{nvml.EventTypeDramRetirementFailure, "dram_retirement_failure"},
	{nvml.EventTypeNonFatalPoisonError, "poison"},
	{nvml.EventTypeFatalPoisonError, "poison_fatal"},
	{nvml.EventTypeGpuUnavailableError, "gpu_unavailable"},
	{nvml.EventTypeGpuRecoveryAction, "recovery_action"},
}

// listener waits for events of the GPUs that were there when it began, in a goroutine, and so a thread, of its own: they must get out when another
// call does not return, and their wait must not hold up the rounds.
type listener struct {
	lib   nvml.Interface
	out   *output
	watch *watch
	set   nvml.EventSet
	devs  []nvml.Device
	gpus  []int // of devs: indices in the inventory
	fold  fold

	ending atomic.Bool
	mig    atomic.Bool // instances changed: look at once
	ended  chan struct{}
}

// listen registers for the events of all GPUs. It is nil where there are none to wait for.
func (r *reader) listen() *listener {
	for _, c := range []call{callWait, callEventTypes, callRegister, callEventFree, callEventSet} {
		if !r.there.has(c) {
			return nil
		}
	}
	defer r.watch.leave()
	r.watch.enter(callEventSet, -1)
	set, ret := r.lib.EventSetCreate()
	if ret != nvml.SUCCESS {
		return nil
	}
	l := &listener{lib: r.lib, out: r.out, watch: r.watch, set: set, ended: make(chan struct{})}
	for _, s := range r.slots {
		if s.dev == nil {
			continue
		}
		r.watch.enter(callEventTypes, s.index)
		mask, ret := s.dev.GetSupportedEventTypes()
		if ret != nvml.SUCCESS {
			continue
		}
		wanted := uint64(0)
		for _, k := range eventKinds {
			wanted |= k.bit & mask
		}
		if wanted == 0 {
			continue
		}
		r.watch.enter(callRegister, s.index)
		if s.dev.RegisterEvents(wanted, set) == nvml.SUCCESS {
			l.devs, l.gpus = append(l.devs, s.dev), append(l.gpus, s.index)
		}
	}
	if len(l.devs) == 0 {
		r.watch.enter(callEventFree, -1)
		set.Free()
		return nil
	}
	go l.run()
	return l
}

// end must come before nvmlShutdown. It is false when the wait does not return: then the library must be left as it is.
func (l *listener) end(r *reader) bool {
	if l == nil {
		return true
	}
	l.ending.Store(true)
	select {
	case <-l.ended:
	case <-time.After(eventWait + stuckAfter):
		return false
	}
	r.watch.enter(callEventFree, -1)
	l.set.Free()
	return true
}

func (l *listener) run() {
	defer close(l.ended)
	for !l.ending.Load() {
		l.watch.wait()
		e, ret := l.lib.EventSetWait(l.set, uint32(eventWait.Milliseconds()))
		l.watch.waited()
		l.fold.flush(time.Now(), l.send)
		switch ret {
		case nvml.SUCCESS:
			l.take(&e)
		case nvml.ERROR_TIMEOUT:
		case nvml.ERROR_UNINITIALIZED, nvml.ERROR_DRIVER_NOT_LOADED, nvml.ERROR_LIB_RM_VERSION_MISMATCH:
			return // the rounds find out as well
		default:
			time.Sleep(time.Second)
		}
	}
}

func (l *listener) take(e *nvml.EventData) {
	gpu := -1
	for i, dev := range l.devs {
		if dev == e.Device {
			gpu = l.gpus[i]
		}
	}
	if gpu < 0 {
		return
	}
	out := pipe.Event{GPU: gpu, Code: uint32(e.EventData), MonoUS: monotonicNS() / 1000}
	if e.GpuInstanceId != noInstance && e.EventType == nvml.EventTypeXidCriticalError {
		out.Instance = int(e.GpuInstanceId&0xffff) + 1
	}
	for _, k := range eventKinds {
		if e.EventType&k.bit != 0 {
			out.What = k.what
			break
		}
	}
	if out.What == "" {
		return
	}
	if e.EventType == nvml.EventMigConfigChange {
		l.mig.Store(true)
	}
	if l.fold.tell(out) {
		l.send(out)
	}
}

func (l *listener) send(e pipe.Event) { l.out.frame(pipe.KindEvents, e.Append(nil)) }

// fold bounds a flood: of each kind of event the first ones of a window are told, the rest is counted, and told as a count.
type fold struct {
	ends time.Time
	seen map[pipe.Event]int // key: the event without its time
}

// mostKinds bounds what is kept: codes are the driver's, and should be few.
const mostKinds = 512

func (f *fold) tell(e pipe.Event) bool {
	e.MonoUS = 0
	if f.seen == nil {
		f.seen = map[pipe.Event]int{}
	}
	n, known := f.seen[e]
	if !known && len(f.seen) == mostKinds {
		e = pipe.Event{GPU: e.GPU, What: "other"}
		n = f.seen[e]
	}
	f.seen[e] = n + 1
	return n < eventsOfOne
}

// flush begins a new window when the last one is over.
func (f *fold) flush(now time.Time, send func(pipe.Event)) {
	if now.Before(f.ends) {
		return
	}
	f.ends = now.Add(eventWindow)
	for e, n := range f.seen {
		if n > eventsOfOne {
			send(pipe.Event{GPU: e.GPU, What: "events_dropped", Code: uint32(n - eventsOfOne), MonoUS: monotonicNS() / 1000, Instance: e.Instance})
		}
	}
	clear(f.seen)
}
