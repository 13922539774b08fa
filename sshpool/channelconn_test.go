package sshpool

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// relay is a network path to a server that can hang: the connections that it then carries pass nothing more, and do not end.
type relay struct {
	listener net.Listener
	mu       sync.Mutex
	hung     chan struct{} // closed when the present connections hang
}

func newRelay(t testing.TB, to string) *relay {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	r := &relay{listener: l, hung: make(chan struct{})}
	over := make(chan struct{})
	t.Cleanup(func() {
		close(over)
		l.Close()
	})
	go func() {
		for {
			in, err := l.Accept()
			if err != nil {
				return
			}
			out, err := net.Dial("tcp", to)
			if err != nil {
				in.Close()
				continue
			}
			r.mu.Lock()
			hung := r.hung
			r.mu.Unlock()
			end := func() {
				in.Close()
				out.Close()
			}
			pass := func(to, from net.Conn) {
				defer end()
				buf := make([]byte, 32<<10)
				for {
					n, err := from.Read(buf)
					if isClosed(hung) {
						<-over
						return
					}
					if _, failed := to.Write(buf[:n]); err != nil || failed != nil {
						return
					}
				}
			}
			go pass(in, out)
			go pass(out, in)
		}
	}()
	return r
}

// hang stops what goes over the connections of now; later ones work.
func (r *relay) hang() {
	r.mu.Lock()
	defer r.mu.Unlock()
	close(r.hung)
	r.hung = make(chan struct{})
}

func (r *relay) port() int { return r.listener.Addr().(*net.TCPAddr).Port }

// behindJump gives a pool whose node "n" is at port, behind a jump host whose network path can hang.
func behindJump(t *testing.T, node *server, port int, timing Timing) (*Pool, *recorder, *relay) {
	t.Helper()
	config, _, key := writeConfig(t, "User u\n")
	jump := newServer(t, nil, key.PublicKey())
	path := newRelay(t, jump.listener.Addr().String())
	line := strings.Replace(hostLine(jump), strconv.Itoa(jump.port()), strconv.Itoa(path.port()), 1)
	known := []string{line}
	if node != nil {
		known = append(known, hostLine(node))
	}
	appendFile(t, config, "UserKnownHostsFile "+knownHosts(t, known...)+"\n")
	appendFile(t, config, fmt.Sprintf("Host jump\n HostName 127.0.0.1\n Port %d\n", path.port()))
	appendFile(t, config, fmt.Sprintf("Host n\n HostName 127.0.0.1\n Port %d\n ProxyJump jump\n", port))
	p, rec := newTestPool(t, Config{ConfigFile: config, Timing: timing})
	p.Add(Target{Name: "n"})
	return p, rec, path
}

func hasty() Timing {
	t := quick()
	t.Quiet, t.Gone, t.Sweep, t.Dial = 300*time.Millisecond, time.Second, 20*time.Millisecond, time.Second
	return t
}

// A jump host hangs with the node behind it: the node is lost all the same, and lives again when a new connection to the jump host works.
func TestLostBehindHungJump(t *testing.T) {
	node := newServer(t, collect)
	_, rec, path := behindJump(t, node, node.port(), hasty())
	_, at := rec.reached("n", Live, 0)
	path.hang()
	_, at = rec.reached("n", Lost, at)
	rec.reached("n", Live, at)
}

func TestRemoveBehindHungJump(t *testing.T) {
	node := newServer(t, collect)
	timing := hasty()
	timing.Quiet, timing.Gone = time.Hour, time.Hour
	p, rec, path := behindJump(t, node, node.port(), timing)
	rec.reached("n", Live, 0)
	p.mu.Lock()
	n := p.nodes["n"]
	p.mu.Unlock()
	path.hang()
	p.Remove("n")
	select {
	case <-n.ended:
	case <-time.After(patience):
		t.Fatal("the removed node goes on")
	}
}

// The node says nothing and then the jump host hangs, too: the handshake has its deadline all the same.
func TestHandshakeBehindHungJump(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	timing := hasty()
	timing.Handshake = 2 * time.Second
	_, rec, path := behindJump(t, nil, l.Addr().(*net.TCPAddr).Port, timing)
	conn, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	time.Sleep(200 * time.Millisecond) // the channel's confirmation passes
	path.hang()
	s, _ := rec.reached("n", Lost, 0)
	if !strings.Contains(s.Cause, "says nothing") {
		t.Errorf("cause %q", s.Cause)
	}
}

// quietChannel is a channel whose other side never answers: x/crypto's Read, Write and Close do then what these do.
type quietChannel struct{ over chan struct{} }

func (q quietChannel) Read([]byte) (int, error)                       { <-q.over; return 0, io.EOF }
func (q quietChannel) Write([]byte) (int, error)                      { <-q.over; return 0, io.EOF }
func (q quietChannel) Close() error                                   { <-q.over; return nil }
func (q quietChannel) CloseWrite() error                              { return nil }
func (q quietChannel) SendRequest(string, bool, []byte) (bool, error) { return false, io.EOF }
func (q quietChannel) Stderr() io.ReadWriter                          { return nil }

func TestChannelConnEnds(t *testing.T) {
	read := func(c net.Conn) error { _, err := c.Read(make([]byte, 8)); return err }
	write := func(c net.Conn) error { _, err := c.Write([]byte("words")); return err }
	for name, c := range map[string]struct {
		do, end func(net.Conn) error
		want    error
	}{
		"read, closed":    {read, net.Conn.Close, net.ErrClosed},
		"write, closed":   {write, net.Conn.Close, net.ErrClosed},
		"read, deadline":  {read, func(c net.Conn) error { return c.SetReadDeadline(time.Now().Add(-time.Second)) }, os.ErrDeadlineExceeded},
		"write, deadline": {write, func(c net.Conn) error { return c.SetWriteDeadline(time.Now().Add(time.Millisecond)) }, os.ErrDeadlineExceeded},
		"read, both":      {read, func(c net.Conn) error { return c.SetDeadline(time.Now()) }, os.ErrDeadlineExceeded},
	} {
		t.Run(name, func(t *testing.T) {
			q := quietChannel{make(chan struct{})}
			left := make(chan struct{})
			conn := newChannelConn(q, func() { close(left) }, func() {})
			if err := conn.SetDeadline(time.Now().Add(time.Hour)); err != nil { // to be moved, under the waiting one
				t.Fatal(err)
			}
			got := make(chan error, 1)
			go func() { got <- c.do(conn) }()
			time.Sleep(10 * time.Millisecond)
			if err := c.end(conn); err != nil {
				t.Fatal(err)
			}
			select {
			case err := <-got:
				if !errors.Is(err, c.want) {
					t.Errorf("%v", err)
				}
			case <-time.After(patience):
				t.Fatal("hangs")
			}
			conn.Close()
			close(q.over)
			select {
			case <-left:
			case <-time.After(patience):
				t.Error("its place is never given back")
			}
		})
	}
}

// A deadline that has passed and is taken away leaves the connection as good as before, and loses no byte.
func TestChannelConnAfterDeadline(t *testing.T) {
	a, b := net.Pipe()
	defer b.Close()
	conn := newChannelConn(pipeChannel{quietChannel{}, a}, func() {}, func() {})
	defer conn.Close()
	buf := make([]byte, 3)
	_ = conn.SetDeadline(time.Now().Add(time.Millisecond))
	if _, err := conn.Read(buf); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Fatal(err)
	}
	_ = conn.SetDeadline(time.Time{})
	want := strings.Repeat("0123456789", 1000)
	go func() {
		_, _ = io.WriteString(b, want)
		b.Close()
	}()
	got, err := io.ReadAll(conn)
	if string(got) != want || err != nil {
		t.Errorf("%d bytes of %d, %v", len(got), len(want), err)
	}
}

type pipeChannel struct {
	quietChannel
	conn net.Conn
}

func (p pipeChannel) Read(b []byte) (int, error)  { return p.conn.Read(b) }
func (p pipeChannel) Write(b []byte) (int, error) { return p.conn.Write(b) }
func (p pipeChannel) Close() error                { return p.conn.Close() }
