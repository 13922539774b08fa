package sshpool

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"
)

// ErrNotConnected says that a command was not started, for there is no connection to its node.
var ErrNotConnected = fmt.Errorf("%w: not connected", ErrNotStarted)

// ErrTooLong says that a command printed more than was asked for.
var ErrTooLong = errors.New("too much output")

// ExitError is a command that ran and failed.
type ExitError struct {
	Code  int    // -1: it ended by a signal, or without a word
	Words string // how it ended and the last line that it said on stderr, cleaned
}

func (e *ExitError) Error() string { return e.Words }

// Run runs a command line under the login shell of a node's user, over the connection that its stream uses, and gives what it printed, at most limit
// bytes. It opens no connection of its own: where there is none, the error is [ErrNotConnected]. When ctx ends the command's channel is closed and Run returns; the
// stream goes on.
func (p *Pool) Run(ctx context.Context, name, command string, limit int) ([]byte, error) {
	c := p.carrierOf(name)
	if c == nil {
		return nil, fmt.Errorf("run on %s: %w", name, ErrNotConnected)
	}
	out, err := runOn(ctx, c, command, limit)
	if err != nil {
		return out, fmt.Errorf("run on %s: %w", name, err)
	}
	return out, nil
}

// carrierOf is what a node's stream runs over; nil where none runs.
func (p *Pool) carrierOf(name string) carrier {
	_, l := p.liveOf(name)
	if l == nil {
		return nil
	}
	return l.carrier
}

func runOn(ctx context.Context, c carrier, command string, limit int) ([]byte, error) {
	p, err := open(ctx, c, order{command: command})
	if err != nil {
		return nil, err
	}
	defer context.AfterFunc(ctx, p.kill)()
	_ = p.closeStdin() // nothing is typed into it
	out, err := io.ReadAll(io.LimitReader(p.stdout, int64(limit)+1))
	switch {
	case ctx.Err() != nil:
		return nil, ctx.Err()
	case len(out) > limit:
		p.kill()
		return out[:limit], fmt.Errorf("%w: more than %d bytes", ErrTooLong, limit)
	case err != nil:
		return out, fmt.Errorf("read its output: %w", err)
	}
	select {
	case <-p.exit.done:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	if p.exit.code != 0 {
		return out, &ExitError{Code: p.exit.code, Words: p.endWords()}
	}
	return out, nil
}

// open starts a command, and gives up waiting for that when ctx ends: carriers end with the context that they are given, and this one serves a stream as well.
func open(ctx context.Context, c carrier, o order) (*process, error) {
	type opened struct {
		p   *process
		err error
	}
	result := make(chan opened, 1)
	go func() {
		p, err := c.run(context.WithoutCancel(ctx), o)
		result <- opened{p, err}
	}()
	select {
	case o := <-result:
		return o.p, o.err
	case <-ctx.Done():
		go func() {
			if o := <-result; o.p != nil {
				o.p.kill()
			}
		}()
		return nil, ctx.Err()
	}
}

// Quote makes a command line of words that POSIX shells, csh and fish all cut into just these words again. A csh wants no line breaks in them.
func Quote(argv ...string) string {
	words := make([]string, len(argv))
	for i, w := range argv {
		words[i] = quote(w)
	}
	return strings.Join(words, " ")
}

// quote makes one word fit for a shell. Quotation marks, backslashes and exclamation marks stand outside of quotes, for inside shells differ on them.
func quote(s string) string {
	if s != "" && strings.IndexFunc(s, func(r rune) bool {
		return !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("@+=:,./-_", r))
	}) < 0 && s[0] != '=' { // zsh looks for a program called what follows
		return s
	}
	return "'" + outside.Replace(s) + "'"
}

var outside = strings.NewReplacer("'", `'\''`, `\`, `'\\'`, "!", `'\!'`)

// AwaitLive waits until a node's stream runs, for at most a time; false when it does not by then.
func (p *Pool) AwaitLive(ctx context.Context, name string, within time.Duration) bool {
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	for {
		if p.carrierOf(name) != nil {
			return true
		}
		if sleep(ctx, 50*time.Millisecond) != nil {
			return false
		}
	}
}
