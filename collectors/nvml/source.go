package nvml

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"sync"
	"time"

	"foretop/collectors/nvml/pipe"
	"foretop/telemetry"
)

// Options say where the programs are and how often to read. Zero durations mean the usual pace.
type Options struct {
	Reader    string        // path of foretop-nvml; "" means that there is none
	SMI       string        // nvidia-smi; "" means to look for it
	Fast      time.Duration // 1 s
	Slow      time.Duration // 30 s
	Processes time.Duration // 5 s
	Reinit    time.Duration // 1 min: how soon after a GPU was lost the library is initialised again; doubled each time it did not help
	Root      string        // what stands for "/": where /sys, /proc and /dev are looked for
	Env       []string      // of the children; nil means this process's own
	Mono      func() int64  // the node's CLOCK_MONOTONIC in ms, for readings of nvidia-smi; foretop-nvml uses that clock by itself

	name string // of the reader's process; "" means readerName
}

const readerName = "foretop-nvml"

const (
	silentAfter = 3 * time.Second // the reader says something each second, or where it is asked to be slow once a beat
	firstPause  = 5 * time.Second // before a dead child is started again; doubled each time
	mostPause   = 5 * time.Minute
	livedLong   = 5 * time.Minute // one that lived that long starts the pauses anew
	mostCrashes = 3               // that many deaths without a sample: nvidia-smi takes over
)

// Source reads this node's NVIDIA GPUs. All its methods may be called from any goroutine and return at once, whatever the driver does.
type Source struct {
	opt    Options
	pauses [2]time.Duration // first and most
	cancel context.CancelFunc
	ended  chan struct{}

	mu    sync.Mutex
	rep   Report
	state telemetry.State
	child *child      // the one that speaks now; nil between two
	heard time.Time   // when it last said something
	late  pipe.Status // of a call that is not back, with heard as its time; Call == "" none
	slack time.Duration
	note  string // what is noteworthy while all is well

	detail bool
	events []Event // not yet taken
}

// maxEvents is how many events wait to be taken; the oldest go first.
const maxEvents = 256

// Start begins to read, and does so until ctx ends or Close is called.
func Start(ctx context.Context, opt Options) *Source { return start(ctx, opt, firstPause, mostPause) }

func start(ctx context.Context, opt Options, firstPause, mostPause time.Duration) *Source {
	if opt.name == "" {
		opt.name = readerName
	}
	if opt.Env == nil {
		opt.Env = os.Environ()
	}
	if opt.Mono == nil {
		begin := time.Now()
		opt.Mono = func() int64 { return time.Since(begin).Milliseconds() }
	}
	ctx, cancel := context.WithCancel(ctx)
	s := &Source{opt: opt, pauses: [2]time.Duration{firstPause, mostPause}, cancel: cancel, ended: make(chan struct{}), slack: silentAfter}
	go func() {
		defer close(s.ended)
		s.run(ctx)
	}()
	return s
}

// Close ends the child and the source. It waits a second at most: a child that is stuck in the driver ends when the driver lets it.
func (s *Source) Close() {
	s.cancel()
	select {
	case <-s.ended:
	case <-time.After(time.Second):
	}
}

// Report is the present condition. The readings are copied to into (the scopes of pipe.Scopes), unless it is nil.
func (s *Source) Report(into *telemetry.State) Report {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.rep
	if into != nil {
		for _, sc := range pipe.Scopes {
			into.CopyScope(sc, &s.state)
		}
	}
	if s.child == nil {
		return r
	}
	r.PID = s.child.cmd.Process.Pid
	silent := time.Since(s.heard)
	switch {
	case s.late.Health == Stuck:
		r.Health, r.StuckFor = Stuck, time.Duration(s.late.ForMS)*time.Millisecond+silent
		r.Text = fmt.Sprintf("%s does not return", s.late.Call)
		if s.late.GPU >= 0 {
			r.Text = fmt.Sprintf("%s on GPU %d does not return", s.late.Call, s.late.GPU)
			if into != nil {
				into.Set(telemetry.GPUStatus, s.late.GPU, telemetry.GPUUnanswered)
			}
		}
		r.Remedy = stuckRemedy
	case silent > max(s.slack, 3*pipe.Beat(s.opt.Fast)):
		r.Health, r.StuckFor = Stuck, silent
		r.Text = s.rep.Via + " says nothing"
		r.Remedy = stuckRemedy
	}
	return r
}

const stuckRemedy = "the driver does not answer: see the kernel log; the node may need a reboot"

// Events are what the driver reported since the last call, in order. Only foretop-nvml hears them.
func (s *Source) Events() []Event {
	s.mu.Lock()
	defer s.mu.Unlock()
	e := s.events
	s.events = nil
	return e
}

// Pace changes how often the fast readings are taken (a fleet with many nodes off screen asks for less). It has no effect on nvidia-smi.
func (s *Source) Pace(fast time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.opt.Fast = fast
	s.retell()
}

// Detail says whether somebody looks at this node: then everything is read, else what is of level telemetry.Base.
func (s *Source) Detail(on bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.detail = on
	s.retell()
}

func (s *Source) retell() {
	if s.child != nil && s.child.stdin != nil {
		s.child.settings(s.settings())
	}
}

// run has one child after the other.
func (s *Source) run(ctx context.Context) {
	crashes := 0
	pause := s.pauses[0]
	for ctx.Err() == nil {
		if s.opt.Reader == "" {
			s.runSMI(ctx, "there is no foretop-nvml for this node")
			return
		}
		if !s.alone(ctx, s.opt.name, inDriver) {
			return
		}
		begin := time.Now()
		end := s.runReader(ctx)
		if ctx.Err() != nil {
			return
		}
		switch {
		case end.cannotStart != "":
			s.runSMI(ctx, "foretop-nvml does not start here: "+end.cannotStart)
			return
		case end.sampled:
			crashes = 0
		case end.crashed:
			crashes++
		}
		if crashes == mostCrashes {
			s.runSMI(ctx, "foretop-nvml died "+fmt.Sprint(crashes)+" times: "+end.words)
			return
		}
		if time.Since(begin) > livedLong {
			pause = s.pauses[0]
		}
		if end.unsupported {
			pause = s.pauses[1] // a driver does not appear every second
		}
		if !sleep(ctx, pause+rand.N(pause/4+1)) {
			return
		}
		pause = min(2*pause, s.pauses[1])
	}
}

// sleep is false when ctx ended.
func sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}

// say sets the condition while no call is late.
func (s *Source) say(w words) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.rep.Health, s.rep.Text, s.rep.Remedy, s.rep.StuckFor = w.health, clean(w.text, maxText), clean(w.remedy, maxText), 0
}

// sayStuck is say for a call that has not returned for d, be it that of a child which is not heard any more or never was ours.
func (s *Source) sayStuck(text string, d time.Duration) {
	s.say(words{Stuck, text, stuckRemedy})
	s.mu.Lock()
	defer s.mu.Unlock()
	s.rep.StuckFor = d
}

// speaks notes which child is heard from now on; nil: none.
func (s *Source) speaks(c *child, via string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.child, s.heard, s.late = c, time.Now(), pipe.Status{}
	if via != "" {
		s.rep.Via = via
	}
}

// inventory takes over what a child knows of the GPUs. It does not change any more.
func (s *Source) inventory(inv *Inventory) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.rep.Inventory = inv
	s.rep.Generation++
	for _, sc := range pipe.Scopes {
		s.state.Resize(sc, inv.Count(sc))
	}
}
