package accelerators

import (
	"encoding/binary"
	"errors"
	"fmt"
	"time"
)

// A client of HTTP/2 (RFC 9113) without TLS that makes one call at a time and knows no more of the protocol than that takes. grpc-go with net/http
// would double the collector.

const (
	h2Data         = 0
	h2Headers      = 1
	h2RSTStream    = 3
	h2Settings     = 4
	h2PushPromise  = 5
	h2Ping         = 6
	h2GoAway       = 7
	h2WindowUpdate = 8
	h2Continuation = 9
)

const (
	h2EndStream  = 0x1 // of DATA and HEADERS
	h2Ack        = 0x1 // of SETTINGS and PING
	h2EndHeaders = 0x4
	h2Padded     = 0x8
	h2Priority   = 0x20
)

const (
	h2Head      = 9
	h2MaxFrame  = 16 << 10  // what a peer may send where it was told nothing else
	h2MaxBlock  = 16 << 10  // of a header block in several frames
	h2MaxFrames = 4096      // of one call, so that a peer that chatters ends
	h2Window    = 1<<20 - 1 // of a stream; more than an answer may have
	h2GiveBack  = 16 << 10  // bytes read after which the connection's window is widened again
)

// h2Preface opens a connection: the magic words, and SETTINGS that forbid a table of headers and pushes, and open a stream's window.
const h2Preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" +
	"\x00\x00\x12\x04\x00\x00\x00\x00\x00" +
	"\x00\x01\x00\x00\x00\x00" + // HEADER_TABLE_SIZE 0
	"\x00\x02\x00\x00\x00\x00" + // ENABLE_PUSH 0
	"\x00\x04\x00\x0f\xff\xff" // INITIAL_WINDOW_SIZE

// socket is a connection.
type socket interface {
	Read([]byte) (int, error)
	Write([]byte) (int, error)
	SetDeadline(time.Time) error
	Close() error
}

// h2Conn is a connection. Any error but a [*grpcError] leaves it unusable.
type h2Conn struct {
	sock   socket
	stream uint32 // the last one opened
	leaves bool   // the server said that it goes
	unread int    // bytes of DATA since the window was last widened
	in     []byte // what was read, and not yet looked at
	buf    [h2Head + h2MaxFrame]byte
	out    []byte
	block  []byte
	hpack  hpackReader
}

var errH2 = errors.New("not HTTP/2")

// errGoes: the server closes the connection in order, and did not take the call.
var errGoes = errors.New("the server closes the connection")

func newH2(sock socket) *h2Conn { return &h2Conn{sock: sock, out: []byte(h2Preface)} }

func (c *h2Conn) close() { c.sock.Close() }

// h2Handler is told what comes back on a stream.
type h2Handler interface {
	field(name string, value []byte) error
	data(b []byte) error
}

// roundTrip sends a request, its headers and body, and reads the answer to its end. Whatever the server does, it returns by the deadline.
func (c *h2Conn) roundTrip(headers, body []byte, deadline time.Time, to h2Handler) error {
	if c.leaves || c.stream >= 1<<31-2 {
		return errGoes
	}
	if c.stream == 0 {
		c.stream = 1
	} else {
		c.stream += 2
	}
	if err := c.sock.SetDeadline(deadline); err != nil {
		return err
	}
	c.head(len(headers), h2Headers, h2EndHeaders, c.stream)
	c.out = append(c.out, headers...)
	c.head(len(body), h2Data, h2EndStream, c.stream)
	c.out = append(c.out, body...)
	for range h2MaxFrames {
		if err := c.flush(); err != nil {
			return err
		}
		f, err := c.frame()
		if err != nil {
			return err
		}
		if done, err := c.handle(f, to); done || err != nil {
			return err
		}
		if !time.Now().Before(deadline) {
			return errLate
		}
	}
	return fmt.Errorf("%w: %d frames and no end", errH2, h2MaxFrames)
}

var errLate = errors.New("no answer in time")

// handle acts on a frame; done says that the answer is whole.
func (c *h2Conn) handle(f h2Frame, to h2Handler) (done bool, err error) {
	ours := f.stream == c.stream
	switch f.kind {
	case h2Settings:
		if f.flags&h2Ack == 0 {
			c.head(0, h2Settings, h2Ack, 0)
		}
	case h2Ping:
		if len(f.payload) != 8 {
			return false, fmt.Errorf("%w: PING of %d bytes", errH2, len(f.payload))
		}
		if f.flags&h2Ack == 0 {
			c.head(8, h2Ping, h2Ack, 0)
			c.out = append(c.out, f.payload...)
		}
	case h2GoAway:
		if len(f.payload) < 8 {
			return false, fmt.Errorf("%w: GOAWAY of %d bytes", errH2, len(f.payload))
		}
		c.leaves = true
		if binary.BigEndian.Uint32(f.payload)&(1<<31-1) < c.stream {
			return false, errGoes
		}
	case h2RSTStream:
		if ours && len(f.payload) == 4 {
			return false, &grpcError{code: grpcUnavailable, words: fmt.Sprintf("the server reset the call (%d)", binary.BigEndian.Uint32(f.payload))}
		}
	case h2Headers:
		return c.headers(f, ours, to)
	case h2Data:
		return c.data(f, ours, to)
	case h2PushPromise, h2Continuation:
		return false, fmt.Errorf("%w: frame %d out of place", errH2, f.kind)
	}
	return false, nil
}

func (c *h2Conn) data(f h2Frame, ours bool, to h2Handler) (done bool, err error) {
	if c.unread += len(f.payload); c.unread >= h2GiveBack {
		c.head(4, h2WindowUpdate, 0, 0)
		c.out = binary.BigEndian.AppendUint32(c.out, uint32(c.unread))
		c.unread = 0
	}
	b, ok := f.unpadded()
	if !ok {
		return false, fmt.Errorf("%w: padding", errH2)
	}
	if !ours {
		return false, nil // of a call that is over
	}
	return f.flags&h2EndStream != 0, to.data(b)
}

// headers reads a header block, which may go on in CONTINUATION frames, between which nothing else may come.
func (c *h2Conn) headers(f h2Frame, ours bool, to h2Handler) (done bool, err error) {
	b, ok := f.unpadded()
	if ok && f.flags&h2Priority != 0 {
		if ok = len(b) >= 5; ok {
			b = b[5:]
		}
	}
	if !ok {
		return false, fmt.Errorf("%w: padding", errH2)
	}
	c.block = append(c.block[:0], b...)
	for flags := f.flags; flags&h2EndHeaders == 0; {
		next, err := c.frame()
		if err != nil {
			return false, err
		}
		if next.kind != h2Continuation || next.stream != f.stream || len(c.block)+len(next.payload) > h2MaxBlock || len(next.payload) == 0 {
			return false, fmt.Errorf("%w: headers without an end", errH2)
		}
		c.block = append(c.block, next.payload...)
		flags = next.flags
	}
	if !ours {
		return false, nil
	}
	var refused error
	if err := c.hpack.read(c.block, func(name string, value []byte) {
		if refused == nil {
			refused = to.field(name, value)
		}
	}); err != nil {
		return false, err
	}
	return f.flags&h2EndStream != 0, refused
}

// h2Frame is a frame; the payload is valid until the next one is read.
type h2Frame struct {
	kind, flags byte
	stream      uint32
	payload     []byte
}

// unpadded is the payload without its padding.
func (f h2Frame) unpadded() ([]byte, bool) {
	if f.flags&h2Padded == 0 {
		return f.payload, true
	}
	if len(f.payload) == 0 || int(f.payload[0]) >= len(f.payload) {
		return nil, false
	}
	return f.payload[1 : len(f.payload)-int(f.payload[0])], true
}

// frame reads the next frame.
func (c *h2Conn) frame() (h2Frame, error) {
	if err := c.need(h2Head); err != nil {
		return h2Frame{}, err
	}
	size := int(c.in[0])<<16 | int(c.in[1])<<8 | int(c.in[2])
	if size > h2MaxFrame {
		return h2Frame{}, fmt.Errorf("%w: a frame of %d bytes", errH2, size)
	}
	if err := c.need(h2Head + size); err != nil {
		return h2Frame{}, err
	}
	f := h2Frame{kind: c.in[3], flags: c.in[4], stream: binary.BigEndian.Uint32(c.in[5:]) & (1<<31 - 1), payload: c.in[h2Head : h2Head+size]}
	c.in = c.in[h2Head+size:]
	return f, nil
}

// need reads until there are n bytes, at most a frame's.
func (c *h2Conn) need(n int) error {
	if len(c.in) < n {
		c.in = c.buf[:copy(c.buf[:], c.in)]
	}
	for len(c.in) < n {
		got, err := c.sock.Read(c.buf[len(c.in):])
		c.in = c.buf[:len(c.in)+got]
		if err != nil && len(c.in) < n {
			return err
		}
	}
	return nil
}

// head begins a frame that is to be sent.
func (c *h2Conn) head(size int, kind, flags byte, stream uint32) {
	c.out = append(c.out, byte(size>>16), byte(size>>8), byte(size), kind, flags)
	c.out = binary.BigEndian.AppendUint32(c.out, stream)
}

func (c *h2Conn) flush() error {
	if len(c.out) == 0 {
		return nil
	}
	_, err := c.sock.Write(c.out)
	c.out = c.out[:0]
	return err
}
