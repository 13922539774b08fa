package simfleet

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"foretop/telemetry"

	"golang.org/x/crypto/ssh"
)

func scenario(t testing.TB, faults string) *Scenario {
	t.Helper()
	s, err := Parse("test", []byte("faults:\n"+faults))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// eventually polls until the condition holds.
func eventually(t testing.TB, what string, holds func() bool) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !holds(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("in vain: %s", what)
		}
	}
}

func TestOnlyTheClientKeyIsLetIn(t *testing.T) {
	t.Parallel()
	f := start(t, Options{Nodes: 1, Scenario: Healthy()})
	n := f.Nodes()[0]
	_, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	stranger, err := ssh.NewSignerFromKey(private)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := dial(n, stranger); err == nil || !strings.Contains(err.Error(), "unable to authenticate") {
		t.Errorf("a stranger's key: %v", err)
	}
	root := n
	root.User = "root"
	if _, err := dial(root, f.Signer()); err == nil || !strings.Contains(err.Error(), "unable to authenticate") {
		t.Errorf("root: %v", err)
	}
	c, err := dial(n, f.Signer())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	s, err := c.NewSession()
	if err != nil {
		t.Fatal(err)
	}
	out, err := s.CombinedOutput("uname -a")
	var exit *ssh.ExitError
	if !errors.As(err, &exit) || exit.ExitStatus() != 127 || !strings.Contains(string(out), "this node is simulated: it runs no commands but") {
		t.Errorf("uname -a: %q, %v", out, err)
	}
}

func TestManyNodesStartQuickly(t *testing.T) {
	for _, c := range []struct {
		nodes int
		limit time.Duration
	}{{64, 300 * time.Millisecond}, {1000, 2 * time.Second}} {
		best := time.Hour // of three: the machine may be busy
		for range 3 {
			begin := time.Now()
			f := start(t, Options{Nodes: c.nodes})
			best = min(best, time.Since(begin))
			f.Close()
		}
		if t.Logf("%d nodes accept after %v", c.nodes, best); best > c.limit {
			t.Errorf("%d nodes accept after %v, want %v", c.nodes, best, c.limit)
		}
	}
}

// TestEveryNodeStreams: 200 nodes at once, each its own host key, its own name, valid samples; then nothing is left of them.
func TestEveryNodeStreams(t *testing.T) {
	before := runtime.NumGoroutine()
	f, err := Start(context.Background(), Options{Nodes: 200, Scenario: Healthy()})
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var wg sync.WaitGroup
	tokens := make(chan struct{}, 8)
	peers := make([]*peer, 200)
	errs := make([]error, 200)
	for i, n := range f.Nodes() {
		wg.Go(func() {
			tokens <- struct{}{}
			defer func() { <-tokens }()
			if peers[i], errs[i] = connect(n, f.Signer()); errs[i] != nil {
				return
			}
			for peers[i].samples < 1 && errs[i] == nil {
				_, errs[i] = peers[i].next()
			}
			if errs[i] == nil && peers[i].hello.Hostname != n.Name {
				errs[i] = fmt.Errorf("%s says that it is %s", n.Name, peers[i].hello.Hostname)
			}
		})
	}
	wg.Wait()
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
	f.Close()
	for _, p := range peers {
		for err == nil {
			_, err = p.next()
		}
		err = nil
		p.client.Close()
	}
	eventually(t, "the goroutines of the fleet end", func() bool { return runtime.NumGoroutine() <= before+2 })
	if _, err := net.Dial("tcp", net.JoinHostPort(f.Nodes()[0].Addr, strconv.Itoa(f.Nodes()[0].Port))); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("the port of a closed fleet: %v", err)
	}
}

func TestOneAddress(t *testing.T) {
	t.Parallel()
	f := start(t, Options{Nodes: 5, OneAddress: true, Scenario: scenario(t, "  - {at: 0s, for: 2s, fault: node-dies, node: 4}\n"), Speed: 4})
	ports := make(map[int]bool)
	for i, n := range f.Nodes() {
		if n.Addr != "127.0.0.1" || ports[n.Port] {
			t.Errorf("node %d is at %s:%d", i, n.Addr, n.Port)
		}
		ports[n.Port] = true
	}
	eventually(t, "a node that died comes back at its own port", func() bool {
		p, err := connect(f.Nodes()[4], f.Signer())
		if err == nil {
			p.client.Close()
		}
		return err == nil
	})
}

func TestNodeDiesAndReboots(t *testing.T) {
	t.Parallel()
	f := start(t, Options{Nodes: 8, Speed: 4, Scenario: scenario(t, "  - {at: 6s, for: 6s, fault: node-dies, node: 2}\n")})
	n := f.Nodes()[2]
	p, err := connect(n, f.Signer())
	if err != nil {
		t.Fatal(err)
	}
	defer p.client.Close()
	p.until(t, "the hello", func() bool { return p.hello != nil })
	boot := p.hello.BootId
	for err == nil { // the connection is cut
		_, err = p.next()
	}
	_, err = dial(n, f.Signer())
	if !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("dial a dead node: %v", err)
	}
	var again *peer
	eventually(t, "the node is back", func() bool {
		again, err = connect(n, f.Signer())
		return err == nil
	})
	defer again.client.Close()
	again.until(t, "the hello", func() bool { return again.hello != nil })
	if again.hello.BootId == boot {
		t.Error("it has not rebooted")
	}
	if again.hello.MonoMs > 60_000 {
		t.Errorf("its clock says %d ms", again.hello.MonoMs)
	}
}

func TestNodeFreezes(t *testing.T) {
	t.Parallel()
	f := start(t, Options{Nodes: 8, Speed: 4, Scenario: scenario(t, "  - {at: 6s, for: 10s, fault: node-freezes, node: 2}\n")})
	p, err := connect(f.Nodes()[2], f.Signer())
	if err != nil {
		t.Fatal(err)
	}
	defer p.client.Close()
	longest, last := time.Duration(0), time.Now()
	limit := time.AfterFunc(30*time.Second, func() { p.client.Close() })
	defer limit.Stop()
	answered := make(chan error, 1)
	time.AfterFunc(2500*time.Millisecond, func() { // in the middle of the silence
		_, _, err := p.client.SendRequest("keepalive@openssh.com", true, nil)
		answered <- err
	})
	for time.Since(f.start) < 5*time.Second {
		kind, err := p.next()
		if err != nil {
			t.Fatal(err)
		}
		if kind == telemetry.KindSample {
			longest, last = max(longest, time.Since(last)), time.Now()
		}
	}
	if longest < time.Second { // without the fault a sample comes every 250 ms
		t.Errorf("the longest silence is %v, want 2.5 s", longest)
	}
	if err := <-answered; err != nil {
		t.Errorf("keepalive of a frozen collector: %v", err)
	}
}

func TestHalfOpen(t *testing.T) {
	t.Parallel()
	f := start(t, Options{Nodes: 8, Speed: 4, Scenario: scenario(t, "  - {at: 4s, for: 14s, fault: half-open, node: 2}\n")})
	p, err := connect(f.Nodes()[2], f.Signer())
	if err != nil {
		t.Fatal(err)
	}
	defer p.client.Close()
	answered := make(chan time.Duration, 1)
	time.AfterFunc(time.Until(f.start.Add(2*time.Second)), func() {
		_, _, _ = p.client.SendRequest("keepalive@openssh.com", true, nil)
		answered <- time.Since(f.start)
	})
	p.until(t, "the stream goes on", func() bool { return time.Since(f.start) > 5*time.Second })
	if at := <-answered; at < 4200*time.Millisecond {
		t.Errorf("a half-open connection answered after %v", at)
	}
	// One that the client gave up while it was half open leaves nothing behind: Close, at the end of the test, would wait for it.
}

func TestSlowLink(t *testing.T) {
	t.Parallel()
	f := start(t, Options{Nodes: 8, Scenario: scenario(t, "  - {at: 0s, fault: slow-link, node: 2, bytes_per_second: 6000}\n")})
	begin := time.Now()
	p, err := connect(f.Nodes()[2], f.Signer())
	if err != nil {
		t.Fatal(err)
	}
	defer p.client.Close()
	p.until(t, "the first sample", func() bool { return p.samples > 0 })
	if took := time.Since(begin); took < time.Second {
		t.Errorf("the first sample came after %v: the link is not slow", took)
	}
	p.until(t, "another one", func() bool { return p.samples > 1 })
}

// TestOpenSSHConnects: the files that we write let the system's own ssh in, strictly checked.
func TestOpenSSHConnects(t *testing.T) {
	t.Parallel()
	ssh, err := exec.LookPath("ssh")
	if err != nil {
		t.Skip("no ssh on this machine")
	}
	f := start(t, Options{Nodes: 3, Scenario: Healthy()})
	dir := t.TempDir()
	config, err := f.WriteFiles(dir)
	if err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(filepath.Join(dir, "id_ed25519")); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the key file: %v, %v", info, err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, ssh, "-F", config, "-T", "gpu003", "FORETOP_NONCE="+testNonce+" collector")
	cmd.Stdin = strings.NewReader("") // the stream ends at once
	out, err := cmd.Output()
	if err != nil || !strings.HasPrefix(string(out), telemetry.StreamLine(testNonce)) {
		t.Errorf("ssh: %v, %d bytes", err, len(out))
	}
}
