package sshpool

import (
	"bytes"
	"net"
	"os"
	"sync"
	"time"

	"golang.org/x/crypto/ssh"
)

// closeGrace is how long the other side may take to confirm a close before the connection that carries the channel is doubted.
const closeGrace = 5 * time.Second

// channelConn is a forwarded channel as a connection. x/crypto's channel knows no deadlines, and its readers and writers end only when the
// other side has confirmed the close, which a jump host that hangs never does. So what may hang is in goroutines of their own: Close and
// deadlines end Read and Write at once and leave them behind, to end with the channel. One goroutine may read at a time.
type channelConn struct {
	channel ssh.Channel
	left    func() // called once the other side has let go of the channel
	stuck   func() // called when it does not after closeGrace

	closed  chan struct{}
	once    sync.Once
	chunks  chan []byte   // what pump read; closed after err is set
	taken   chan struct{} // the chunk is used up
	writing chan struct{} // capacity 1: one write is under way
	ended   chan struct{} // pump has ended
	err     error
	rest    []byte // of the reader's chunk

	readBy, writeBy deadline
}

func newChannelConn(channel ssh.Channel, left, stuck func()) *channelConn {
	c := &channelConn{channel: channel, left: left, stuck: stuck, closed: make(chan struct{}), chunks: make(chan []byte),
		taken: make(chan struct{}, 1), writing: make(chan struct{}, 1), ended: make(chan struct{})}
	go c.pump()
	return c
}

// pump reads the channel to its end; what comes after Close is thrown away.
func (c *channelConn) pump() {
	defer close(c.ended)
	buf := make([]byte, 2<<10) // one a node for good: frames are about as long
	for {
		n, err := c.channel.Read(buf)
		if n > 0 {
			select {
			case c.chunks <- buf[:n]:
				select {
				case <-c.taken:
				case <-c.closed:
					buf = make([]byte, len(buf)) // the reader may still look at the old one
				}
			case <-c.closed:
			}
		}
		if err != nil {
			c.err = err
			close(c.chunks)
			return
		}
	}
}

func (c *channelConn) Read(b []byte) (int, error) {
	if isClosed(c.closed) {
		return 0, net.ErrClosed
	}
	if len(c.rest) == 0 {
		select {
		case chunk, ok := <-c.chunks:
			if !ok {
				return 0, c.err
			}
			c.rest = chunk
		case <-c.closed:
			return 0, net.ErrClosed
		case <-c.readBy.passed():
			return 0, os.ErrDeadlineExceeded
		}
	}
	n := copy(b, c.rest)
	if c.rest = c.rest[n:]; len(c.rest) == 0 {
		select {
		case c.taken <- struct{}{}:
		case <-c.closed:
		}
	}
	return n, nil
}

// Write gives back control at Close and at the deadline; then it is not known how much was written.
func (c *channelConn) Write(b []byte) (int, error) {
	if isClosed(c.closed) {
		return 0, net.ErrClosed
	}
	passed := c.writeBy.passed()
	select {
	case c.writing <- struct{}{}:
	case <-c.closed:
		return 0, net.ErrClosed
	case <-passed:
		return 0, os.ErrDeadlineExceeded
	}
	type written struct {
		n   int
		err error
	}
	done := make(chan written, 1)
	own := bytes.Clone(b) // the caller has b back when we leave a write behind
	go func() {
		n, err := c.channel.Write(own)
		<-c.writing
		done <- written{n, err}
	}()
	select {
	case w := <-done:
		return w.n, w.err
	case <-c.closed:
		return 0, net.ErrClosed
	case <-passed:
		return 0, os.ErrDeadlineExceeded
	}
}

// Close ends Read and Write at once. The other side hears of it when it can.
func (c *channelConn) Close() error {
	c.once.Do(func() {
		close(c.closed)
		go func() {
			doubt := time.AfterFunc(closeGrace, c.stuck)
			_ = c.channel.Close()
			<-c.ended
			doubt.Stop()
			c.left()
		}()
	})
	return nil
}

func (c *channelConn) LocalAddr() net.Addr                { return jumpAddr{} }
func (c *channelConn) RemoteAddr() net.Addr               { return jumpAddr{} }
func (c *channelConn) SetReadDeadline(t time.Time) error  { c.readBy.set(t); return nil }
func (c *channelConn) SetWriteDeadline(t time.Time) error { c.writeBy.set(t); return nil }
func (c *channelConn) SetDeadline(t time.Time) error {
	c.readBy.set(t)
	c.writeBy.set(t)
	return nil
}

type jumpAddr struct{}

func (jumpAddr) Network() string { return "jump" }
func (jumpAddr) String() string  { return "jump" }

// deadline is a time that may be moved, also while somebody waits for it. The zero value never comes.
type deadline struct {
	mu    sync.Mutex
	timer *time.Timer
	past  chan struct{} // closed when the time has come
	moves int
}

// passed is closed when the time has come. It stays good while the deadline is moved before that.
func (d *deadline) passed() <-chan struct{} {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.past == nil {
		d.past = make(chan struct{})
	}
	return d.past
}

// set moves the deadline; the zero time takes it away.
func (d *deadline) set(t time.Time) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.timer != nil {
		d.timer.Stop()
		d.timer = nil
	}
	if d.past == nil || isClosed(d.past) {
		d.past = make(chan struct{})
	}
	d.moves++
	if t.IsZero() {
		return
	}
	move := d.moves
	d.timer = time.AfterFunc(time.Until(t), func() {
		d.mu.Lock()
		defer d.mu.Unlock()
		if d.moves == move { // not moved while this waited for the lock
			close(d.past)
		}
	})
}

func isClosed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}
