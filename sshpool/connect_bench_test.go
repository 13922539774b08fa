//go:build unix

package sshpool

import (
	"bufio"
	"context"
	"encoding/base64"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"foretop/telemetry"

	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/knownhosts"
)

// benchServer is set in the environment of the process that plays all nodes of the benchmark.
const benchServer = "FORETOP_BENCH_SERVER"

// serveBench plays nodes for any number of connections to any address of 127.0.0.0/8, in a process of its own, so that the client's CPU
// time is the client's alone. It ends with its stdin.
func serveBench() {
	private, err := base64.StdEncoding.DecodeString(os.Getenv(benchServer))
	if err != nil {
		panic(err)
	}
	host, err := ssh.ParsePrivateKey(private)
	if err != nil {
		panic(err)
	}
	config := &ssh.ServerConfig{PublicKeyCallback: func(ssh.ConnMetadata, ssh.PublicKey) (*ssh.Permissions, error) { return nil, nil }}
	config.AddHostKey(host)
	l, err := net.Listen("tcp", "0.0.0.0:0")
	if err != nil {
		panic(err)
	}
	fmt.Println(l.Addr().(*net.TCPAddr).Port)
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		os.Exit(0)
	}()
	s := &server{config: config, command: func(r *request) {
		nonce, _ := telemetry.NonceIn(r.command)
		_, _ = io.WriteString(r, telemetry.StreamLine(nonce))
		go func() {
			_, _ = io.Copy(io.Discard, r)
			r.exit(0)
		}()
		kilobyte := make([]byte, 1000)
		tick := time.NewTicker(time.Second)
		defer tick.Stop()
		for {
			if _, err := r.Write(kilobyte); err != nil {
				return
			}
			select {
			case <-tick.C:
			case <-r.ended:
				return
			}
		}
	}}
	for {
		c, err := l.Accept()
		if err != nil {
			return
		}
		go s.serve(c)
	}
}

// benchNodes starts that process and gives its port and host key.
func benchNodes(b *testing.B) (int, ssh.PublicKey) {
	b.Helper()
	private, host := newPrivate(b)
	self, err := os.Executable()
	if err != nil {
		b.Fatal(err)
	}
	cmd := exec.Command(self)
	cmd.Env = append(os.Environ(), benchServer+"="+base64.StdEncoding.EncodeToString(private))
	in, err := cmd.StdinPipe()
	if err != nil {
		b.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		b.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		in.Close()
		_ = cmd.Wait()
	})
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		b.Fatal(err)
	}
	port, err := strconv.Atoi(strings.TrimSpace(line))
	if err != nil {
		b.Fatal(err)
	}
	return port, host.PublicKey()
}

func cpu() time.Duration {
	var u syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &u)
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// rss is the resident size of this process in bytes, 0 where /proc does not tell.
func rss() int {
	debug.FreeOSMemory()
	f, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		return 0
	}
	pages, _ := strconv.Atoi(strings.Fields(string(f))[1])
	return pages * os.Getpagesize()
}

func benchAddress(i int) string { return fmt.Sprintf("127.1.%d.%d", i/200, i%200+1) }

type counter struct {
	live    atomic.Int64
	all     chan struct{}
	want    int64
	streams sync.Map
}

func (c *counter) Status(node string, s Status) {
	if s.State == Live {
		if _, again := c.streams.LoadOrStore(node, true); !again && c.live.Add(1) == c.want && c.all != nil {
			close(c.all)
		}
	}
}

func (c *counter) Serve(_ context.Context, _ string, r io.Reader, _ io.Writer) error {
	buf := make([]byte, 2048)
	for {
		if _, err := r.Read(buf); err != nil {
			return err
		}
	}
}

// BenchmarkConnect measures from New to all streams live: client CPU a node, wall time, memory and goroutines a node; "floor" is bare
// x/crypto/ssh doing the same with 16 in flight.
func BenchmarkConnect(b *testing.B) {
	nodes := 1000
	if testing.Short() {
		nodes = 200
	}
	port, host := benchNodes(b)
	key := newSigner(b)
	report := func(b *testing.B, used, wall time.Duration) {
		b.ReportMetric(float64(used.Microseconds())/1000/float64(nodes*b.N), "cpu-ms/node")
		b.ReportMetric(wall.Seconds()/float64(b.N), "s-wall")
	}
	b.Run(fmt.Sprintf("floor-%d", nodes), func(b *testing.B) {
		begun, before := time.Now(), cpu()
		for range b.N {
			floor(b, nodes, port, host, key)
		}
		report(b, cpu()-before, time.Since(begun))
	})
	run := func(b *testing.B, known func(r *Resolved)) {
		var used, wall time.Duration
		for range b.N {
			size, goroutines := rss(), runtime.NumGoroutine()
			c := &counter{all: make(chan struct{}), want: int64(nodes)}
			p := New(Config{Home: b.TempDir()}, c)
			_, _ = p.scripts() // hashing this test binary is not the node's cost
			begun, before := time.Now(), cpu()
			for i := range nodes {
				r := &Resolved{HostName: benchAddress(i), Port: port, User: "u", IdentityAgent: "none", Signers: []ssh.Signer{key}}
				known(r)
				p.Add(Target{Name: r.HostName, Resolved: r})
			}
			<-c.all
			used, wall = used+cpu()-before, wall+time.Since(begun)
			b.ReportMetric(float64(rss()-size)/1024/float64(nodes), "KiB-rss/node")
			b.ReportMetric(float64(runtime.NumGoroutine()-goroutines)/float64(nodes), "goroutines/node")
			closing := time.Now()
			p.Close()
			b.ReportMetric(time.Since(closing).Seconds(), "s-close")
		}
		report(b, used, wall)
	}
	b.Run(fmt.Sprintf("pool-%d", nodes), func(b *testing.B) {
		run(b, func(r *Resolved) { r.HostKeys = []ssh.PublicKey{host} })
	})
	var text strings.Builder
	text.WriteString(hashedFile(b, 5000-nodes/3))
	for i := range nodes {
		text.WriteString(keyLine(knownhosts.HashHostname(fmt.Sprintf("[%s]:%d", benchAddress(i), port)), host) + "\n")
	}
	path := knownHosts(b, text.String())
	b.Run(fmt.Sprintf("pool-hashed-known-hosts-%d", nodes), func(b *testing.B) {
		run(b, func(r *Resolved) { r.UserKnownHosts = []string{path} })
	})
}

// BenchmarkSteady measures what a stream of 1 KB a second a node costs once all are live.
func BenchmarkSteady(b *testing.B) {
	nodes, hold := 1000, 10*time.Second
	if testing.Short() {
		nodes, hold = 200, 3*time.Second
	}
	port, host := benchNodes(b)
	key := newSigner(b)
	c := &counter{all: make(chan struct{}), want: int64(nodes)}
	p := New(Config{Home: b.TempDir()}, c)
	defer p.Close()
	for i := range nodes {
		r := &Resolved{HostName: benchAddress(i), Port: port, User: "u", IdentityAgent: "none", Signers: []ssh.Signer{key}, HostKeys: []ssh.PublicKey{host}}
		p.Add(Target{Name: r.HostName, Resolved: r})
	}
	<-c.all
	var used, wall time.Duration
	for range b.N {
		begun, before := time.Now(), cpu()
		time.Sleep(hold)
		used, wall = used+cpu()-before, wall+time.Since(begun)
	}
	b.ReportMetric(100*used.Seconds()/wall.Seconds(), "%-of-a-core")
}

// floor connects, starts the command and reads the start line with x/crypto/ssh alone.
func floor(b *testing.B, nodes, port int, host ssh.PublicKey, key ssh.Signer) {
	slots := make(chan struct{}, paceFirst)
	var clients []*ssh.Client
	var mu sync.Mutex
	var all sync.WaitGroup
	for i := range nodes {
		slots <- struct{}{}
		all.Add(1)
		go func() {
			defer all.Done()
			defer func() { <-slots }()
			addr := net.JoinHostPort(benchAddress(i), strconv.Itoa(port))
			c, err := ssh.Dial("tcp", addr, &ssh.ClientConfig{User: "u", Auth: []ssh.AuthMethod{ssh.PublicKeys(key)}, HostKeyCallback: ssh.FixedHostKey(host)})
			if err != nil {
				b.Error(err)
				return
			}
			mu.Lock()
			clients = append(clients, c)
			mu.Unlock()
			s, err := c.NewSession()
			if err != nil {
				b.Error(err)
				return
			}
			out, err := s.StdoutPipe()
			if err == nil {
				err = s.Start("FORETOP_NONCE=" + newNonce())
			}
			if err == nil {
				_, err = bufio.NewReader(out).ReadString('\n')
			}
			if err != nil {
				b.Error(err)
			}
		}()
	}
	all.Wait()
	for _, c := range clients {
		c.Close()
	}
}
