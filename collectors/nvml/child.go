package nvml

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"time"
)

// child is a program with pipes of its own. Nothing here waits for it without a deadline: one with a thread in the driver may never end,
// and keeps its ends of the pipes open.
type child struct {
	cmd    *exec.Cmd
	stdin  *os.File // nil: it has none
	stdout *os.File
	said   *tail         // the last of its stderr
	done   chan struct{} // closed when it is dead and reaped
	err    error         // how it ended; valid after done
}

// badVariables would make the child bind all of NVML at start (and die), load what was meant for another program, or change the Go runtime.
var badVariables = []string{"LD_BIND_NOW", "LD_PRELOAD", "LD_AUDIT", "LD_DEBUG", "GODEBUG", "GOGC", "GOMEMLIMIT", "GOTRACEBACK"}

// spawn starts a program. Its environment is env without badVariables.
func spawn(path string, args, env []string, withStdin bool) (*child, error) {
	c := &child{cmd: exec.Command(path, args...), said: &tail{}, done: make(chan struct{})}
	c.cmd.Env = append(without(env, badVariables), "GOTRACEBACK=none")
	var theirs []*os.File
	pipe := func() (r, w *os.File, err error) {
		if r, w, err = os.Pipe(); err == nil {
			theirs = append(theirs, r, w)
		}
		return r, w, err
	}
	keep := func(f *os.File) *os.File { // closed by closePipes, not after the start
		for i := range theirs {
			if theirs[i] == f {
				theirs = append(theirs[:i], theirs[i+1:]...)
				break
			}
		}
		return f
	}
	closeAll := func() {
		for _, f := range theirs {
			f.Close()
		}
	}
	outR, outW, err := pipe()
	errR, errW, err2 := pipe()
	var inR, inW *os.File
	var err3 error
	if withStdin {
		inR, inW, err3 = pipe()
		c.cmd.Stdin = inR
	}
	if err := errors.Join(err, err2, err3); err != nil {
		closeAll()
		return nil, fmt.Errorf("make pipes: %w", err)
	}
	c.cmd.Stdout, c.cmd.Stderr = outW, errW
	if err := c.cmd.Start(); err != nil {
		closeAll()
		return nil, fmt.Errorf("start %s: %w", path, err)
	}
	c.stdout = keep(outR)
	keep(errR)
	if withStdin {
		c.stdin = keep(inW)
	}
	closeAll()
	go c.said.fill(errR)
	go func() {
		c.err = c.cmd.Wait()
		close(c.done)
		// A grandchild, or nobody, may still hold the pipes: what is in them is read, but not waited for.
		c.stdout.SetReadDeadline(time.Now().Add(drain))
		errR.SetReadDeadline(time.Now().Add(drain))
	}()
	return c, nil
}

const drain = 300 * time.Millisecond

// closePipes tells the child to end: the reader's input ends, and whatever writes gets SIGPIPE. It is never killed (SIGKILL in the middle of a driver
// call has frozen GPUs); a program without an input is asked by SIGTERM.
func (c *child) closePipes() {
	if c.stdin != nil {
		c.stdin.Close()
	} else {
		c.cmd.Process.Signal(syscall.SIGTERM)
	}
	c.stdout.Close()
}

// dead waits at most d.
func (c *child) dead(d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-c.done:
		return true
	case <-t.C:
		return false
	}
}

// crashed says whether a dead child was ended by a signal; the Go runtime turns those of faults into exit status 2.
func (c *child) crashed() bool {
	ws, ok := c.cmd.ProcessState.Sys().(syscall.WaitStatus)
	if !ok || ws.Signaled() {
		return true
	}
	c.said.wait(drain)
	return ws.ExitStatus() == 2 && isCrash(c.said.reason())
}

// lastWords say how a dead child ended and, where it said something, why.
func (c *child) lastWords() string {
	how := "ended"
	if c.err != nil {
		how = c.err.Error()
	}
	c.said.wait(drain)
	if why := c.said.reason(); why != "" {
		how += ": " + why
	}
	return clean(how, maxText)
}

func without(env, names []string) []string {
	out := make([]string, 0, len(env))
next:
	for _, v := range env {
		for _, n := range names {
			if strings.HasPrefix(v, n+"=") {
				continue next
			}
		}
		out = append(out, v)
	}
	return out
}

// tail keeps, of what a program wrote to stderr, the line that tells most.
type tail struct {
	mu     sync.Mutex
	crash  string // the first line of a fault: a Go runtime says it first and then lists stacks and registers
	wrong  string // the last complaint of the dynamic linker
	last   string // the last line
	closed bool
}

const maxStderrLine = 4 << 10

func (t *tail) fill(f *os.File) {
	defer f.Close()
	in := bufio.NewReaderSize(f, maxStderrLine)
	for {
		line, err := in.ReadSlice('\n') // a longer line comes in pieces
		t.line(strings.TrimSpace(string(line)))
		if err != nil && !errors.Is(err, bufio.ErrBufferFull) {
			t.mu.Lock()
			t.closed = true
			t.mu.Unlock()
			return
		}
	}
}

func (t *tail) line(s string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if s == "" {
		return
	}
	t.last = s
	if t.crash == "" && isCrash(s) {
		t.crash = s
	}
	for _, sign := range []string{"not found", "symbol lookup error", "error while loading"} {
		if strings.Contains(s, sign) {
			t.wrong = s
		}
	}
}

func isCrash(s string) bool {
	return strings.HasPrefix(s, "SIG") || strings.HasPrefix(s, "fatal error") || strings.HasPrefix(s, "panic:")
}

// wait gives the reader of stderr a moment to take in what a dead child left.
func (t *tail) wait(most time.Duration) {
	for end := time.Now().Add(most); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		t.mu.Lock()
		closed := t.closed
		t.mu.Unlock()
		if closed {
			return
		}
	}
}

// reason is empty when nothing was said.
func (t *tail) reason() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	switch {
	case t.crash != "":
		return t.crash
	case t.wrong != "":
		return t.wrong
	}
	return t.last
}
