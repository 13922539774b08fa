package collectors

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"sync/atomic"
	"time"

	"foretop/collectors/kernfs"
	"foretop/telemetry"
	"foretop/telemetry/facts"
)

// Options are what Run may be told. The zero value is right for a node.
type Options struct {
	Root    kernfs.Root // what stands for "/"
	Clock   Clock       // the zero value is the system's
	Sources []Source    // nil: the table
	Nonce   string      // repeated in the stream's first line
	Build   string      // the collector's version
	Reader  string      // the NVML reader's file; empty: none

	Every   time.Duration // between samples, until the front end says otherwise; 1 s
	Quiet   time.Duration // without a control frame for so long, Run ends; 30 s
	Blocked time.Duration // with the output blocked for so long, Run ends; 30 s

	statfs  func(path string) (space, error)
	ethtool func() (call ethtoolCall, done func(), err error)
}

const (
	minEvery  = 20 * time.Millisecond
	maxEvery  = time.Minute
	wholeEach = time.Minute            // between two whole samples
	farewell  = 300 * time.Millisecond // how long the last words may take
	firstWait = 3 * time.Second        // kernel records wait so long to be told which are known already
)

func (o *Options) complete() {
	if o.Clock.MonoMS == nil {
		o.Clock = SystemClock()
	}
	if o.Sources == nil {
		o.Sources = Sources()
	}
	if o.statfs == nil {
		o.statfs = statfs
	}
	if o.ethtool == nil {
		if o.ethtool = noDrivers; o.Root.Real() {
			o.ethtool = openEthtool
		}
	}
	for _, d := range []struct {
		p *time.Duration
		v time.Duration
	}{{&o.Every, time.Second}, {&o.Quiet, 30 * time.Second}, {&o.Blocked, 30 * time.Second}} {
		if *d.p == 0 {
			*d.p = d.v
		}
	}
}

// Reasons why a stream ends, beside the errors of its pipes and of the protocol.
var (
	ErrQuiet   = errors.New("no word from the front end")
	ErrBlocked = errors.New("nobody reads the output")
)

// stream is one run.
type stream struct {
	o       Options
	board   *board
	kernel  *kernelQueue
	runner  *runner
	writer  *writer
	bootID  string
	every   time.Duration
	ras     *rasAsker
	heard   int64 // when the last control frame came, monotonic ms
	control chan *facts.Control
	ended   chan error // the input's end: nil when it was closed
}

// Run speaks the stream until the input ends (nil), ctx ends, the front end falls silent ([ErrQuiet]), the output stays blocked ([ErrBlocked])
// or a pipe breaks. A write or a source that does not return is left behind in its goroutine: the caller is a program that exits.
func Run(ctx context.Context, in io.Reader, out io.Writer, o Options) error {
	o.complete()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	s := &stream{o: o, board: newBoard(len(o.Sources)), kernel: &kernelQueue{clock: o.Clock.MonoMS}, every: o.Every,
		control: make(chan *facts.Control), ended: make(chan error, 1)}
	var sent atomic.Uint64
	m := &machine{root: o.Root, clock: o.Clock, board: s.board, kernel: s.kernel, sent: sent.Load, children: &children{}, procs: &procTable{}, users: newUsers(o.Root), options: &s.o}
	h := hello(o.Root, o.Clock, o.Build)
	s.bootID = h.BootId
	s.heard = o.Clock.MonoMS()
	s.runner = startRunner(ctx, m, o.Sources)
	s.writer = &writer{out: out, clock: o.Clock, board: s.board, kernel: s.kernel, sent: &sent, wake: make(chan struct{}, 1), failed: make(chan error, 1), done: make(chan struct{})}
	s.ras = &rasAsker{root: o.Root, clock: o.Clock, board: s.board, first: rasFirst, limit: rasLimit, answer: s.writer.tellRAS}
	go s.listen(ctx, in)
	s.runner.tick(ctx, s.every)
	go s.writer.run(o.Nonce, h)
	err := s.loop(ctx, phase(h.MachineId, h.Hostname))
	s.writer.bye(err)
	return err
}

// phase is where in each second this node's samples are taken, so that not all nodes of a job are read in the same millisecond.
func phase(machineID, hostname string) int64 {
	h := fnv.New64a()
	io.WriteString(h, machineID+hostname)
	return int64(h.Sum64() % 60_000)
}

func (s *stream) loop(ctx context.Context, phase int64) error {
	timer := time.NewTimer(s.untilNext(phase))
	defer timer.Stop()
	kernel := time.NewTimer(firstWait)
	defer kernel.Stop()
	watch := time.NewTicker(min(s.o.Quiet, s.o.Blocked) / 4) // for slow paces; each wake-up costs as much as a reading
	defer watch.Stop()
	for {
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case err := <-s.ended:
			return err
		case err := <-s.writer.failed:
			return err
		case <-kernel.C:
			s.writer.kernelReady.Store(true)
		case c := <-s.control:
			s.heard = s.o.Clock.MonoMS()
			if err := s.obey(ctx, c); err != nil {
				return err
			}
		case <-timer.C:
			s.runner.tick(ctx, s.every)
			s.writer.nudge(true)
			timer.Reset(s.untilNext(phase))
			if err := s.check(); err != nil {
				return err
			}
		case <-watch.C:
			if err := s.check(); err != nil {
				return err
			}
		}
	}
}

func (s *stream) untilNext(phase int64) time.Duration {
	every := s.every.Milliseconds()
	now := s.o.Clock.MonoMS()
	wait := every - ((now-phase)%every+every)%every
	if wait < every/8 { // the timer was a little early
		wait += every
	}
	return time.Duration(wait) * time.Millisecond
}

// check ends a stream that nobody is there for any more.
func (s *stream) check() error {
	now := s.o.Clock.MonoMS()
	if silent := now - s.heard; silent > s.o.Quiet.Milliseconds() {
		return fmt.Errorf("%w for %d s", ErrQuiet, silent/1000)
	}
	if since := s.writer.since.Load(); since != 0 && now-since > s.o.Blocked.Milliseconds() {
		return fmt.Errorf("%w for %d s", ErrBlocked, (now-since)/1000)
	}
	return nil
}

// listen reads control frames until the input ends.
func (s *stream) listen(ctx context.Context, in io.Reader) {
	frames := telemetry.NewFrameReader(in, telemetry.MaxControlBytes)
	for {
		kind, payload, err := frames.Read()
		if err == io.EOF {
			s.ended <- nil
			return
		}
		if err != nil {
			s.ended <- fmt.Errorf("read control: %w", err)
			return
		}
		if kind != telemetry.KindControl {
			continue // a newer front end's
		}
		c := &facts.Control{}
		if err := facts.Decode(payload, c); err != nil {
			s.ended <- fmt.Errorf("read control: %w", err)
			return
		}
		select {
		case s.control <- c:
		case <-ctx.Done():
			return
		}
	}
}

func (s *stream) obey(ctx context.Context, c *facts.Control) error {
	switch w := c.What.(type) {
	case *facts.Control_Start:
		if w.Start.ProtocolMajor != telemetry.ProtocolMajor {
			return fmt.Errorf("the front end speaks protocol %d, this collector %d", w.Start.ProtocolMajor, telemetry.ProtocolMajor)
		}
		if w.Start.BootId == s.bootID && s.bootID != "" {
			s.kernel.resume(w.Start.KernelVia, w.Start.KernelSequence)
		} else {
			s.kernel.resume("", 0)
		}
		s.writer.kernelReady.Store(true)
		s.writer.nudge(false)
	case *facts.Control_Level:
		if s.board.detail.Swap(w.Level.Detail) != w.Level.Detail {
			s.runner.hurry()
		}
	case *facts.Control_Pace:
		defer func() { s.board.everyMS.Store(s.every.Milliseconds()) }()
		s.every = min(max(time.Duration(w.Pace.EveryMs)*time.Millisecond, minEvery), maxEvery)
	case *facts.Control_Whole:
		s.writer.whole.Store(true)
		s.writer.nudge(true)
	case *facts.Control_Ras:
		s.ras.ask(ctx, w.Ras)
	}
	return nil
}
