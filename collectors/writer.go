package collectors

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"sync/atomic"
	"time"

	"foretop/telemetry"
	"foretop/telemetry/facts"
)

const (
	flushBytes       = 32 << 10
	framesBytes      = telemetry.MaxFrameBytes - 1<<10 // of one frame's payload, with room for its head
	maxPerFrame      = 1000                            // kernel records or usages in one frame
	processesInFrame = 100                             // the other end bounds fields, and a process has up to 150
	kernelFrames     = 3                               // in one go: the sample of the next second must not wait behind a long log
)

// writer encodes and writes in its own goroutine. What it sends is what the board holds at that moment: while a write blocks, nothing is encoded and nothing queues up.
type writer struct {
	out    io.Writer
	clock  Clock
	board  *board
	kernel *kernelQueue
	sent   *atomic.Uint64
	wake   chan struct{}
	failed chan error
	done   chan struct{} // closed when the goroutine ended

	since       atomic.Int64 // when the present write began, monotonic ms; 0 = none
	sample      atomic.Bool  // a sample is due
	whole       atomic.Bool  // everything is to be told again
	kernelReady atomic.Bool
	last        atomic.Pointer[facts.Bye]
	ras         atomic.Pointer[facts.RAS] // not yet told

	// of the writer's goroutine only
	buffered   *bufio.Writer
	frames     *telemetry.FrameWriter
	encoder    telemetry.Encoder
	state      telemetry.State
	payload    []byte
	generation uint64
	notes      uint64
	told       uint64
	processes  map[processKey]*facts.Process
	usage      *facts.Usage
	wholeMS    int64
	ended      bool
}

// processKey is a process.
type processKey struct {
	pid   int32
	start uint64
}

// nudge wakes the writer, for a sample or only for what else there is. It never blocks.
func (w *writer) nudge(sample bool) {
	if sample {
		w.sample.Store(true)
	}
	select {
	case w.wake <- struct{}{}:
	default:
	}
}

// counted counts the bytes written and marks the time for which a write blocks. It writes pieces, and leaves sshd the time to take each: sshd sends what it finds in the pipe as one
// packet, and the other end keeps room for the largest packet that ever came for as long as the connection lasts; of thousands of nodes that is much, and only a stream's start is long.
type counted struct{ *writer }

const pieceApart = time.Millisecond

func (c counted) Write(p []byte) (sent int, err error) {
	c.since.Store(max(c.clock.MonoMS(), 1))
	defer c.since.Store(0)
	for err == nil && sent < len(p) {
		if sent > 0 {
			time.Sleep(pieceApart)
		}
		n := 0
		n, err = c.out.Write(p[sent:min(len(p), sent+telemetry.PieceBytes)])
		sent += n
		c.writer.sent.Add(uint64(n))
	}
	return sent, err
}

func (w *writer) run(nonce string, h *facts.Hello) {
	defer close(w.done)
	w.open()
	if err := w.begin(nonce, h); err != nil {
		w.failed <- err
		return
	}
	w.sample.Store(true)
	for {
		if err := w.flush(); err != nil {
			w.failed <- err
			return
		}
		if w.ended {
			return
		}
		<-w.wake // bye wakes it for the last time
	}
}

func (w *writer) open() {
	w.buffered = bufio.NewWriterSize(counted{w}, flushBytes)
	w.frames = telemetry.NewFrameWriter(w.buffered, telemetry.MaxFrameBytes)
}

func (w *writer) begin(nonce string, h *facts.Hello) error {
	if _, err := w.buffered.WriteString(telemetry.StreamLine(nonce)); err != nil {
		return fmt.Errorf("write stream: %w", err)
	}
	return w.message(telemetry.KindHello, h)
}

// bye ends the writer. A front end that is still there is told why, if the output takes it in time.
func (w *writer) bye(reason error) {
	b := &facts.Bye{}
	if reason != nil {
		b.Reason = reason.Error()
	}
	w.last.Store(b)
	w.nudge(false)
	if reason == nil {
		return
	}
	select {
	case <-w.done:
	case <-time.After(farewell):
	}
}

func (w *writer) message(k telemetry.Kind, m facts.Message) error {
	b, err := facts.Encode(m)
	if err != nil {
		return fmt.Errorf("encode frame of kind %d: %w", k, err)
	}
	if _, err := w.frames.Write(k, b); err != nil {
		return fmt.Errorf("write stream: %w", err)
	}
	return nil
}

// flush writes all that is new.
func (w *writer) flush() error {
	if b := w.last.Load(); b != nil {
		w.ended = true
		return errors.Join(w.message(telemetry.KindBye, b), w.buffered.Flush())
	}
	if w.whole.Swap(false) {
		w.generation, w.notes, w.told, w.processes, w.wholeMS = 0, 0, 0, nil, 0
	}
	if w.sample.Swap(false) || w.generation == 0 {
		if err := w.writeSample(); err != nil {
			return err
		}
	}
	if w.kernelReady.Load() {
		for range kernelFrames {
			log := w.kernel.take()
			if log == nil {
				break
			}
			if err := w.message(telemetry.KindKernelLog, log); err != nil {
				return err
			}
		}
	}
	if a := w.ras.Swap(nil); a != nil {
		if err := w.message(telemetry.KindRAS, a); err != nil {
			return err
		}
	}
	if err := w.buffered.Flush(); err != nil {
		return fmt.Errorf("write stream: %w", err)
	}
	return nil
}

// tellRAS has an answer written, without what a frame has no room for.
func (w *writer) tellRAS(a *facts.RAS) {
	if facts.Size(a) > framesBytes {
		a.Hosts = nil
	}
	if facts.Size(a) > framesBytes {
		a.Comms = nil
	}
	w.ras.Store(a)
	w.nudge(false)
}

// writeSample writes the sample, and before it the inventory where it changed; then what changed in words.
func (w *writer) writeSample() error {
	b := w.board
	b.mu.Lock()
	w.state.CopyFrom(&b.state)
	var inventory *facts.Inventory
	if w.generation != b.generation {
		inventory = b.snapshot()
		w.generation = b.generation
	}
	var notes *facts.SourceNotes
	if w.notes != b.notesSeen {
		notes = b.sourceNotes()
		w.notes = b.notesSeen
	}
	processes, told, usage := b.processes, b.told, b.usage
	events := b.events
	b.events = nil
	b.mu.Unlock()

	now := w.clock.MonoMS()
	level := telemetry.Base
	if b.detail.Load() {
		level = telemetry.Detail
	}
	whole := inventory != nil || w.wholeMS == 0 || now-w.wholeMS >= wholeEach.Milliseconds()
	if inventory != nil {
		if facts.Size(inventory) > framesBytes {
			inventory.HwCounters = nil // their names; no machine is known that has so many
		}
		if err := w.message(telemetry.KindInventory, inventory); err != nil {
			return err
		}
	}
	if whole {
		w.wholeMS = max(now, 1)
	}
	w.payload = w.encoder.Encode(w.payload[:0], &w.state, w.generation, now, level, whole)
	if _, err := w.frames.Write(telemetry.KindSample, w.payload); err != nil {
		return fmt.Errorf("write stream: %w", err)
	}
	if len(events) > 0 {
		if err := w.message(telemetry.KindGPUEvents, &facts.GPUEvents{Events: events}); err != nil {
			return err
		}
	}
	if notes != nil {
		if err := w.message(telemetry.KindSourceNotes, notes); err != nil {
			return err
		}
	}
	if told != w.told || w.processes == nil && told > 0 {
		w.told = told
		if err := w.writeProcesses(processes); err != nil {
			return err
		}
	}
	if usage != nil && usage != w.usage {
		w.usage = usage
		return w.writeUsage(usage)
	}
	return nil
}

// writeProcesses writes what changed against what was told before, in frames that the other end takes.
func (w *writer) writeProcesses(now []*facts.Process) error {
	m := &facts.Processes{Whole: w.processes == nil}
	was := w.processes
	w.processes = make(map[processKey]*facts.Process, len(now))
	for _, p := range now {
		w.processes[processKey{p.Pid, p.StartTicks}] = p
	}
	for k := range was {
		if _, still := w.processes[k]; !still {
			m.Gone = append(m.Gone, &facts.ProcessKey{Pid: k.pid, StartTicks: k.start})
		}
	}
	size := 16 * len(m.Gone)
	for _, p := range now {
		if was[processKey{p.Pid, p.StartTicks}] == p {
			continue
		}
		n := facts.Size(p) + 8
		if size+n > framesBytes || len(m.Set) >= processesInFrame {
			if err := w.message(telemetry.KindProcesses, m); err != nil {
				return err
			}
			m, size = &facts.Processes{}, 0
		}
		m.Set = append(m.Set, p)
		size += n
	}
	if !m.Whole && len(m.Set)+len(m.Gone) == 0 {
		return nil
	}
	return w.message(telemetry.KindProcesses, m)
}

// writeUsage writes one frame. Processes beyond what it holds are left out: there are at most as many told ones as [maxTold].
func (w *writer) writeUsage(u *facts.Usage) error {
	m := &facts.Usage{Told: u.Told[:min(len(u.Told), maxPerFrame)], Top: u.Top}
	for facts.Size(m) > framesBytes && len(m.Top) > 0 {
		m.Top = m.Top[:len(m.Top)-1]
	}
	return w.message(telemetry.KindUsage, m)
}
