package sshpool

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync/atomic"
	"time"
)

// Door is a way into nodes beside SSH, as a cluster's API may give one: it runs a command line by /bin/sh on a node and gives its exit status. It returns when the command ended and all its output is
// written, when stdin fails, or when ctx ends. A command that did not run, or was cut off, is an error; a *DoorError has words for the user. Cli makes the doors: the pool knows no scheduler.
type Door struct {
	Name string // for messages: "kubernetes"
	Run  func(ctx context.Context, node, command string, stdin io.Reader, stdout, stderr io.Writer) (exit int, err error)
	// Shell is Run on a terminal: what it shows comes on stdout. sizes waits for the terminal's size, the first time for the one that it has; false: there is no more. nil: the door gives no terminal.
	Shell func(ctx context.Context, node, command string, sizes func() (columns, lines int, ok bool), stdin io.Reader, stdout io.Writer) (exit int, err error)
}

// DoorError says why a door does not open, and what helps.
type DoorError struct {
	Cause, Remedy string
	Refused       bool // not by accident: it is tried again after a long time only
	Err           error
}

func (e *DoorError) Error() string { return e.Cause }

func (e *DoorError) Unwrap() error { return e.Err }

// doorKey is the gate of all nodes behind one door: they share what opens it.
const doorKey = "door "

// tryDoor is try for a node behind a door.
func (n *node) tryDoor(before *problem) (time.Duration, error) {
	ctx := withTrace(n.ctx, n.target.Trace)
	traceOf(ctx).note("transport", "the door "+n.target.Door.Name+": no SSH")
	wait := traceOf(ctx).step("turn")
	turn, err := n.pool.pace.acquire(n.ctx, doorKey+n.target.Door.Name, &n.seen)
	if err != nil {
		return 0, err
	}
	wait.end(nil)
	defer turn.end(false)
	connecting := Status{State: Connecting}
	if before != nil {
		connecting.Cause, connecting.Remedy = before.cause, before.remedy
	}
	n.report(connecting)
	c := newDoorCarrier(n.ctx, n.target.Door, n.target.Name)
	defer c.Close()
	s, err := n.launch(ctx, &hold{c: c})
	if err != nil {
		return 0, err
	}
	turn.end(false)
	return n.stream(c, s)
}

// doorCarrier runs each command through its door anew. It ends with ctx.
type doorCarrier struct {
	door   *Door
	node   string
	ctx    context.Context
	cancel context.CancelFunc
}

func newDoorCarrier(ctx context.Context, door *Door, node string) *doorCarrier {
	ctx, cancel := context.WithCancel(ctx)
	return &doorCarrier{door, node, ctx, cancel}
}

func (c *doorCarrier) Close() error {
	c.cancel()
	return nil
}

// probe runs a command that does nothing.
func (c *doorCarrier) probe() error {
	exit, err := c.door.Run(c.ctx, c.node, "exit 0", eof{}, io.Discard, io.Discard)
	if err == nil && exit != 0 {
		err = fmt.Errorf("exit %d", exit)
	}
	return err
}

// behindDoor says that /bin/sh runs what a carrier is given, whatever the account's login shell.
func behindDoor(c carrier) bool {
	_, ok := c.(*doorCarrier)
	return ok
}

type eof struct{}

func (eof) Read([]byte) (int, error) { return 0, io.EOF }

func (c *doorCarrier) run(_ context.Context, o order) (*process, error) {
	if o.term != nil && c.door.Shell == nil {
		return nil, &problem{state: Refused, again: pauseLong, cause: "the door " + c.door.Name + " gives no terminal", remedy: "open one with the cluster's own tools"}
	}
	if !o.send() {
		return nil, errGivenUp
	}
	if c.ctx.Err() != nil {
		return nil, errCarrierClosed
	}
	ctx, kill := context.WithCancel(c.ctx)
	inR, inW := io.Pipe()
	outR, outW := io.Pipe()
	errR, errW := io.Pipe()
	var failed atomic.Pointer[problem]
	p := &process{stdin: inW, stdout: outR, stderr: newTail(), closeStdin: inW.Close, exit: newExit()}
	p.kill = kill
	p.failed = func() error {
		if p := failed.Load(); p != nil {
			return p
		}
		return nil
	}
	m := mark{c: c}
	if o.stage != nil {
		m.nonce = newNonce()
		p.signal = func(name string) { _ = m.tell(context.Background(), name) }
	}
	run := func() (int, error) { return c.door.Run(ctx, c.node, m.command(o.command), inR, outW, errW) }
	if o.term != nil {
		sizes := make(chan [2]int, 1)
		sizes <- [2]int{o.term.Columns, o.term.Lines}
		p.resize = func(columns, lines int) { // by one goroutine at a time: the latest is kept
			select {
			case <-sizes:
			default:
			}
			sizes <- [2]int{columns, lines}
		}
		next := func() (columns, lines int, ok bool) {
			select {
			case s := <-sizes:
				return s[0], s[1], true
			case <-ctx.Done():
				return 0, 0, false
			}
		}
		run = func() (int, error) {
			return c.door.Shell(ctx, c.node, m.command(o.term.login()+or(o.command, ShellAt{}.script())), next, inR, outW)
		}
	}
	// A reader that is not read from holds the door's writer: what ends the command ends the pipes.
	cut := context.AfterFunc(ctx, func() {
		inR.CloseWithError(errCarrierClosed)
		outR.CloseWithError(errCarrierClosed)
		errR.CloseWithError(errCarrierClosed)
	})
	go p.hear(errR, o, func() { c.cancel() })
	go func() {
		exit, err := run()
		stopped := ctx.Err() != nil
		if err != nil && !stopped {
			failed.Store(doorProblem(err))
		}
		if err != nil {
			exit = -1
		}
		p.exit.set(exit, "")
		cut()
		inR.CloseWithError(errCarrierClosed)
		errW.Close()
		outW.Close()
		kill()
		switch {
		case err == nil || m.nonce == "" || refusedBy(err):
		case o.term != nil: // its terminal is gone, and nobody but us tells it
			m.tellLater("HUP")
		case stopped:
			m.tellLater("TERM")
		}
	}()
	return p, nil
}

// refusedBy says that a door did not open, so that nothing ran.
func refusedBy(err error) bool {
	var door *DoorError
	return errors.As(err, &door) && door.Refused
}

func doorProblem(err error) *problem {
	p := &problem{state: Lost, again: pauseFar, err: err, cause: clean(err.Error())}
	var door *DoorError
	if errors.As(err, &door) {
		p.cause, p.remedy = clean(door.Cause), clean(door.Remedy)
		if door.Refused {
			p.state, p.again = Refused, pauseLong
		}
	}
	return p
}
