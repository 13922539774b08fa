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

// benchSizes are the fleets of the benchmarks.
func benchSizes() []int {
	if testing.Short() {
		return []int{200}
	}
	return []int{1000, 5000}
}

// BenchmarkConnect measures from New to all streams live: client CPU a node, wall time, memory and goroutines a node; "floor" is bare
// x/crypto/ssh doing the same with 16 in flight.
func BenchmarkConnect(b *testing.B) {
	port, host := benchNodes(b)
	key := newSigner(b)
	for _, nodes := range benchSizes() {
		benchConnect(b, nodes, port, host, key)
	}
}

func benchConnect(b *testing.B, nodes, port int, host ssh.PublicKey, key ssh.Signer) {
	report := func(b *testing.B, used, wall time.Duration) {
		b.ReportMetric(float64(used.Microseconds())/1000/float64(nodes*b.N), "cpu-ms/node")
		b.ReportMetric(wall.Seconds()/float64(b.N), "s-wall")
	}
	b.Run(fmt.Sprintf("floor-%d", nodes), func(b *testing.B) {
		var used, wall time.Duration
		for range b.N {
			size, goroutines := rss(), runtime.NumGoroutine()
			begun, before := time.Now(), cpu()
			clients := floor(b, nodes, port, host, key)
			used, wall = used+cpu()-before, wall+time.Since(begun)
			b.ReportMetric(float64(rss()-size)/1024/float64(nodes), "KiB-rss/node")
			b.ReportMetric(float64(runtime.NumGoroutine()-goroutines)/float64(nodes), "goroutines/node")
			for _, c := range clients {
				c.Close()
			}
		}
		report(b, used, wall)
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
	text.WriteString(hashedFile(b, max(0, 5000-nodes/3)))
	for i := range nodes {
		text.WriteString(keyLine(knownhosts.HashHostname(fmt.Sprintf("[%s]:%d", benchAddress(i), port)), host) + "\n")
	}
	path := knownHosts(b, text.String())
	b.Run(fmt.Sprintf("pool-hashed-known-hosts-%d", nodes), func(b *testing.B) {
		run(b, func(r *Resolved) { r.UserKnownHosts = []string{path} })
	})
}

// BenchmarkSteady measures what a stream of 1 KB a second a node costs once all are live, and what it costs bare x/crypto/ssh.
func BenchmarkSteady(b *testing.B) {
	port, host := benchNodes(b)
	key := newSigner(b)
	for _, nodes := range benchSizes() {
		b.Run(fmt.Sprint("pool-", nodes), func(b *testing.B) { benchSteady(b, nodes, port, host, key) })
		b.Run(fmt.Sprint("floor-", nodes), func(b *testing.B) {
			clients := floor(b, nodes, port, host, key)
			holdSteady(b)
			for _, c := range clients {
				c.Close()
			}
		})
	}
}

// holdSteady measures a while of what goes on.
func holdSteady(b *testing.B) {
	hold := 10 * time.Second
	if testing.Short() {
		hold = 3 * time.Second
	}
	var used, wall time.Duration
	for range b.N {
		begun, before := time.Now(), cpu()
		time.Sleep(hold)
		used, wall = used+cpu()-before, wall+time.Since(begun)
	}
	b.ReportMetric(100*used.Seconds()/wall.Seconds(), "%-of-a-core")
	b.ReportMetric(float64(rss())/(1<<20), "MiB-rss")
}

func benchSteady(b *testing.B, nodes, port int, host ssh.PublicKey, key ssh.Signer) {
	c := &counter{all: make(chan struct{}), want: int64(nodes)}
	p := New(Config{Home: b.TempDir()}, c)
	defer p.Close()
	for i := range nodes {
		r := &Resolved{HostName: benchAddress(i), Port: port, User: "u", IdentityAgent: "none", Signers: []ssh.Signer{key}, HostKeys: []ssh.PublicKey{host}}
		p.Add(Target{Name: r.HostName, Resolved: r})
	}
	<-c.all
	holdSteady(b)
}

// floor connects, starts the command and reads with x/crypto/ssh alone.
func floor(b *testing.B, nodes, port int, host ssh.PublicKey, key ssh.Signer) []*ssh.Client {
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
			buf := make([]byte, 2048)
			if err == nil {
				_, err = out.Read(buf)
			}
			if err != nil {
				b.Error(err)
				return
			}
			go func() {
				for {
					if _, err := out.Read(buf); err != nil {
						return
					}
				}
			}()
		}()
	}
	all.Wait()
	return clients
}
