package nvml

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"foretop/collectors/nvml/pipe"
	"foretop/telemetry"
)

// ending says how a reader ended.
type ending struct {
	cannotStart string // why it will never start here; empty otherwise
	sampled     bool   // it delivered readings
	crashed     bool
	unsupported bool
	words       string
}

// runReader has one foretop-nvml from its start until it is dead and reaped, or ctx ends.
func (s *Source) runReader(ctx context.Context) ending {
	c, err := spawn(s.opt.Reader, nil, s.opt.Env, true)
	if err != nil {
		why := err.Error()
		if errors.Is(err, os.ErrNotExist) {
			if _, err := os.Stat(s.opt.Reader); err == nil {
				why = "no glibc (musl?)" // the file is there; what is not is its dynamic linker
			}
		}
		return ending{cannotStart: clean(why, maxText)}
	}
	s.speaks(c, "nvml")
	defer s.speaks(nil, "")
	stop := context.AfterFunc(ctx, c.closePipes)
	defer stop()
	s.mu.Lock()
	err = c.settings(s.settings())
	s.mu.Unlock()
	run := readerRun{source: s, child: c}
	// One that was gone before it read its settings may have said why: only one that does not read them is not waited for.
	if !errors.Is(err, os.ErrDeadlineExceeded) {
		err = run.frames()
	}
	c.closePipes()
	if ctx.Err() != nil {
		c.dead(drain)
		return ending{}
	}
	for since := time.Now(); !c.dead(silentAfter); { // never a second one while this one is in the driver
		s.sayStuck("foretop-nvml is to end, but a call into the driver does not return", time.Since(since))
		if ctx.Err() != nil {
			return ending{}
		}
	}
	return run.ending(err)
}

// readerRun is one life of foretop-nvml.
type readerRun struct {
	source *Source
	child  *child
	dec    telemetry.Decoder
	heard  bool
	last   pipe.Status // as last told
	end    ending
}

// frames takes in what the reader says until its output ends.
func (r *readerRun) frames() error {
	frames := telemetry.NewFrameReader(r.child.stdout, pipe.MaxFrame)
	for {
		kind, payload, err := frames.Read()
		if err != nil {
			return err
		}
		r.heard = true
		if err := r.frame(kind, payload); err != nil {
			return err
		}
	}
}

func (r *readerRun) frame(kind telemetry.Kind, payload []byte) error {
	s := r.source
	switch kind {
	case pipe.KindInventory:
		inv, err := pipe.ParseInventory(payload)
		if err != nil {
			return err
		}
		s.inventory(inv)
	case pipe.KindProcesses:
		s.mu.Lock()
		defer s.mu.Unlock()
		p, err := pipe.ParseProcesses(payload, s.state.Count(telemetry.ScopeGPU), s.state.Count(telemetry.ScopeGPUPart))
		if err != nil {
			return err
		}
		s.rep.Processes, s.rep.ProcessesKnown, s.heard = p.Processes, p.Known, time.Now()
	case pipe.KindStatus:
		st, err := pipe.ParseStatus(payload)
		if err != nil {
			return err
		}
		r.status(st)
	case pipe.KindEvents:
		s.mu.Lock()
		defer s.mu.Unlock()
		e, err := pipe.ParseEvent(payload, s.state.Count(telemetry.ScopeGPU))
		if err != nil {
			return err
		}
		if len(s.events) == maxEvents {
			s.events = s.events[1:]
		}
		s.events = append(s.events, e)
	case pipe.KindSample:
		return r.sample(payload)
	}
	return nil
}

func (r *readerRun) status(st pipe.Status) {
	s := r.source
	s.mu.Lock()
	defer s.mu.Unlock()
	s.heard, s.late = time.Now(), pipe.Status{}
	if st.Call != "" || st.Health == Unknown {
		if st.Health == Stuck {
			s.late = st
		}
		return
	}
	r.last = st
	s.rep.Health, s.rep.Text, s.rep.Remedy, s.rep.StuckFor = st.Health, st.Text, st.Remedy, 0
	s.rep.Round = time.Duration(st.RoundUS) * time.Microsecond
	s.note = ""
	if st.Health == OK {
		s.note = st.Text
	}
}

func (r *readerRun) sample(payload []byte) error {
	got, needWhole, err := r.dec.Apply(payload)
	if err != nil {
		return err
	}
	s := r.source
	s.mu.Lock()
	defer s.mu.Unlock()
	d := r.dec.State()
	follows := !needWhole && s.rep.Inventory != nil
	for _, sc := range pipe.Scopes {
		follows = follows && d.Count(sc) == s.rep.Inventory.Count(sc)
	}
	if !follows {
		return fmt.Errorf("sample %d does not follow from what came before", got.Sequence)
	}
	for _, sc := range pipe.Scopes {
		s.state.CopyScope(sc, d)
	}
	s.rep.FastMS, s.rep.SlowMS = moment(d, telemetry.GroupGPU), moment(d, telemetry.GroupGPUSlow)
	s.rep.LinksMS, s.rep.CallsMS = moment(d, telemetry.GroupGPULinks), moment(d, telemetry.GroupCalls)
	s.rep.Rounds++
	s.heard, s.late = time.Now(), pipe.Status{}
	s.rep.Health, s.rep.Text, s.rep.Remedy, s.rep.StuckFor = OK, s.note, "", 0
	r.end.sampled = true
	return nil
}

func moment(d *telemetry.State, g telemetry.Group) int64 {
	return max(d.Get(telemetry.ReadMS, int(g)), 0)
}

// ending words the death of a reader whose output ended with err.
func (r *readerRun) ending(err error) ending {
	s, c := r.source, r.child
	end := r.end
	end.words = c.lastWords()
	told := r.last.Health > OK && c.err == nil
	switch {
	case told: // it said why before it left; that stays on screen
		end.unsupported = r.last.Health == Unsupported
		return end
	case !r.heard && c.err != nil && !c.crashed():
		end.cannotStart = end.words
		return end
	}
	end.crashed = true
	text := "foretop-nvml died: " + end.words
	if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) && !errors.Is(err, os.ErrDeadlineExceeded) {
		text = "foretop-nvml was ended: " + err.Error()
	}
	s.say(words{health: Failing, text: text, remedy: "it is started again by itself; the kernel log may say what is wrong with the GPU"})
	return end
}

// settings is what the reader is told. Called with the source's lock held.
func (s *Source) settings() pipe.Settings {
	set := pipe.Settings{FastMS: ms(s.opt.Fast), SlowMS: ms(s.opt.Slow), ProcessesMS: ms(s.opt.Processes), ReinitMS: ms(s.opt.Reinit), Detail: s.detail, Root: s.opt.Root, Name: s.opt.name}
	if s.rep.Inventory != nil {
		set.Known = s.rep.Inventory.GPUs
	}
	return set
}

func ms(d time.Duration) int { return int(d.Milliseconds()) }

// settings tells the reader. They are far shorter than what a pipe holds; where the reader does not take them up, the deadline keeps us going.
func (c *child) settings(set pipe.Settings) error {
	c.stdin.SetWriteDeadline(time.Now().Add(drain))
	if _, err := telemetry.NewFrameWriter(c.stdin, pipe.MaxFrame).Write(pipe.KindSettings, set.Append(nil)); err != nil {
		return fmt.Errorf("write settings: %w", err)
	}
	return nil
}
