package sshpool

import (
	"context"
	"errors"
	"io"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// carrier is a way to run commands on a node: an SSH connection, this machine itself, or a door (see Door). (Room is left for one more: the socket of
// an OpenSSH master, for hosts that need what a Go client cannot do.)
type carrier interface {
	// run starts a command line under the user's login shell. A carrier that ends ends its processes.
	run(ctx context.Context, o order) (*process, error)
	// probe asks whether the other side is alive, and returns when it answered, the carrier ended, or it is known not to be.
	probe() error
	// Close ends the carrier at once, from any goroutine, any number of times.
	Close() error
}

// process is a command that runs on a node.
type process struct {
	stdin  io.Writer
	stdout io.Reader
	stderr *tail
	// closeStdin says end of file; kill ends the process's channel.
	closeStdin func() error
	kill       func()
	signal     func(name string)        // sends "TERM" to it and its children; nil: it cannot be sent one
	resize     func(columns, lines int) // of its terminal; nil: it has none
	exit       *exit
	failed     func() error // why its carrier cut it off, nil when it did not; nil func: it never says
}

// hear reads what a process says on stderr, to its end: into what the order names, else into its tail.
func (p *process) hear(r io.Reader, o order, flood func()) {
	if o.stderr == nil {
		p.stderr.drain(r, flood)
		return
	}
	defer close(p.stderr.done)
	_, _ = io.CopyBuffer(o.stderr, onlyReader{r}, make([]byte, 1<<10))
}

// exit is how a process ended, once it is known.
type exit struct {
	done   chan struct{}
	once   sync.Once
	code   int
	signal string
}

// over says that the end is known.
func (e *exit) over() bool {
	select {
	case <-e.done:
		return true
	default:
		return false
	}
}

func newExit() *exit { return &exit{done: make(chan struct{}), code: -1} }

func (e *exit) set(code int, signal string) {
	e.once.Do(func() {
		e.code, e.signal = code, signal
		close(e.done)
	})
}

// wait gives the exit code, -1 when none comes in time.
func (e *exit) wait(limit time.Duration) int {
	t := time.NewTimer(limit)
	defer t.Stop()
	select {
	case <-e.done:
		return e.code
	case <-t.C:
		return -1
	}
}

// tail keeps the first and the last of what a process says on stderr, at most 32 KiB in all.
type tail struct {
	mu      sync.Mutex
	first   []byte
	last    []byte
	done    chan struct{}
	flooded atomic.Bool // more came than stderr is for
}

const (
	tailFirst = 8 << 10
	tailLast  = 24 << 10

	stderrBurst = 1 << 20  // bytes that a node may say on stderr at any rate
	stderrRate  = 16 << 10 // and bytes a second, which make up for them
)

func newTail() *tail { return &tail{done: make(chan struct{})} }

// drain reads r to its end; it is a goroutine of its own. When more comes than stderr is for, it stops and calls flood; without flood
// any amount is taken in.
func (t *tail) drain(r io.Reader, flood func()) {
	defer close(t.done)
	buf := make([]byte, 512)
	left, at := stderrBurst, time.Now()
	for {
		n, err := r.Read(buf)
		if n > 0 {
			t.write(buf[:n])
			now := time.Now()
			since := min(now.Sub(at), time.Hour) // longer fills it too
			if back := int(since.Seconds() * stderrRate); back > 0 {
				left, at = min(stderrBurst, left+back), now
			}
			if left -= n; left < 0 && flood != nil {
				t.flooded.Store(true)
				flood()
				return
			}
			if n == len(buf) && len(buf) < 16<<10 {
				buf = make([]byte, 16<<10)
			}
		}
		if err != nil {
			return
		}
	}
}

// cutOff is why a process was not left to end by itself: its carrier failed, or it writes on stderr without end; nil when it was.
func (p *process) cutOff() error {
	if p.failed != nil {
		if err := p.failed(); err != nil {
			return err
		}
	}
	if !p.stderr.flooded.Load() {
		return nil
	}
	return &problem{state: Misbehaving, again: pauseLong, cause: "more than 1 MiB of error messages; they begin: " + firstLine(p.stderr.text(0)),
		remedy: "the node may be broken or compromised: look at it before trusting what it says; foretop tries again later"}
}

func (t *tail) write(b []byte) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if room := tailFirst - len(t.first); room > 0 {
		n := min(room, len(b))
		t.first = append(t.first, b[:n]...)
		b = b[n:]
	}
	if len(b) > tailLast {
		b = b[len(b)-tailLast:]
	}
	if over := len(t.last) + len(b) - tailLast; over > 0 {
		t.last = append(t.last[:0], t.last[over:]...)
	}
	t.last = append(t.last, b...)
}

// text waits a moment for the end and gives what was kept.
func (t *tail) text(limit time.Duration) string {
	timer := time.NewTimer(limit)
	defer timer.Stop()
	select {
	case <-t.done:
	case <-timer.C:
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	return string(t.first) + string(t.last)
}

// lastLine is the last line of a process's stderr, cleaned: where programs say why they end.
func lastLine(s string) string {
	s = strings.TrimSpace(s)
	if i := strings.LastIndexByte(s, '\n'); i >= 0 {
		s = s[i+1:]
	}
	return clean(s)
}

// endWords says how a process ended: its exit and its last words.
func (p *process) endWords() string {
	const moment = 300 * time.Millisecond
	code := p.exit.wait(moment)
	words := ""
	switch {
	case p.exit.signal != "":
		words = "signal " + clean(p.exit.signal)
	case code >= 0:
		words = "exit " + strconv.Itoa(code)
	}
	if line := lastLine(p.stderr.text(moment)); line != "" {
		if words != "" {
			words += ": "
		}
		words += line
	}
	return words
}

var (
	errCarrierClosed = errors.New("connection closed")
	errGivenUp       = errors.New("given up before it was sent")
)
