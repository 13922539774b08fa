package main

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"foretop/findings"
	"foretop/fleet"
	"foretop/telemetry"
	"foretop/ui"

	tea "charm.land/bubbletea/v2"
	"github.com/charmbracelet/x/ansi"
)

// watched is a fleet whose nodes are collectors that run here, each a program of its own: what they say goes the whole way to the snapshot.
type watched struct {
	t     testing.TB
	fleet *fleet.Fleet
	mu    sync.Mutex
	ended map[string]error // how streams ended
}

func watch(t testing.TB) *watched {
	return &watched{t: t, fleet: fleet.New(fleet.Options{Rules: findings.Rules()}), ended: map[string]error{}}
}

// run is one collector of a watched fleet.
type run struct {
	*exec.Cmd
	in   io.WriteCloser
	said *bytes.Buffer // its standard error; to be read when it has ended
}

// start starts a collector as a node. It ends with the test. A command's environment, folder and user are the caller's.
func (w *watched) start(name string, c *exec.Cmd) *run {
	w.t.Helper()
	r := &run{Cmd: c, said: &bytes.Buffer{}}
	if c.Env == nil {
		c.Env = os.Environ()
	}
	c.Env = append(c.Env, telemetry.NonceVar+"="+nonce)
	c.Stderr = r.said
	var err error
	if r.in, err = c.StdinPipe(); err != nil {
		w.t.Fatal(err)
	}
	out, err := c.StdoutPipe()
	if err != nil {
		w.t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		w.t.Fatal(err)
	}
	w.fleet.Add(name)
	ctx, cancel := context.WithCancel(context.Background())
	served := make(chan struct{})
	go func() {
		defer close(served)
		in := bufio.NewReader(out)
		line, err := in.ReadString('\n')
		if err == nil && line != telemetry.StreamLine(nonce) {
			err = fmt.Errorf("the stream begins with %q", line)
		}
		if err == nil {
			w.fleet.SetStatus(name, fleet.Status{State: fleet.Live})
			err = w.fleet.Serve(ctx, name, in, r.in)
		}
		w.fleet.SetStatus(name, fleet.Status{State: fleet.Lost, Cause: err.Error()})
		w.mu.Lock()
		w.ended[name] = err
		w.mu.Unlock()
		io.Copy(io.Discard, in)
	}()
	w.t.Cleanup(func() {
		cancel()
		r.in.Close()
		select {
		case <-served:
		case <-time.After(20 * time.Second):
			w.t.Errorf("%s does not end with its input", name)
			c.Process.Kill()
		}
		c.Wait()
		if r.said.Len() > 0 {
			w.t.Logf("%s says: %s", name, r.said)
		}
	})
	return r
}

// node is what the fleet knows of one now.
func (w *watched) node(name string) *fleet.Node {
	for _, n := range w.fleet.Publish().Nodes {
		if n.Name == name {
			return n
		}
	}
	return nil
}

// await waits until a node is as it should be. It fails at once when the stream ended.
func (w *watched) await(name, what string, ok func(*fleet.Node) bool) *fleet.Node {
	w.t.Helper()
	for late := time.Now().Add(60 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		n := w.node(name)
		if n != nil && ok(n) {
			return n
		}
		w.mu.Lock()
		err, over := w.ended[name]
		w.mu.Unlock()
		if over {
			w.t.Fatalf("%s: waiting for %s: the stream ended: %v", name, what, err)
		}
		if time.Now().After(late) {
			w.t.Fatalf("%s: waited too long for %s; sources %s", name, what, sourceWords(n))
		}
	}
}

// source is what a node's source says of itself.
func source(n *fleet.Node, name string) fleet.Source {
	for _, s := range n.Sources {
		if s.Name == name {
			return s
		}
	}
	return fleet.Source{}
}

func sourceWords(n *fleet.Node) string {
	var b bytes.Buffer
	if n != nil {
		for _, s := range n.Sources {
			fmt.Fprintf(&b, "\n%s: %v %s (%s)", s.Name, s.State, s.Text, s.Remedy)
		}
	}
	return b.String()
}

// screen is what the program shows of a snapshot after these keys: its text, all pages of it.
func screen(t testing.TB, s *fleet.Snapshot, keys ...string) string {
	t.Helper()
	m := ui.New(ui.Options{Source: still{s}, Location: time.UTC})
	send := func(msg tea.Msg) { m.Update(msg) }
	send(tea.WindowSizeMsg{Width: 160, Height: 60})
	send(ui.SnapshotMsg{Snapshot: s})
	var b strings.Builder
	for _, k := range append(keys, "", "pgdown", "pgdown", "pgdown", "pgdown") {
		switch k {
		case "enter":
			send(tea.KeyPressMsg{Code: tea.KeyEnter})
		case "pgdown":
			send(tea.KeyPressMsg{Code: tea.KeyPgDown})
		case "":
		default:
			send(tea.KeyPressMsg{Code: []rune(k)[0], Text: k})
		}
		b.WriteString(ansi.Strip(m.View().Content))
		b.WriteByte('\n')
	}
	return b.String()
}

// still is a source of one picture.
type still struct{ snapshot *fleet.Snapshot }

func (s still) Snapshot() *fleet.Snapshot   { return s.snapshot }
func (still) History(fleet.Query) []float64 { return nil }
func (still) Watch([]string)                {}
func (still) Retry(string)                  {}
func (still) Follow(string)                 {}
