package simfleet

import (
	"io"
	"math/rand/v2"
	"sync"
	"time"

	"foretop/telemetry"
	"foretop/telemetry/facts"

	"golang.org/x/crypto/ssh"
)

// How a collector behaves.
const (
	silenceLimit = 30 * time.Second       // without a word from the front end it ends
	startWait    = 700 * time.Millisecond // for the front end to say which kernel lines it knows
	wholeEvery   = time.Minute
	scanEvery    = 2 * time.Second // how often it looks for new processes
	usageEvery   = 2 * time.Second
	stateEvery   = 6 * time.Second // looks at told processes alone, at base level: told when one is stopped, or goes on
	statesAgain  = time.Minute
	fastest      = 20 * time.Millisecond
	jitter       = 12 * time.Millisecond
)

// stream is one collector's: one goroutine writes it, another hears what the front end says.
type stream struct {
	host    *host
	node    *Node
	channel ssh.Channel
	nonce   string

	mu      sync.Mutex
	heard   time.Time // when the front end last said something
	detail  bool
	whole   bool          // a whole sample was asked for
	every   time.Duration // between samples, in virtual time
	started *facts.Start  // what the front end knows
	ras     *facts.AskRAS // what it asks; nil: nothing
	ended   bool          // the front end closed its end
	wake    chan struct{}

	enc        telemetry.Encoder
	buf, frame []byte
	sent       int64 // bytes, so far
	bootID     string
	sequence   uint64 // the last kernel record told
	kernelFrom time.Time
	processes  uint64
	told       map[int32]uint64 // pid → start ticks
	notes      uint64
	lastWhole  time.Time
	lastScan   time.Time
	lastUsage  time.Time
	lastStates time.Time // of told processes, at base level
	stopped    int       // of them
}

func newStream(h *host, channel ssh.Channel, nonce string) *stream {
	return &stream{host: h, node: h.node, channel: channel, nonce: nonce, heard: time.Now(), every: time.Second, wake: make(chan struct{}, 1), told: make(map[int32]uint64)}
}

// listen takes in control frames until the front end closes its end.
func (s *stream) listen() {
	r := telemetry.NewFrameReader(s.channel, telemetry.MaxControlBytes)
	for {
		kind, payload, err := r.Read()
		var c facts.Control
		if err == nil && kind == telemetry.KindControl {
			err = facts.Decode(payload, &c)
		}
		s.mu.Lock()
		s.heard = time.Now()
		switch w := c.What.(type) {
		case *facts.Control_Start:
			s.started = w.Start
		case *facts.Control_Level:
			s.detail = w.Level.Detail
		case *facts.Control_Pace:
			s.every = time.Duration(min(max(w.Pace.EveryMs, 100), 60_000)) * time.Millisecond
		case *facts.Control_Whole:
			s.whole = true
		case *facts.Control_Ras:
			s.ras = w.Ras
		}
		s.ended = err != nil
		s.mu.Unlock()
		select {
		case s.wake <- struct{}{}:
		default:
		}
		if err != nil {
			return
		}
	}
}

// orders are what the front end has asked for so far.
type orders struct {
	detail, whole, ended bool
	every                time.Duration
	started              *facts.Start
	heard                time.Time
	ras                  *facts.AskRAS
}

func (s *stream) orders() orders {
	s.mu.Lock()
	defer s.mu.Unlock()
	o := orders{s.detail, s.whole, s.ended, s.every, s.started, s.heard, s.ras}
	s.whole, s.ras = false, nil
	return o
}

// run writes the stream and gives the collector's exit status.
func (s *stream) run() int {
	now := time.Now()
	at := s.host.fleet.At(now)
	s.bootID = s.node.BootID(at)
	s.buf = append(s.buf[:0], telemetry.StreamLine(s.nonce)...)
	s.say(telemetry.KindHello, s.node.Hello(at))
	s.say(telemetry.KindInventory, s.node.Inventory())
	s.sample(at, now, telemetry.Base, true)
	s.sayNotes(at, true)
	s.sayProcesses(at, true)
	s.kernelFrom, s.lastScan = now.Add(startWait), now
	if s.flush() != nil {
		return 1
	}
	timer := time.NewTimer(s.untilNext(now, time.Second))
	defer timer.Stop()
	for {
		tick := false
		select {
		case <-s.host.fleet.ctx.Done():
			return 1
		case <-s.wake:
		case <-timer.C:
			tick = true
		}
		o := s.orders()
		now = time.Now()
		if tick {
			timer.Reset(s.untilNext(now, o.every))
		}
		switch {
		case o.ended:
			return 0
		case s.host.frozen.Load():
			continue
		case now.Sub(o.heard) > s.host.fleet.opts.silence:
			s.say(telemetry.KindBye, &facts.Bye{Reason: "no word from the front end for 30 s"})
			_ = s.flush()
			return 0
		}
		s.tell(now, o, tick)
		if s.flush() != nil {
			return 1
		}
	}
}

// tell appends what is due now.
func (s *stream) tell(now time.Time, o orders, tick bool) {
	at := s.host.fleet.At(now)
	level := telemetry.Base
	if o.detail {
		level = telemetry.Detail
	}
	if tick || o.whole {
		s.sample(at, now, level, o.whole || now.Sub(s.lastWhole) >= wholeEvery)
	}
	if o.ras != nil {
		s.say(telemetry.KindRAS, s.node.RAS(o.ras, at))
	}
	if !tick && o.started == nil {
		return
	}
	s.sayNotes(at, false)
	if now.Sub(s.lastScan) >= scanEvery {
		s.lastScan = now
		s.sayProcesses(at, false)
	}
	switch {
	case o.detail && now.Sub(s.lastUsage) >= usageEvery:
		s.lastUsage = now
		s.say(telemetry.KindUsage, s.node.Usage(at))
	case !o.detail && now.Sub(s.lastUsage) >= stateEvery:
		s.lastUsage = now
		u := s.node.ToldUsage(at)
		stopped := 0
		for _, p := range u.Told {
			if p.State == "T" {
				stopped++
			}
		}
		if stopped != s.stopped || now.Sub(s.lastStates) >= statesAgain {
			s.stopped, s.lastStates = stopped, now
			s.say(telemetry.KindUsage, u)
		}
	}
	if o.started != nil || now.After(s.kernelFrom) {
		s.sayKernel(at, o.started)
	}
}

// untilNext is the time to the node's next tick: nodes are spread over the second, each with a little jitter.
func (s *stream) untilNext(now time.Time, every time.Duration) time.Duration {
	every = max(fastest, time.Duration(float64(every)/s.host.fleet.opts.Speed))
	phase := time.Duration(s.node.id(word("phase")) % uint64(every))
	since := now.Sub(s.host.fleet.start) - phase
	next := every - since%every
	if next < every/4 { // woken a little early by the jitter
		next += every
	}
	j := min(jitter, every/8)
	return next + time.Duration(rand.Int64N(int64(2*j))) - j
}

func (s *stream) sample(at time.Duration, now time.Time, level telemetry.Level, whole bool) {
	if whole {
		s.lastWhole = now
	}
	s.node.Sample(at, level, func(st *telemetry.State, mono time.Duration) {
		st.Set(telemetry.SelfSentBytes, 0, s.sent) // ours, where the model can only guess
		s.frame = s.enc.Encode(s.frame[:0], st, 1, mono.Milliseconds(), level, whole)
	})
	s.buf = telemetry.AppendFrame(s.buf, telemetry.KindSample, s.frame)
}

func (s *stream) say(k telemetry.Kind, m facts.Message) {
	b, err := facts.Encode(m)
	if err != nil {
		return
	}
	s.buf = telemetry.AppendFrame(s.buf, k, b)
}

func (s *stream) flush() error {
	if len(s.buf) == 0 {
		return nil
	}
	var err error
	for rest := s.buf; err == nil && len(rest) > 0; { // as sshd finds it in a collector's pipe
		n := 0
		n, err = s.channel.Write(rest[:min(len(rest), telemetry.PieceBytes)])
		s.sent += int64(n)
		rest = rest[n:]
	}
	s.buf = s.buf[:0]
	if cap(s.buf) > 8<<10 { // the start of the stream is long, what follows short
		s.buf = nil
	}
	return err
}

func (s *stream) sayNotes(at time.Duration, always bool) {
	version, notes := s.node.Notes(at)
	if !always && version == s.notes {
		return
	}
	s.notes = version
	s.say(telemetry.KindSourceNotes, &facts.SourceNotes{Notes: notes})
}

// sayProcesses tells the processes, or what changed among them.
func (s *stream) sayProcesses(at time.Duration, whole bool) {
	if !whole && s.node.ProcessVersion(at) == s.processes {
		return
	}
	version, list := s.node.Processes(at)
	s.processes = version
	m := &facts.Processes{Whole: whole}
	now := make(map[int32]uint64, len(list))
	for _, p := range list {
		now[p.Pid] = p.StartTicks
		if start, known := s.told[p.Pid]; whole || !known || start != p.StartTicks {
			m.Set = append(m.Set, p)
		}
	}
	for pid, start := range s.told {
		if now[pid] != start {
			m.Gone = append(m.Gone, &facts.ProcessKey{Pid: pid, StartTicks: start})
		}
	}
	s.told = now
	s.say(telemetry.KindProcesses, m)
}

// sayKernel tells the kernel lines that the front end does not know.
func (s *stream) sayKernel(at time.Duration, known *facts.Start) {
	if s.sequence == 0 && known != nil && known.BootId == s.bootID {
		s.sequence = known.KernelSequence
	}
	records := s.node.KernelLog(at, s.sequence)
	if len(records) == 0 {
		return
	}
	s.sequence = records[len(records)-1].Sequence
	s.say(telemetry.KindKernelLog, &facts.KernelLog{Records: records, Via: "kmsg"})
}

// raw writes meaningless bytes in place of samples, as many a second, until the front end closes its end.
func (s *stream) raw(bytes int) int {
	if _, err := io.WriteString(s.channel, telemetry.StreamLine(s.nonce)); err != nil {
		return 1
	}
	b := make([]byte, bytes)
	timer := time.NewTimer(s.untilNext(time.Now(), time.Second))
	defer timer.Stop()
	for {
		select {
		case <-s.host.fleet.ctx.Done():
			return 1
		case <-s.wake:
		case <-timer.C:
			timer.Reset(s.untilNext(time.Now(), time.Second))
			if _, err := s.channel.Write(b); err != nil {
				return 1
			}
		}
		if s.orders().ended {
			return 0
		}
	}
}
