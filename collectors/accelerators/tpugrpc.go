package accelerators

import (
	"encoding/binary"
	"errors"
	"fmt"
	"strconv"
	"time"

	"foretop/telemetry"
)

// gRPC over HTTP/2 (the project's PROTOCOL-HTTP2), for unary calls.

// Statuses that are told apart.
const (
	grpcOK            = 0
	grpcInvalid       = 3
	grpcNotFound      = 5
	grpcUnimplemented = 12
	grpcUnavailable   = 14
)

// grpcError is an answer that says no. The connection is as good as before.
type grpcError struct {
	code  int
	words string
}

func (e *grpcError) Error() string {
	if e.words == "" {
		return fmt.Sprintf("refused with status %d", e.code)
	}
	return fmt.Sprintf("%s (status %d)", e.words, e.code)
}

// unknown says that the server does not know what was asked for, so that asking again is no use.
func (e *grpcError) unknown() bool {
	return e.code == grpcInvalid || e.code == grpcNotFound || e.code == grpcUnimplemented
}

const (
	grpcPrefix    = 5         // bytes before a message: a flag and the length
	grpcMaxAnswer = 256 << 10 // of a message; a real one has less than 10 KiB
	grpcMaxWords  = 200
)

// grpcConn calls one method of one server.
type grpcConn struct {
	h2      *h2Conn
	headers []byte
	answer  grpcAnswer
}

// dialGRPC connects to a port of this machine. path is "/package.Service/Method".
func dialGRPC(port int, path string, deadline time.Time) (*grpcConn, error) {
	sock, err := dialLocal(port, deadline)
	if err != nil {
		return nil, err
	}
	return &grpcConn{h2: newH2(sock), headers: grpcHeaders("localhost:"+strconv.Itoa(port), path)}, nil
}

func (c *grpcConn) close() { c.h2.close() }

// grpcHeaders is the header block of every call: literals that go into no table, but for what the static one has.
func grpcHeaders(authority, path string) []byte {
	b := []byte{0x80 | 3, 0x80 | 6} // :method POST, :scheme http
	b = hpackLiteral(b, 4, path)
	b = hpackLiteral(b, 1, authority)
	b = hpackLiteral(b, 31, "application/grpc")
	b = hpackLiteral(b, 58, "foretop") // user-agent
	for _, f := range [...][2]string{{"te", "trailers"}, {"grpc-accept-encoding", "identity"}} {
		b = append(b, 0, byte(len(f[0])))
		b = append(b, f[0]...)
		b = append(b, byte(len(f[1])))
		b = append(b, f[1]...)
	}
	return b
}

// hpackLiteral appends a field whose name the static table has; the value is shorter than 127 bytes.
func hpackLiteral(b []byte, name byte, value string) []byte {
	if name < 15 {
		b = append(b, name)
	} else {
		b = append(b, 15, name-15)
	}
	b = append(b, byte(len(value)))
	return append(b, value...)
}

// call sends a message and gives the one that comes back, which is valid until the next call. A [*grpcError] is the server's word; after any other the
// connection is to be closed.
func (c *grpcConn) call(message []byte, deadline time.Time) ([]byte, error) {
	body := make([]byte, grpcPrefix, grpcPrefix+len(message))
	binary.BigEndian.PutUint32(body[1:], uint32(len(message)))
	a := &c.answer
	*a = grpcAnswer{body: a.body[:0], status: -1}
	if err := c.h2.roundTrip(c.headers, append(body, message...), deadline, a); err != nil {
		return nil, err
	}
	return a.message()
}

// grpcAnswer gathers an answer.
type grpcAnswer struct {
	http   string
	typ    string
	status int // grpc-status; -1: not told
	words  string
	body   []byte
}

func (a *grpcAnswer) field(name string, value []byte) error {
	switch name {
	case hpackStatus:
		a.http = string(value)
	case contentType:
		a.typ = string(value)
	case grpcMessage:
		a.words = telemetry.Clean(string(value), grpcMaxWords)
	case grpcStatus:
		n, err := strconv.ParseUint(string(value), 10, 16)
		if err != nil {
			return fmt.Errorf("%w: grpc-status %.20q", errGRPC, value)
		}
		a.status = int(n)
	}
	return nil
}

func (a *grpcAnswer) data(b []byte) error {
	if len(a.body)+len(b) > grpcPrefix+grpcMaxAnswer {
		return fmt.Errorf("%w: an answer of more than %d bytes", errGRPC, grpcMaxAnswer)
	}
	a.body = append(a.body, b...)
	return nil
}

var errGRPC = errors.New("not gRPC")

// message is the message in a whole answer.
func (a *grpcAnswer) message() ([]byte, error) {
	switch {
	case a.status > grpcOK:
		return nil, &grpcError{code: a.status, words: a.words}
	case a.status < 0:
		return nil, fmt.Errorf("%w: HTTP status %.20q, content type %.40q", errGRPC, a.http, a.typ)
	case len(a.body) < grpcPrefix || uint64(len(a.body)-grpcPrefix) != uint64(binary.BigEndian.Uint32(a.body[1:])):
		return nil, &grpcError{code: grpcOK, words: fmt.Sprintf("an answer of %d bytes that is no message", len(a.body))}
	case a.body[0] != 0:
		return nil, &grpcError{code: grpcOK, words: "a compressed answer, though none was asked for"}
	}
	return a.body[grpcPrefix:], nil
}
