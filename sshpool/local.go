package sshpool

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync"
	"time"

	"foretop/telemetry"
)

// localGrace is how long a local collector may take to end after its stdin did.
const localGrace = 250 * time.Millisecond

// localCarrier runs commands on this machine, as the node's own.
type localCarrier struct {
	mu      sync.Mutex
	closed  bool
	running map[*os.Process]func() error // process → closes its stdin
}

func newLocalCarrier() *localCarrier {
	return &localCarrier{running: make(map[*os.Process]func() error)}
}

func (c *localCarrier) probe() error { return nil }

func (c *localCarrier) run(_ context.Context, o order) (*process, error) {
	return c.exec(exec.Command("/bin/sh", "-c", o.command), o)
}

// exec starts a program. One of an order that may be stopped has a process group of its own.
func (c *localCarrier) exec(cmd *exec.Cmd, o order) (*process, error) {
	if !o.send() {
		return nil, errGivenUp
	}
	p, err := c.startProgram(cmd, o)
	if err != nil {
		o.refused()
	}
	return p, err
}

func (c *localCarrier) startProgram(cmd *exec.Cmd, o order) (*process, error) {
	if o.stage != nil {
		ownGroup(cmd)
	}
	cmd.Dir = "/"
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return nil, fmt.Errorf("start collector: %w", err)
	}
	// Pipes of our own: exec's StdoutPipe is closed by Wait, which would cut the last bytes off.
	outR, outW, err := os.Pipe()
	if err != nil {
		return nil, fmt.Errorf("start collector: %w", err)
	}
	errR, errW, err := os.Pipe()
	if err != nil {
		return nil, errors.Join(fmt.Errorf("start collector: %w", err), outR.Close(), outW.Close())
	}
	cmd.Stdout, cmd.Stderr = outW, errW
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		err = errCarrierClosed
	} else {
		err = cmd.Start()
	}
	outW.Close()
	errW.Close()
	if err != nil {
		outR.Close()
		errR.Close()
		return nil, fmt.Errorf("start collector: %w", err)
	}
	c.running[cmd.Process] = stdin.Close
	p := &process{stdin: stdin, stdout: outR, stderr: newTail(), closeStdin: stdin.Close, exit: newExit()}
	p.kill = func() { _ = cmd.Process.Kill() }
	if o.stage != nil {
		whileThere := func(do func(*exec.Cmd)) { // its number may be another's afterwards
			if !isClosed(p.exit.done) {
				do(cmd)
			}
		}
		p.kill = func() { whileThere(killGroup) }
		p.signal = func(string) { whileThere(termGroup) }
	}
	go func() {
		p.hear(errR, o, nil)
		errR.Close()
	}()
	go func() {
		_ = cmd.Wait() // the exit status says the same
		signal := ""
		if !cmd.ProcessState.Exited() {
			signal = strings.TrimPrefix(cmd.ProcessState.String(), "signal: ")
		}
		p.exit.set(cmd.ProcessState.ExitCode(), signal)
		c.mu.Lock()
		delete(c.running, cmd.Process)
		c.mu.Unlock()
	}()
	return p, nil
}

// Close ends the stdin of all processes and kills those that stay.
func (c *localCarrier) Close() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.closed = true
	for process, end := range c.running {
		_ = end()
		time.AfterFunc(localGrace, func() {
			c.mu.Lock()
			defer c.mu.Unlock()
			if _, ok := c.running[process]; ok {
				_ = process.Kill()
			}
		})
	}
	return nil
}

// launchLocal starts a collector on this machine: a program that lies here is run as it is, an embedded one is put in place as on
// any node.
func (n *node) launchLocal(ctx context.Context, c *localCarrier) (*started, error) {
	bundle, err := n.pool.localBundle()
	if err != nil {
		return nil, err
	}
	if bundle.Collector.Path() == "" {
		return n.launch(ctx, &hold{c: c})
	}
	nonce := newNonce()
	cmd := exec.Command(bundle.Collector.Path(), strings.Fields(bundle.Args)...)
	cmd.Env = append(os.Environ(), telemetry.NonceVar+"="+nonce)
	if bundle.Reader != nil && bundle.Reader.Path() != "" {
		cmd.Env = append(cmd.Env, "FORETOP_NVML="+bundle.Reader.Path())
	}
	step := traceOf(ctx).step("collector")
	step.say("started as it lies here: " + bundle.Collector.Path())
	p, err := c.exec(cmd, order{})
	if err != nil {
		return nil, err
	}
	limit := time.AfterFunc(n.pool.cfg.Timing.Start, p.kill)
	defer limit.Stop()
	line, rest, notes, err := scanStart(p.stdout, nonce)
	if err == nil && line.kind == "stream" {
		step.end(nil)
		return &started{p, rest, clean(notes)}, nil
	}
	if n.ctx.Err() != nil {
		return nil, n.ctx.Err()
	}
	p.kill()
	return nil, &problem{state: Lost, again: pauseFar, err: err, cause: "the local collector did not start: " + p.endWords(),
		remedy: "run `" + cmd.Path + " " + bundle.Args + "` and see what it says"}
}
