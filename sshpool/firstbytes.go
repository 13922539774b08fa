package sshpool

import (
	"bytes"
	"errors"
	"net"
	"strings"
	"sync"
	"sync/atomic"
)

// maxFirstBytes is what is kept of what a server says before its version line.
const maxFirstBytes = 1 << 10

// maxHandshake is what a server may send until we are logged in: hundreds of times what one does. Each packet costs time here.
const maxHandshake = 1 << 20

var errTalksTooMuch = errors.New("too much before the login")

// firstBytes is a connection that remembers what came before "SSH-": sshd says there why it drops us, and x/crypto throws it away.
// From the version line on it only passes through.
type firstBytes struct {
	net.Conn
	in       int         // bytes; Read's only
	loggedIn atomic.Bool // there is no limit any more

	mu      sync.Mutex
	any     bool // a byte came
	version bool // "SSH-" came
	said    []byte
	over    bool // the other side is gone

	greeted func(line string) // called once with the version line; nil: nobody waits for it
	line    []byte            // of it, what came
}

func (c *firstBytes) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	if n > 0 && !c.loggedIn.Load() {
		if c.in += n; c.in > maxHandshake {
			return 0, errTalksTooMuch
		}
		c.note(b[:n])
	}
	if err != nil {
		c.mu.Lock()
		c.over = true
		c.mu.Unlock()
	}
	return n, err
}

func (c *firstBytes) trusted() { c.loggedIn.Store(true) }

func (c *firstBytes) note(b []byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.any = true
	if c.version {
		c.hear(b)
		return
	}
	if len(c.said) >= maxFirstBytes {
		return
	}
	c.said = append(c.said, b[:min(len(b), maxFirstBytes-len(c.said))]...)
	if i := bytes.Index(c.said, []byte("SSH-")); i >= 0 {
		c.hear(c.said[i:])
		c.version, c.said = true, append([]byte(nil), c.said[:i]...)
	}
}

// hear takes bytes from the version line on; RFC 4253 gives it 255.
func (c *firstBytes) hear(b []byte) {
	if c.greeted == nil {
		return
	}
	c.line = append(c.line, b[:min(len(b), 255-len(c.line))]...)
	if line, _, ended := bytes.Cut(c.line, []byte("\n")); ended || len(c.line) == 255 {
		c.greeted(string(line))
		c.greeted, c.line = nil, nil
	}
}

// heard tells what came so far.
func (c *firstBytes) heard() (anything, version bool, words string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.any, c.version, strings.TrimSpace(string(c.said))
}

// ended says that nothing more comes.
func (c *firstBytes) ended() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.over
}

func (c *firstBytes) heardAnything() bool {
	anything, _, _ := c.heard()
	return anything
}
