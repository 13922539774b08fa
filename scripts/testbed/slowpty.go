package testbed

import (
	"bytes"
	"os"
	"os/exec"
	"os/signal"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/creack/pty"
)

// SlowTerm is a real program on a pseudo-terminal whose output is taken at a limited rate: a thin line. The kernel holds
// some 12 KB between program and line; a program that fills them sees its writes block.
type SlowTerm struct {
	t      testing.TB
	master *os.File
	tty    *os.File // kept open: its settings are compared when the program is gone
	before string   // the settings before the program started
	cmd    *exec.Cmd
	exited chan struct{}

	mu     sync.Mutex
	rate   int // bytes a second
	output []byte
	chunks []Chunk
}

// Chunk is some output as it came off the line.
type Chunk struct {
	At    time.Time
	Bytes []byte
}

// Where the cursor is: what a program asks, and what a terminal answers (ECMA-48, DSR and CPR).
const (
	cursorQuery  = "\x1b[6n"
	cursorAnswer = "\x1b[40;1R"
)

// slowStep is how often the line takes its share of output.
const slowStep = 20 * time.Millisecond

// SlowPTY starts a program on a terminal of 120×40 that takes so many bytes a second.
func SlowPTY(t testing.TB, bytesPerSecond int, argv ...string) *SlowTerm {
	t.Helper()
	master, tty, err := pty.Open()
	if err != nil {
		t.Fatal(err)
	}
	s := &SlowTerm{t: t, master: master, tty: tty, rate: bytesPerSecond, exited: make(chan struct{})}
	s.Resize(120, 40)
	s.before = s.settings()
	s.cmd = exec.Command(argv[0], argv[1:]...)
	s.cmd.Env = append(plainEnv(), "TERM=xterm-256color", "LANG=C.UTF-8")
	s.cmd.Stdin, s.cmd.Stdout, s.cmd.Stderr = tty, tty, tty
	s.cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	// Where this process ignores interrupts, as what a shell starts in the background does, its children would too.
	heed := make(chan os.Signal, 1)
	signal.Notify(heed, os.Interrupt)
	err = s.cmd.Start()
	signal.Stop(heed)
	if err != nil {
		t.Fatal(err)
	}
	readerDone := make(chan struct{})
	go func() {
		defer close(readerDone)
		s.read()
	}()
	go func() {
		// Its exit status is in s.cmd.ProcessState.
		_ = s.cmd.Wait()
		close(s.exited)
	}()
	t.Cleanup(func() {
		_ = s.cmd.Process.Kill()
		<-s.exited
		// With both ends closed the reader gets an error instead of waiting for more.
		tty.Close()
		master.Close()
		<-readerDone
	})
	return s
}

// read takes output off the terminal, never more than the rate allows for the time that has passed.
func (s *SlowTerm) read() {
	buf := make([]byte, 64<<10)
	for {
		s.mu.Lock()
		share := max(1, s.rate*int(slowStep/time.Millisecond)/1000)
		s.mu.Unlock()
		n, err := s.master.Read(buf[:min(share, len(buf))])
		if err != nil {
			return
		}
		chunk := bytes.Clone(buf[:n])
		s.mu.Lock()
		tail := bytes.Clone(s.output[max(0, len(s.output)-len(cursorQuery)+1):]) // too short to hold a question of its own
		asked := bytes.Count(append(tail, chunk...), []byte(cursorQuery))
		s.output = append(s.output, chunk...)
		s.chunks = append(s.chunks, Chunk{At: time.Now(), Bytes: chunk})
		pause := time.Duration(n) * time.Second / time.Duration(s.rate)
		s.mu.Unlock()
		time.Sleep(pause)
		for range asked { // a terminal answers once it has read the question
			if _, err := s.master.WriteString(cursorAnswer); err != nil {
				return
			}
		}
	}
}

// SetRate changes how many bytes a second the line takes.
func (s *SlowTerm) SetRate(bytesPerSecond int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.rate = bytesPerSecond
}

// Type types the text as a keyboard would send it and returns when.
func (s *SlowTerm) Type(text string) time.Time {
	s.t.Helper()
	at := time.Now()
	if _, err := s.master.WriteString(text); err != nil {
		s.t.Fatalf("type %q: %v", text, err)
	}
	return at
}

// Resize gives the terminal another size.
func (s *SlowTerm) Resize(w, h int) {
	s.t.Helper()
	if err := pty.Setsize(s.master, &pty.Winsize{Cols: uint16(w), Rows: uint16(h)}); err != nil {
		s.t.Fatal(err)
	}
}

// Output is everything that came off the line so far.
func (s *SlowTerm) Output() []byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	return bytes.Clone(s.output)
}

// Chunks is the output in the pieces and at the times it came.
func (s *SlowTerm) Chunks() []Chunk {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]Chunk(nil), s.chunks...)
}

// Echo types the text and returns how long it took until output that came later matched the regular expression.
func (s *SlowTerm) Echo(text, pattern string, within time.Duration) time.Duration {
	s.t.Helper()
	from := len(s.Output())
	typed := s.Type(text)
	return s.waitFrom(from, pattern, within).Sub(typed)
}

// WaitFor waits until all of the output matches the regular expression and returns when the last byte for it came.
func (s *SlowTerm) WaitFor(pattern string, within time.Duration) time.Time {
	s.t.Helper()
	return s.waitFrom(0, pattern, within)
}

func (s *SlowTerm) waitFrom(from int, pattern string, within time.Duration) time.Time {
	s.t.Helper()
	re := regexp.MustCompile(pattern)
	for end := time.Now().Add(within); ; time.Sleep(5 * time.Millisecond) {
		out := s.Output()
		if loc := re.FindIndex(out[from:]); loc != nil {
			return s.arrival(from + loc[1])
		}
		if time.Now().After(end) {
			s.t.Fatalf("no %q within %v in %d bytes of output, the last: %q", pattern, within, len(out), out[max(0, len(out)-500):])
		}
	}
}

// arrival is when the first n bytes had come.
func (s *SlowTerm) arrival(n int) time.Time {
	for _, c := range s.Chunks() {
		if n -= len(c.Bytes); n <= 0 {
			return c.At
		}
	}
	return time.Now()
}

// Signal sends the program a signal.
func (s *SlowTerm) Signal(sig os.Signal) {
	s.t.Helper()
	if err := s.cmd.Process.Signal(sig); err != nil {
		s.t.Fatalf("send %v: %v", sig, err)
	}
}

// PID is the program's process id.
func (s *SlowTerm) PID() int { return s.cmd.Process.Pid }

// WaitExit waits for the program's end, takes the rest of its output and returns its exit status (128 and more: a
// signal, as shells count).
func (s *SlowTerm) WaitExit(within time.Duration) int {
	s.t.Helper()
	select {
	case <-s.exited:
	case <-time.After(within):
		out := s.Output()
		s.t.Fatalf("the program did not end within %v; last output: %q", within, out[max(0, len(out)-500):])
	}
	s.SetRate(1 << 20)
	for size := -1; size != len(s.Output()); time.Sleep(100 * time.Millisecond) {
		size = len(s.Output())
	}
	state := s.cmd.ProcessState
	if w, ok := state.Sys().(syscall.WaitStatus); ok && w.Signaled() {
		return 128 + int(w.Signal())
	}
	return state.ExitCode()
}

// settings is the terminal's settings as `stty -a` prints them.
func (s *SlowTerm) settings() string {
	s.t.Helper()
	cmd := exec.Command("stty", "-a")
	cmd.Stdin = s.tty
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "LC_ALL=C"}
	out, err := cmd.Output()
	if err != nil {
		s.t.Fatalf("read terminal settings: %v", err)
	}
	return strings.TrimSpace(string(out))
}
