package cli

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"foretop/simfleet"
	"foretop/sshpool"
)

// scripted is a person who answers by a script, in turn; nothing left: no answer.
type scripted struct {
	mu      sync.Mutex
	answers []string
	said    strings.Builder
	wait    time.Duration // before each answer
}

func (p *scripted) Say(words string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.said.WriteString(words)
}

func (p *scripted) Answer(ctx context.Context, prompt string, _ bool) ([]byte, error) {
	p.Say(prompt + "\n")
	select {
	case <-time.After(p.wait):
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.answers) == 0 {
		return nil, io.EOF
	}
	answer := p.answers[0]
	p.answers = p.answers[1:]
	return []byte(answer), nil
}

func (p *scripted) heard() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.said.String()
}

// Host keys of a run's nodes are asked one at a time; a node whose key is not accepted is not run on, and the time in which the person thinks is nobody's delay.
func TestAskerHostKeys(t *testing.T) {
	fleet, err := simfleet.Start(t.Context(), simfleet.Options{Nodes: 4, Seed: 1, Scenario: simfleet.Healthy()})
	must(t, err)
	defer fleet.Close()
	known := filepath.Join(t.TempDir(), "known_hosts")
	targets := simTargets(fleet.Nodes(), fleet.Signer())
	var names []string
	for i := range targets {
		names = append(names, targets[i].Name)
		targets[i].Resolved.HostKeys = nil
		targets[i].Resolved.UserKnownHosts = []string{known}
	}
	quiet := *targets[3].Resolved
	quiet.NoAsk = true // BatchMode yes
	targets[3].Resolved = &quiet
	who := &scripted{answers: []string{"y", "yes", "no", "yes"}, wait: 300 * time.Millisecond}
	var out, errs bytes.Buffer
	r := &runner{names: names, line: "hostname", merge: true, connect: time.Second, width: 4, limit: 1 << 10, out: &out, errs: &errs, text: asItIs, errText: asItIs}
	r.reach = newReach(nil)
	r.pool = sshpool.New(sshpool.Config{Home: t.TempDir(), Ask: true}, r.reach)
	defer r.pool.Close()
	r.reach.asker = newAsker(t.Context(), r.pool, who)
	defer r.reach.asker.Close()
	err = r.dial(t.Context(), targets)
	if exitCode(err) != codeNotLive {
		t.Errorf("%v", err)
	}
	if got := strings.Count(out.String(), "---------------\n"); got != 4 {
		t.Errorf("not two nodes were run on:\n%s%s", out.String(), errs.String())
	}
	if got := strings.Count(errs.String(), "needs-trust: host key of "); got != 2 {
		t.Errorf("not two were kept out:\n%s", errs.String())
	}
	said := who.heard()
	if strings.Count(said, "no known_hosts file has a key of ") != 3 || strings.Count(said, "  ED25519 SHA256:") != 3 || strings.Count(said, "yes, no, none, or the whole fingerprint: ") != 1 {
		t.Errorf("said:\n%s", said)
	}
	text, err := os.ReadFile(known)
	must(t, err)
	if n := strings.Count(string(text), "\n"); n != 2 {
		t.Errorf("%d keys were written down:\n%s", n, text)
	}
}

// The line is read to its end and no further; an answer that is too long is cut, not kept.
func TestReadTyped(t *testing.T) {
	in := strings.NewReader("one\n" + strings.Repeat("x", 3*maxTyped) + "\nthree")
	for _, want := range []string{"one", strings.Repeat("x", maxTyped)} {
		if got, err := readTyped(in); err != nil || string(got) != want {
			t.Errorf("%q, %v", got, err)
		}
	}
	if got, err := readTyped(in); !errors.Is(err, io.EOF) || got != nil {
		t.Errorf("%q, %v: a line that was not sent", got, err)
	}
}

// Waiting with and without somebody to ask.
func TestAskerAwait(t *testing.T) {
	var nobody *asker
	looks := 0
	if !nobody.await(t.Context(), time.Minute, func() bool { looks++; return looks == 3 }) || looks != 3 {
		t.Errorf("%d looks", looks)
	}
	if nobody.await(t.Context(), 0, func() bool { return false }) {
		t.Error("what did not come is there")
	}
	a := &asker{}
	a.asking.Store(true)
	begun := time.Now()
	time.AfterFunc(400*time.Millisecond, func() { a.asking.Store(false) })
	if a.await(t.Context(), 100*time.Millisecond, func() bool { return false }) || time.Since(begun) < 400*time.Millisecond {
		t.Errorf("over after %v, while somebody was asked", time.Since(begun))
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if a.await(ctx, time.Hour, func() bool { return false }) {
		t.Error("it came after all was over")
	}
}
