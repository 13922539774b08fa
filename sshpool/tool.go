package sshpool

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"strings"

	"foretop/sshpool/payload"
	"foretop/telemetry"
)

// noTool is the exit status of a tool's script that found no collector. A shell that finds no program gives 126 or 127.
const noTool = 125

// Tool is [Pool.Exec] of the node's collector with arguments: of the very program that its stream runs, found and checked where the stream's start found it. Arguments are
// plain words: letters, digits and "-+=:.,_".
func (p *Pool) Tool(ctx context.Context, name string, args []string, stdout, stderr io.Writer) (Exit, error) {
	for _, a := range args {
		if !plainWord(a) {
			return Exit{Code: -1}, fmt.Errorf("run the collector on %s: %w: %q is no plain word", name, ErrNotStarted, a)
		}
	}
	n, l := p.liveOf(name)
	if l == nil {
		return Exit{Code: -1}, fmt.Errorf("run the collector on %s: %w", name, ErrNotConnected)
	}
	nonce := newNonce()
	line, err := p.toolLine(l.carrier, nonce, args)
	if err != nil {
		return Exit{Code: -1}, fmt.Errorf("run the collector on %s: %w: %w", name, ErrNotStarted, err)
	}
	said := &marked{to: stderr, mark: []byte(telemetry.FailPrefix(nonce))}
	exit := Exit{Code: -1}
	err = n.act(ctx, l, func(over carrier) (err error) {
		exit, err = execOn(ctx, over, Command{line, stdout, said})
		return err
	})
	switch {
	case err != nil:
		return exit, fmt.Errorf("run the collector on %s: %w", name, advised(err))
	case exit.Code == noTool && said.seen, exit.Code == 126, exit.Code == 127:
		return Exit{Code: -1}, fmt.Errorf("run the collector on %s: %w: it lies there no more; foretop puts it there again when it connects anew", name, ErrNotStarted)
	}
	return exit, nil
}

// toolLine is the command line of a tool.
func (p *Pool) toolLine(c carrier, nonce string, args []string) (string, error) {
	if _, local := c.(*localCarrier); local {
		bundle, err := p.localBundle()
		if err != nil {
			return "", err
		}
		if path := bundle.Collector.Path(); path != "" {
			return "exec " + Quote(append(append([]string{path}, strings.Fields(bundle.Args)...), args...)...), nil
		}
	}
	scripts, err := p.scripts()
	if err != nil {
		return "", err
	}
	return scripts.tool(nonce, args), nil
}

// localBundle is what runs on this machine.
func (p *Pool) localBundle() (*payload.Bundle, error) {
	bundle, err := p.bundles.For(payload.Here())
	if err == nil && bundle == nil {
		bundle, err = payload.Running("collect")
	}
	if err != nil {
		return nil, fmt.Errorf("find collector: %w", err)
	}
	return bundle, nil
}

// tool is the script that runs the collector with other arguments, where it lies. The shared folder comes last: it may hang.
func (b *bootstrap) tool(nonce string, args []string) string {
	var s strings.Builder
	s.WriteString(common + b.platforms())
	s.WriteString(`ok(){ [ -x "$1/c-$c" ]&&own "$1"&&sum "$1/c-$c" $c $z;};`)
	fmt.Fprintf(&s, `[ -z "$c" ]||for d in %s "%s";do ok "$d"&&exec "$d/c-$c" $a %s;done;say FAIL %s none >&2;exit %d`, b.words(), b.shared, strings.Join(args, " "), nonce, noTool)
	return wrap(s.String())
}

// plainWord says that every shell takes a word as it is.
func plainWord(s string) bool {
	return s != "" && strings.IndexFunc(s, func(r rune) bool {
		return !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("-+=:.,_", r))
	}) < 0
}

// marked looks for a mark in the first of what is written.
type marked struct {
	to    io.Writer
	mark  []byte
	first []byte
	seen  bool
}

func (m *marked) Write(b []byte) (int, error) {
	if room := 4<<10 - len(m.first); room > 0 && !m.seen {
		m.first = append(m.first, b[:min(room, len(b))]...)
		m.seen = bytes.Contains(m.first, m.mark)
	}
	if m.to == nil {
		return len(b), nil
	}
	return m.to.Write(b)
}
