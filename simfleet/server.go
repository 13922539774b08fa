package simfleet

import (
	"crypto/ed25519"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/crypto/ssh"
)

// host is the SSH server of one node.
type host struct {
	fleet  *Fleet
	node   *Node
	addr   string
	port   int
	signer ssh.Signer
	config *ssh.ServerConfig

	gate   gate
	frozen atomic.Bool

	mu       sync.Mutex
	listener net.Listener // nil while the node is dead
	conns    map[*gatedConn]struct{}
	closed   bool
}

// handshakeLimit bounds how long a client may take to log in.
const handshakeLimit = 10 * time.Second

// makeHosts gives every node a key of its own.
func (f *Fleet) makeHosts() error {
	for _, n := range f.model.nodes {
		_, private, err := ed25519.GenerateKey(rand.Reader)
		if err != nil {
			return fmt.Errorf("make host key: %w", err)
		}
		signer, err := ssh.NewSignerFromKey(private)
		if err != nil {
			return fmt.Errorf("make host key: %w", err)
		}
		h := &host{fleet: f, node: n, signer: signer, conns: make(map[*gatedConn]struct{})}
		h.config = &ssh.ServerConfig{ServerVersion: "SSH-2.0-foretop-simfleet", PublicKeyCallback: h.authorize}
		if !f.opts.AnyAlgorithm {
			h.config.KeyExchanges = []string{ssh.KeyExchangeCurve25519}
		}
		h.config.AddHostKey(signer)
		f.hosts = append(f.hosts, h)
	}
	return nil
}

func (h *host) authorize(c ssh.ConnMetadata, key ssh.PublicKey) (*ssh.Permissions, error) {
	if !h.fleet.accepts(c.User(), key) {
		return nil, errors.New("this key is not authorized")
	}
	return nil, nil
}

// listen opens every node's port: the same one on an address each, or, where there is but one loopback address, one each.
func (f *Fleet) listen() error {
	if !f.opts.OneAddress {
		err := f.listenAddresses()
		if err == nil || !errors.Is(err, syscall.EADDRNOTAVAIL) {
			return err
		}
	}
	for _, h := range f.hosts {
		h.addr = "127.0.0.1"
		if err := h.listen(); err != nil {
			f.closeListeners()
			return err
		}
	}
	return nil
}

// listenAddresses tries some ports: one may be taken on one of the addresses.
func (f *Fleet) listenAddresses() (err error) {
	for range 20 {
		port := 0
		for i, h := range f.hosts {
			h.addr, h.port = fmt.Sprintf("127.77.%d.%d", i/250, i%250+1), port
			if err = h.listen(); err != nil {
				break
			}
			port = h.port
		}
		if err == nil {
			return nil
		}
		f.closeListeners()
		if !errors.Is(err, syscall.EADDRINUSE) {
			return err
		}
	}
	return err
}

func (f *Fleet) closeListeners() {
	for _, h := range f.hosts {
		if h.listener != nil {
			h.listener.Close()
			h.listener, h.port = nil, 0
		}
	}
}

// listen opens the host's port; the caller holds its lock, or is alone.
func (h *host) listen() error {
	l, err := net.Listen("tcp", net.JoinHostPort(h.addr, strconv.Itoa(h.port)))
	if errors.Is(err, syscall.EMFILE) {
		return fmt.Errorf("listen for node %s: %w: a fleet of %d nodes needs about %d (ulimit -n)", h.node.name, err, len(h.fleet.hosts), 3*len(h.fleet.hosts)+50)
	}
	if err != nil {
		return fmt.Errorf("listen for node %s: %w", h.node.name, err)
	}
	h.listener = l
	if h.port == 0 { // a node that comes back is where it was
		h.port = l.Addr().(*net.TCPAddr).Port
	}
	return nil
}

// accept serves connections until the listener is closed.
func (h *host) accept(l net.Listener) {
	defer h.fleet.tasks.Done()
	for {
		c, err := l.Accept()
		if err != nil {
			if errors.Is(err, net.ErrClosed) {
				return
			}
			time.Sleep(10 * time.Millisecond) // out of file descriptors, say
			continue
		}
		g := &gatedConn{Conn: c, gate: &h.gate, done: make(chan struct{})}
		if !h.adopt(g) {
			c.Close()
			continue
		}
		go func() {
			defer h.fleet.tasks.Done()
			defer h.forget(g)
			h.serve(g)
		}()
	}
}

// adopt counts a connection in, unless the host is dead.
func (h *host) adopt(g *gatedConn) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed || h.listener == nil {
		return false
	}
	h.conns[g] = struct{}{}
	h.fleet.tasks.Add(1)
	return true
}

func (h *host) forget(g *gatedConn) {
	g.Close()
	h.mu.Lock()
	delete(h.conns, g)
	h.mu.Unlock()
}

// become makes the transport what the node's condition says.
func (h *host) become(c Condition) {
	h.gate.set(c.HalfOpen, c.BytesPerSecond)
	h.frozen.Store(c.Frozen)
	h.mu.Lock()
	defer h.mu.Unlock()
	switch {
	case h.closed:
	case c.Dead && h.listener != nil:
		h.drop()
	case !c.Dead && h.listener == nil:
		if h.listen() == nil { // else once more at the next tick
			h.fleet.tasks.Add(1)
			go h.accept(h.listener)
		}
	}
}

// drop ends the listener and all connections; the caller holds the lock.
func (h *host) drop() {
	if h.listener != nil {
		h.listener.Close()
		h.listener = nil
	}
	for g := range h.conns {
		g.Close()
	}
}

func (h *host) close() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.closed = true
	h.drop()
}

// serve speaks SSH on one connection until it ends.
func (h *host) serve(g *gatedConn) {
	_ = g.SetDeadline(time.Now().Add(handshakeLimit))
	conn, channels, requests, err := ssh.NewServerConn(g, h.config)
	if err != nil {
		return
	}
	_ = g.SetDeadline(time.Time{})
	h.fleet.tasks.Add(1)
	go func() {
		defer h.fleet.tasks.Done()
		ssh.DiscardRequests(requests) // keepalive@openssh.com is answered as OpenSSH does: with a failure
	}()
	var sessions sync.WaitGroup
	for c := range channels {
		if c.ChannelType() != "session" {
			_ = c.Reject(ssh.UnknownChannelType, "only sessions are simulated")
			continue
		}
		channel, in, err := c.Accept()
		if err != nil {
			break
		}
		sessions.Go(func() { h.session(channel, in) })
	}
	_ = conn.Close()
	sessions.Wait()
}
