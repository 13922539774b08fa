package sshpool

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"sync"
	"time"
)

// commandConn is a ProxyCommand's stdio as a connection.
type commandConn struct {
	in, out *os.File // our ends
	cmd     *exec.Cmd
	stderr  *tail
	exit    *exit
	once    sync.Once
}

// dialCommand starts a ProxyCommand, through a shell as OpenSSH does.
func dialCommand(ctx context.Context, r *Resolved) (net.Conn, error) {
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	inR, inW, err := os.Pipe()
	if err != nil {
		return nil, fmt.Errorf("start ProxyCommand: %w", err)
	}
	outR, outW, err := os.Pipe()
	if err != nil {
		return nil, errors.Join(fmt.Errorf("start ProxyCommand: %w", err), inR.Close(), inW.Close())
	}
	c := &commandConn{in: inW, out: outR, stderr: newTail(), exit: newExit()}
	c.cmd = exec.Command("/bin/sh", "-c", "exec "+r.ProxyCommand)
	c.cmd.Stdin, c.cmd.Stdout = inR, outW
	ownGroup(c.cmd)
	errs, err := c.cmd.StderrPipe()
	if err == nil {
		err = c.cmd.Start()
	}
	inR.Close()
	outW.Close()
	if err != nil {
		return nil, errors.Join(fmt.Errorf("start ProxyCommand: %w", err), inW.Close(), outR.Close())
	}
	go func() {
		c.stderr.drain(errs, nil)
		_ = c.cmd.Wait()
		c.exit.set(c.cmd.ProcessState.ExitCode(), "")
	}()
	return c, nil
}

func (c *commandConn) Read(b []byte) (int, error)  { return c.out.Read(b) }
func (c *commandConn) Write(b []byte) (int, error) { return c.in.Write(b) }

// Close ends the command's stdio, and, when it has not ended with that after a moment, the command and what it started.
func (c *commandConn) Close() error {
	c.once.Do(func() {
		c.in.Close()
		c.out.Close()
		time.AfterFunc(localGrace, func() {
			select {
			case <-c.exit.done:
			default:
				killGroup(c.cmd)
			}
		})
	})
	return nil
}

func (c *commandConn) LocalAddr() net.Addr                { return commandAddr{} }
func (c *commandConn) RemoteAddr() net.Addr               { return commandAddr{} }
func (c *commandConn) SetReadDeadline(t time.Time) error  { return c.out.SetReadDeadline(t) }
func (c *commandConn) SetWriteDeadline(t time.Time) error { return c.in.SetWriteDeadline(t) }
func (c *commandConn) SetDeadline(t time.Time) error {
	return errors.Join(c.out.SetReadDeadline(t), c.in.SetWriteDeadline(t))
}

// problem says what a command that brought no connection printed.
func (c *commandConn) problem() *problem {
	p := process{stderr: c.stderr, exit: c.exit}
	words := p.endWords()
	if words == "" {
		words = "it gave no connection"
	}
	return &problem{state: Lost, again: pauseFar, cause: "ProxyCommand: " + words, remedy: "run it by hand: " + clean(c.cmd.Args[2][len("exec "):])}
}

type commandAddr struct{}

func (commandAddr) Network() string { return "proxycommand" }
func (commandAddr) String() string  { return "proxycommand" }
