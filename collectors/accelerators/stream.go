package accelerators

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os/exec"
	"sync"
	"time"

	"foretop/telemetry/facts"
)

// stream keeps a program running and takes what it says, line by line, in a goroutine of its own: a program that hangs, floods or dies costs the
// reader nothing but its numbers. One that ended is started again, later each time. While one does not end, no other is started.
type stream struct {
	start    func(context.Context, string, ...string) (Program, error) // of the Machine
	name     string                                                    // for words
	commands func() [][]string                                         // the program and its arguments: the first that there is
	take     func(line []byte)                                         // in the stream's goroutine; the line is valid during the call
	again    func() bool                                               // asked when a program ended: whether to start the next one at once; may be nil
	maxLine  int                                                       // bytes; longer lines are left out
	patience patience

	mu     sync.Mutex
	cancel context.CancelFunc // nil: it is to be let go
	lives  bool               // the goroutine does, and perhaps its program
	st     streamState
}

// patience says when a program is given up, and for how long it is left alone.
type patience struct {
	silence     time.Duration // without a line, after which it is ended
	first, most time.Duration // pauses before it is started again: twice as long each time, until it has run for as long as most
	dying       time.Duration // that a killed program may take to end before it is called stuck
}

func usualPatience(silence time.Duration) patience {
	return patience{silence: silence, first: 5 * time.Second, most: 5 * time.Minute, dying: 10 * time.Second}
}

// streamState is how a stream goes.
type streamState struct {
	lines   uint64    // so far
	heard   time.Time // the last line; zero: never
	err     error     // why the last program ended, nil while one runs well
	missing bool      // there is no such program
	killed  time.Time // the program was told to end, and has not; zero otherwise
	starts  int
}

// bytesPerSecond bounds what is read of a program: one that says more waits at its full pipe.
const bytesPerSecond = 2 << 20

// begin starts the program, unless one lives, be it one that was let go and did not end yet. It is kept until end, or until ctx ends.
func (s *stream) begin(ctx context.Context) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.lives || s.start == nil {
		return
	}
	ctx, s.cancel = context.WithCancel(ctx)
	s.st, s.lives = streamState{}, true
	go s.keep(ctx)
}

// end lets the program go. The stream may begin anew.
func (s *stream) end() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.cancel != nil {
		s.cancel()
	}
	s.cancel = nil
}

func (s *stream) state() streamState {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.st
}

func (s *stream) set(change func(*streamState)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	change(&s.st)
}

func (s *stream) keep(ctx context.Context) {
	defer func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.lives = false
	}()
	for pause := s.patience.first; ; pause = min(2*pause, s.patience.most) {
		began := time.Now()
		p, err := s.launch(ctx)
		if err == nil {
			err = s.follow(ctx, p)
		}
		if time.Since(began) >= s.patience.most {
			pause = s.patience.first
		}
		if ctx.Err() != nil {
			return
		}
		s.set(func(st *streamState) { st.killed = time.Time{} })
		if s.again != nil && s.again() {
			pause = s.patience.first / 2
			continue
		}
		s.set(func(st *streamState) { st.err, st.missing = err, isMissing(err) })
		select {
		case <-ctx.Done():
			return
		case <-time.After(pause):
		}
	}
}

func isMissing(err error) bool {
	return errors.Is(err, exec.ErrNotFound) || errors.Is(err, fs.ErrNotExist)
}

func (s *stream) launch(ctx context.Context) (p Program, err error) {
	for _, c := range s.commands() {
		if p, err = s.start(ctx, c[0], c[1:]...); err == nil || !isMissing(err) {
			break
		}
	}
	if err == nil {
		s.set(func(st *streamState) { st.starts++ })
	}
	return p, err
}

var errSilent = errors.New("said nothing for too long")

// follow takes the lines of a program until it ends, and says why it did.
func (s *stream) follow(ctx context.Context, p Program) (err error) {
	silent, over := false, false // with the lock held
	watch := time.AfterFunc(s.patience.silence, func() {
		s.set(func(st *streamState) {
			if !over {
				silent, st.killed = true, time.Now()
			}
		})
		p.Kill()
	})
	defer func() {
		if fault := recover(); fault != nil {
			err = fmt.Errorf("fault in the collector: %v", fault)
		}
		watch.Stop()
		s.set(func(st *streamState) {
			if over = true; st.killed.IsZero() {
				st.killed = time.Now()
			}
			if silent {
				err = errSilent
			}
		})
		p.Kill()
		if end := p.End(); err == nil {
			err = end
		}
		if err == nil {
			err = errors.New("ended by itself")
		}
	}()
	return takeLines(ctx, p.Out, s.maxLine, func(line []byte) {
		watch.Reset(s.patience.silence)
		s.set(func(st *streamState) { st.lines, st.heard, st.err, st.missing = st.lines+1, time.Now(), nil, false })
		s.take(line)
	})
}

// trouble words what is wrong with the program; nil while nothing is.
func (s *stream) trouble() *Condition {
	st := s.state()
	switch {
	case s.start == nil:
		return &Condition{State: facts.SourceState_SOURCE_UNSUPPORTED, Text: s.name + noPrograms}
	case !st.killed.IsZero() && time.Since(st.killed) > s.patience.dying:
		return &Condition{State: facts.SourceState_SOURCE_STUCK, Text: s.name + " is to end, but a call into the driver does not return",
			Remedy: stuckRemedy, Stuck: time.Since(st.killed)}
	case st.missing:
		return &Condition{State: facts.SourceState_SOURCE_UNSUPPORTED, Text: s.name + " is missing"}
	case st.err != nil:
		return &Condition{State: facts.SourceState_SOURCE_FAILING, Text: s.name + ": " + st.err.Error() + "; it will be started again"}
	}
	return nil
}

const noPrograms = " is not run for a machine that is played"

const stuckRemedy = "the kernel log says why the driver does not answer; the program ends when the call returns, or when the node reboots"

// takeLines reads lines of at most maxLine bytes, longer ones are left out, and no faster than bytesPerSecond. The end of what there is to read is no
// error.
func takeLines(ctx context.Context, in io.Reader, maxLine int, take func([]byte)) error {
	buf := make([]byte, 0, min(maxLine, 4<<10))
	over := false // in the midst of a line that is too long
	spent, since := 0, time.Now()
	for {
		if len(buf) == cap(buf) {
			if cap(buf) >= maxLine {
				buf, over = buf[:0], true
			} else {
				buf = append(make([]byte, 0, min(maxLine, 2*cap(buf))), buf...)
			}
		}
		n, err := in.Read(buf[len(buf):cap(buf)])
		buf = buf[:len(buf)+n]
		rest := buf
		for {
			line, after, whole := bytes.Cut(rest, []byte{'\n'})
			if !whole {
				break
			}
			if !over && len(line) > 0 {
				take(line)
			}
			rest, over = after, false
		}
		buf = buf[:copy(buf, rest)]
		if err != nil {
			if len(buf) > 0 && !over {
				take(buf)
			}
			if errors.Is(err, io.EOF) || errors.Is(err, fs.ErrClosed) {
				err = nil
			}
			return err
		}
		if spent += n; spent >= bytesPerSecond {
			select {
			case <-ctx.Done():
			case <-time.After(time.Until(since.Add(time.Second))):
			}
			spent, since = 0, time.Now()
		} else if time.Since(since) > time.Second {
			spent, since = 0, time.Now()
		}
	}
}
