//go:build unix

package sshpool

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"foretop/sshpool/payload"

	"golang.org/x/crypto/ssh"
)

// told writes steps as text: a line each, what was said behind it.
func told(steps []Step) string {
	var b strings.Builder
	for _, s := range steps {
		name := s.Name
		if s.Hop != "" {
			name = s.Hop + ": " + name
		}
		fmt.Fprintf(&b, "%s [%s] %s", name, [...]string{"open", "done", "failed", "dropped"}[s.End], strings.Join(s.Said, " | "))
		if s.Cause != "" {
			fmt.Fprintf(&b, " ! %s -> %s", s.Cause, s.Remedy)
		}
		b.WriteString("\n")
	}
	return b.String()
}

// walk adds a traced target and gives its steps when it is live or has an answer.
func walk(t *testing.T, p *Pool, rec *recorder, target Target) []Step {
	t.Helper()
	target.Trace = &Trace{}
	p.Add(target)
	rec.until("an answer of "+target.Name, func() bool {
		l := rec.statuses[target.Name]
		return len(l) > 0 && l[len(l)-1].State != Waiting && l[len(l)-1].State != Connecting && l[len(l)-1].State != Deploying
	})
	return target.Trace.Steps()
}

// names are the steps that were gone, waiting for one's turn left out.
func names(steps []Step) string {
	var out []string
	for _, s := range steps {
		if s.Name != "turn" {
			out = append(out, s.Name)
		}
	}
	return strings.Join(out, ", ")
}

// says fails unless a step's words hold others.
func says(t *testing.T, steps []Step, name string, words ...string) {
	t.Helper()
	for _, s := range steps {
		all := strings.Join(s.Said, "\n") + "\n" + s.Cause
		if s.Name == name && !slices.ContainsFunc(words, func(w string) bool { return !strings.Contains(all, w) }) {
			return
		}
	}
	t.Errorf("no step %s says %q:\n%s", name, words, told(steps))
}

// The whole way to a real sshd, first with the collector to be sent, then with it there.
func TestTraceOfARealServer(t *testing.T) {
	d := startSSHD(t, "")
	p, rec := d.pool(t, quick())
	name := "ftbash@127.0.0.1"
	steps := walk(t, p, rec, Target{Name: name})
	if got := names(steps); got != "resolve, transport, TCP, server, key exchange, host key, login, shell, folder, upload, collector" {
		t.Errorf("steps %s:\n%s", got, told(steps))
	}
	for _, s := range steps {
		if s.End != StepDone || s.Cause != "" || s.Took < 0 || s.Took > time.Minute {
			t.Errorf("%s: %+v", s.Name, s)
		}
	}
	says(t, steps, "resolve", fmt.Sprintf("ftbash@127.0.0.1:%d", d.port), "ssh read "+d.config)
	says(t, steps, "transport", "foretop's own client")
	says(t, steps, "TCP", fmt.Sprintf("127.0.0.1:%d", d.port))
	says(t, steps, "server", "SSH-2.0-OpenSSH")
	says(t, steps, "key exchange", "host key by ssh-ed25519")
	says(t, steps, "host key", "ED25519 SHA256:", "known by "+d.root+"/known:1")
	says(t, steps, "login", "as ftbash", d.root+"/id): taken")
	says(t, steps, "shell", "/bin/bash")
	says(t, steps, "folder", "/tmp/foretop-61002: it takes the collector", "usable, without this collector", "wanted: the collector for")
	says(t, steps, "upload", "the collector (", ".cache/foretop")
	says(t, steps, "collector", "started in "+d.root+"/tmp/foretop-61002")
	p.Close()

	p, rec = d.pool(t, quick())
	steps = walk(t, p, rec, Target{Name: name})
	if got := names(steps); got != "resolve, transport, TCP, server, key exchange, host key, login, shell, folder, collector" {
		t.Errorf("steps %s:\n%s", got, told(steps))
	}
	says(t, steps, "folder", "/tmp/foretop-61002: the collector lies there, unharmed")
	for _, a := range accounts[:4] { // the longer script is read alike by every login shell
		steps := walk(t, p, rec, Target{Name: a.name + "@127.0.0.2"})
		says(t, steps, "shell", a.shell)
		says(t, steps, "collector", fmt.Sprintf("/tmp/foretop-%d", a.uid))
	}
}

// Each trouble ends at its own step, with the words that the pool has for it.
func TestTraceEndsAtTheStep(t *testing.T) {
	d := startSSHD(t, "")
	key := newSigner(t)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	free := l.Addr().(*net.TCPAddr).Port
	l.Close()
	other := filepath.Join(d.root, "other")
	if err := os.WriteFile(other, []byte(fmt.Sprintf("[127.0.0.*]:%d %s", d.port, ssh.MarshalAuthorizedKey(newSigner(t).PublicKey()))), 0o600); err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		what   string
		change func(r *Resolved)
		target string // instead of ftsh@127.0.0.1
		step   string
		words  []string
	}{
		{what: "no such name", change: func(r *Resolved) { r.HostName = "no-such-host.invalid" }, step: "name", words: []string{"name not found: no-such-host.invalid"}},
		{what: "refused port", change: func(r *Resolved) { r.Port = free }, step: "TCP", words: []string{"connection refused by 127.0.0.1:"}},
		{what: "unknown key", change: func(r *Resolved) { r.UserKnownHosts = []string{"/dev/null"} }, step: "host key", words: []string{"is unknown: ED25519 SHA256:", "looked up as [127.0.0.1]:", "in /dev/null"}},
		{what: "changed key", change: func(r *Resolved) { r.UserKnownHosts = []string{other} }, step: "host key", words: []string{"HAS CHANGED", other + ":1"}},
		{what: "no key accepted", change: func(r *Resolved) { r.IdentityFiles, r.Signers = nil, []ssh.Signer{key} }, step: "login", words: []string{"(given): not taken", "the server takes publickey"}},
		{what: "no key", change: func(r *Resolved) { r.IdentityFiles = nil }, step: "login", words: []string{"no key to offer"}},
		{what: "nologin", target: "ftnone@127.0.0.1", step: "shell", words: []string{"This account is currently not available"}},
		{what: "bad name", target: "no;pe", step: "resolve", words: []string{"unfit character"}},
	}
	for _, c := range tests {
		t.Run(c.what, func(t *testing.T) {
			p, rec := d.pool(t, quick())
			target := Target{Name: "ftsh@127.0.0.1"}
			if c.target != "" {
				target.Name = c.target
			}
			if c.change != nil {
				r := *mustResolve(t, p, target.Name)
				c.change(&r)
				target.Resolved = &r
			}
			steps := walk(t, p, rec, target)
			failed := failedStep(steps)
			if failed.Name != c.step || failed.Remedy == "" && c.what != "bad name" {
				t.Errorf("ended at %q:\n%s", failed.Name, told(steps))
			}
			says(t, steps, c.step, c.words...)
		})
	}
}

func failedStep(steps []Step) (failed Step) {
	for _, s := range steps {
		if s.End == StepFailed {
			failed = s
		}
	}
	return failed
}

// A node that stalls is caught at the step at which it does, and nothing is done beyond.
func TestTraceNamesWhereItStalls(t *testing.T) {
	key := newSigner(t)
	held := make(chan struct{})
	t.Cleanup(func() { close(held) })
	raw := func(say string) func(t *testing.T) *Resolved {
		return func(t *testing.T) *Resolved {
			l, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { l.Close() })
			go func() {
				for {
					c, err := l.Accept()
					if err != nil {
						return
					}
					go func() {
						_, _ = io.WriteString(c, say)
						<-held
						c.Close()
					}()
				}
			}()
			return &Resolved{Alias: "n", HostName: "127.0.0.1", Port: l.Addr().(*net.TCPAddr).Port, User: "u", IdentityAgent: "none", Signers: []ssh.Signer{key}}
		}
	}
	at := newPlace(t)
	for _, c := range []struct {
		step string
		node func(t *testing.T) *Resolved
	}{
		{"server", raw("")},
		{"key exchange", raw("SSH-2.0-stall\r\n")},
		{"login", func(t *testing.T) *Resolved {
			s := newServer(t, collect, key.PublicKey())
			s.change(func(c *ssh.ServerConfig) {
				c.PublicKeyCallback = func(ssh.ConnMetadata, ssh.PublicKey) (*ssh.Permissions, error) {
					<-held
					return nil, errors.New("late")
				}
			})
			return s.resolved(key)
		}},
		{"shell", func(t *testing.T) *Resolved {
			return newServer(t, func(r *request) { _, _ = io.WriteString(r, "welcome\n"); <-held }, key.PublicKey()).resolved(key)
		}},
		{"upload", func(t *testing.T) *Resolved {
			run := shell("/bin/sh", at.env()...)
			return newServer(t, func(r *request) {
				if strings.Contains(r.command, "say DONE") {
					<-held
					return
				}
				run(r)
			}, key.PublicKey()).resolved(key)
		}},
		{"collector", func(t *testing.T) *Resolved {
			return newServer(t, shell("/bin/sh", at.env()...), key.PublicKey()).resolved(key)
		}},
	} {
		t.Run(c.step, func(t *testing.T) {
			cfg := deployConfig(t, fakeSet(t))
			if c.step == "collector" { // it is run, and says nothing
				cfg.Payload = payload.Of(&payload.Bundle{Platform: payload.Here(), Collector: payload.FromBytes("mute", []byte("#!/bin/sh\n[ -n \"$FORETOP_PROBE\" ]||read x\n"))})
			}
			p, _ := newTestPool(t, cfg)
			trace := &Trace{}
			p.Add(Target{Name: "n", Resolved: c.node(t), Trace: trace})
			limit := time.Now().Add(patience)
			open := ""
			for time.Now().Before(limit) && open != c.step {
				time.Sleep(20 * time.Millisecond)
				open = ""
				for _, s := range trace.Steps() {
					if s.End == StepOpen {
						open = s.Name
					}
				}
			}
			if open != c.step {
				t.Errorf("stalled at %q:\n%s", open, told(trace.Steps()))
			}
			time.Sleep(100 * time.Millisecond)
			if steps := trace.Steps(); steps[len(steps)-1].Name != c.step || steps[len(steps)-1].Took <= 0 {
				t.Errorf("it went on:\n%s", told(steps))
			}
			p.Close()
		})
	}
}

// A jump host's steps are its own; who comes second waits for the first one's login, and shares it. One that is down is named.
func TestTraceOfJumpHosts(t *testing.T) {
	config, _, key := writeConfig(t, "User u\n")
	near, far, node := newServer(t, nil, key.PublicKey()), newServer(t, nil, key.PublicKey()), newServer(t, collect, key.PublicKey())
	appendFile(t, config, "UserKnownHostsFile "+knownHosts(t, hostLine(near), hostLine(far), hostLine(node))+"\n")
	appendFile(t, config, fmt.Sprintf("Host near\n HostName 127.0.0.1\n Port %d\nHost far\n HostName 127.0.0.1\n Port %d\n", near.port(), far.port()))
	appendFile(t, config, fmt.Sprintf("Host n1 n2 n3\n HostName 127.0.0.1\n Port %d\n ProxyJump near,far\n", node.port()))
	p, rec := newTestPool(t, Config{ConfigFile: config})
	steps := walk(t, p, rec, Target{Name: "n1"})
	var hops []string
	for _, s := range steps {
		if s.Name == "login" || s.Name == "forwarding" || s.Name == "TCP" {
			hops = append(hops, strings.TrimPrefix(s.Hop+" ", " ")+s.Name)
		}
	}
	if got := strings.Join(hops, ", "); got != "near TCP, near login, far forwarding, far login, forwarding, login" {
		t.Errorf("%s:\n%s", got, told(steps))
	}
	says(t, steps, "resolve", "ProxyJump near,far")
	steps = walk(t, p, rec, Target{Name: "n2"})
	if got := names(steps); got != "resolve, transport, jump host, forwarding, server, key exchange, host key, login, shell" {
		t.Errorf("%s:\n%s", got, told(steps))
	}
	p.Close()

	near.stop()
	p, rec = newTestPool(t, Config{ConfigFile: config})
	steps = walk(t, p, rec, Target{Name: "n3"})
	failed := failedStep(steps)
	if failed.Name != "TCP" || failed.Hop != "near" || !strings.Contains(failed.Cause, "jump host far: jump host near: connection refused") {
		t.Errorf("%s", told(steps))
	}
}

// What prints before the script is told, with how much of it there is; why folders are passed over as well.
func TestTraceOfNoiseAndFolders(t *testing.T) {
	at := newPlace(t)
	uid := fmt.Sprint(os.Getuid())
	for _, dir := range []string{at.local + "/a", at.local + "/b"} {
		if err := os.Mkdir(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink(at.home, at.local+"/a/foretop-"+uid); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(at.local+"/b", 0o777); err != nil { // others may replace what lies there
		t.Fatal(err)
	}
	if err := os.Mkdir(at.local+"/b/foretop-"+uid, 0o700); err != nil {
		t.Fatal(err)
	}
	key := newSigner(t)
	run := shell("/bin/sh", at.env()...)
	s := newServer(t, func(r *request) {
		_, _ = io.WriteString(r, "\x1b[31mWelcome to the cluster\x1b[0m\nhave fun\n")
		run(r)
	}, key.PublicKey())
	p, rec := newTestPool(t, deployConfig(t, fakeSet(t)))
	steps := walk(t, p, rec, Target{Name: "n", Resolved: s.resolved(key)})
	says(t, steps, "shell", "its start-up files print 41 bytes, which begin: ", "Welcome to the cluster")
	says(t, steps, "folder", "/a/foretop-"+uid+": a symbolic link: never used", "/b/foretop-"+uid+": in a folder where others may replace it", "it cannot be made, or is not safely yours alone")
	if strings.ContainsAny(told(steps), "\x1b") {
		t.Errorf("raw text: %q", told(steps))
	}
}

// This machine and doors have the steps that they have.
func TestTraceWithoutSSH(t *testing.T) {
	at := newPlace(t)
	t.Setenv("FT", at.local)
	t.Setenv("HOME", at.home)
	p, rec := newTestPool(t, deployConfig(t, fakeSet(t)))
	steps := walk(t, p, rec, Target{Name: "behind", Door: &Door{Name: "test", Run: shellDoor}})
	if got := names(steps); got != "transport, shell, folder, upload, collector" {
		t.Errorf("%s:\n%s", got, told(steps))
	}
	says(t, steps, "transport", "the door test")
	steps = walk(t, p, rec, Target{Name: "here", Local: true})
	if got := names(steps); got != "transport, shell, folder, collector" {
		t.Errorf("%s:\n%s", got, told(steps))
	}
	shut := &Door{Name: "shut", Run: func(context.Context, string, string, io.Reader, io.Writer, io.Writer) (int, error) {
		return -1, &DoorError{Cause: "no pod of ours there", Remedy: "deploy one", Refused: true}
	}}
	steps = walk(t, p, rec, Target{Name: "closed", Door: shut})
	if f := failedStep(steps); f.Name != "shell" || f.Cause != "no pod of ours there" || f.Remedy != "deploy one" {
		t.Errorf("%s", told(steps))
	}
}

// The system's ssh is named with what needs it; and whoever only looks leaves no known_hosts line, whichever way is gone.
func TestLookingWritesNothing(t *testing.T) {
	d := startSSHD(t, "")
	for _, c := range []struct{ what, more, step string }{
		{"own client", "", "login"},
		{"system ssh", "VerifyHostKeyDNS yes\n", "ssh"},
	} {
		t.Run(c.what, func(t *testing.T) {
			known := filepath.Join(t.TempDir(), "known hosts")
			if err := os.WriteFile(known, nil, 0o600); err != nil {
				t.Fatal(err)
			}
			config := filepath.Join(t.TempDir(), "config")
			text := fmt.Sprintf("%sPort %d\nIdentityFile %s/id\nIdentitiesOnly yes\nIdentityAgent none\nUserKnownHostsFile \"%s\"\nGlobalKnownHostsFile none\nStrictHostKeyChecking accept-new\n", c.more, d.port, d.root, known)
			if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
			look := Config{ConfigFile: config, Payload: fakeSet(t), Timing: quick(), Folders: []string{d.root + "/tmp/foretop-$u"}, Shared: "$HOME/.cache/foretop", LookOnly: true}
			p, rec := newTestPool(t, look)
			steps := walk(t, p, rec, Target{Name: "ftsh@127.0.0.1"})
			if s, _ := rec.reached("ftsh@127.0.0.1", Live, 0); s.State != Live {
				t.Errorf("%s", told(steps))
			}
			if c.step == "ssh" {
				says(t, steps, "transport", "the system's ssh, which alone can do VerifyHostKeyDNS")
			} else {
				says(t, steps, "host key", "no file knows it: taken, as StrictHostKeyChecking says")
			}
			says(t, steps, c.step)
			p.Close()
			if b, err := os.ReadFile(known); err != nil || len(b) > 0 {
				t.Errorf("written: %q, %v", b, err)
			}
			look.LookOnly = false // the same without: it does write, so the test can fail
			p, rec = newTestPool(t, look)
			p.Add(Target{Name: "ftsh@127.0.0.1"})
			rec.reached("ftsh@127.0.0.1", Live, 0)
			p.Close()
			if b, _ := os.ReadFile(known); len(b) == 0 {
				t.Error("nothing is written where it should be")
			}
		})
	}
}

// Where nobody looks, steps cost nothing and the scripts are the usual ones.
func TestNoTraceCostsNothing(t *testing.T) {
	ctx := t.Context()
	if n := testing.AllocsPerRun(100, func() {
		tr := traceOf(ctx)
		s := tr.step("TCP")
		s.end(nil)
		tr.stages().version("")
		_ = dialling(atHop(ctx, "x"))
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
	b := &bootstrap{folders: DefaultFolders(), shared: DefaultShared}
	if s := b.start(newNonce(), false, nil); strings.Contains(s, "say AT") || strings.Contains(s, "say SHELL") {
		t.Error(s)
	}
	b.told = true
	if s := b.start(newNonce(), false, nil); !strings.Contains(s, "say AT") || strings.ContainsAny(strings.TrimSuffix(strings.TrimPrefix(s, "exec /bin/sh -c '"), "'"), "'!\n\\") {
		t.Error(s)
	}
}

// BenchmarkNoTrace is what instrumentation costs a connect where nobody looks: all that it does of it.
func BenchmarkNoTrace(b *testing.B) {
	ctx := context.Background()
	for b.Loop() {
		for range 12 {
			s := traceOf(ctx).step("TCP")
			s.end(nil)
		}
	}
}
