package collectors

import (
	"context"
	"fmt"
	"io"
	"os/exec"
	"sync"
	"syscall"
	"time"

	"foretop/collectors/kernfs"
)

// child is a program that a source started and reads the output of. It gets no input, and neither the stream's output nor its errors: a program that
// hangs in a driver keeps every pipe it holds open.
type child struct {
	out      io.Reader
	gone     chan struct{} // closed once it is to end
	once     sync.Once
	cmd      *exec.Cmd
	pipe     io.Closer
	children *children
	forget   func() bool // its end with the context
	last     tail
}

func startChild(ctx context.Context, kids *children, name string, args ...string) (*child, error) {
	c := &child{gone: make(chan struct{}), children: kids, cmd: exec.Command(name, args...)}
	c.cmd.Dir = "/"
	c.cmd.Stderr = &c.last
	c.cmd.WaitDelay = time.Second // a process of its own that it left behind may hold its stderr
	detach(c.cmd)
	out, err := c.cmd.StdoutPipe()
	if err != nil {
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	if err := c.cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	c.out, c.pipe = out, out
	kids.add(c.cmd.Process.Pid)
	c.forget = context.AfterFunc(ctx, c.kill)
	return c, nil
}

// kill ends the program, without waiting for it.
func (c *child) kill() {
	c.once.Do(func() {
		close(c.gone)
		syscall.Kill(-c.cmd.Process.Pid, syscall.SIGKILL) // and those that it started: one of a script's would hold the pipe open
	})
}

// end waits for the program, whose output has ended, and gives its last words with the error.
func (c *child) end() error {
	c.forget()
	c.kill()
	err := c.cmd.Wait()
	c.children.remove(c.cmd.Process.Pid)
	if words := c.last.String(); err != nil && words != "" {
		return fmt.Errorf("%w: %s", err, words)
	}
	return err
}

// tail keeps the last bytes written to it.
type tail struct {
	mu sync.Mutex
	b  []byte
}

const tailBytes = 512

func (t *tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.b = append(t.b, p...)
	if over := len(t.b) - tailBytes; over > 0 {
		t.b = append(t.b[:0], t.b[over:]...)
	}
	return len(p), nil
}

func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return string(kernfs.Trim(t.b))
}
