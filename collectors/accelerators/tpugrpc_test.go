package accelerators

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
)

const dutyMetric = "tpu.runtime.tensorcore.dutycycle.percent"

// ask asks a server for a metric, within the time given.
func ask(c *grpcConn, metric string, within time.Duration) ([]tpuSample, error) {
	b, err := c.call(tpuRequest(metric), time.Now().Add(within))
	if err != nil {
		return nil, err
	}
	return parseTPUMetric(b, nil)
}

func dial(t testing.TB, port int) *grpcConn {
	t.Helper()
	c, err := dialGRPC(port, tpuMethod, time.Now().Add(10*time.Second))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.close)
	return c
}

// A real gRPC server of the vendor's service: many calls on one connection, an unknown metric in between.
func TestGRPC(t *testing.T) {
	s := startTPU(t, 0)
	s.set(dutyMetric, gauges("as_double", 12.5, 100.0, 0.0))
	c := dial(t, s.port)
	for range 50 {
		got, err := ask(c, dutyMetric, 20*time.Second)
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff([]tpuSample{{0, 12.5}, {1, 100}, {2, 0}}, got, cmp.AllowUnexported(tpuSample{})); d != "" {
			t.Fatal(d)
		}
		var refused *grpcError
		if _, err = ask(c, "no.such.metric", 20*time.Second); !errors.As(err, &refused) || !refused.unknown() || refused.words != `unknown metric "no.such.metric"` {
			t.Fatalf("an unknown metric: %v", err)
		}
	}
	if s.connections() != 1 {
		t.Errorf("%d connections for 100 calls", s.connections())
	}
}

// An answer that is larger than a connection's first window needs it to be widened; one that is larger than any real one is refused.
func TestGRPCSizes(t *testing.T) {
	s := startTPU(t, 0)
	c := dial(t, s.port)
	for _, size := range []int{1, 60 << 10, 200 << 10} {
		for range 3 {
			s.set(dutyMetric, fmt.Sprintf(`metric { description: "%s" metrics { attribute { value { int_attr: 3 } } gauge { as_int: 7 } } }`, strings.Repeat("x", size)))
			got, err := ask(c, dutyMetric, 20*time.Second)
			if err != nil || len(got) != 1 || got[0] != (tpuSample{3, 7}) {
				t.Fatalf("with %d bytes: %v %v", size, got, err)
			}
		}
	}
	s.set(dutyMetric, fmt.Sprintf(`metric { description: "%s" }`, strings.Repeat("x", 2*grpcMaxAnswer)))
	if _, err := ask(c, dutyMetric, 20*time.Second); !errors.Is(err, errGRPC) {
		t.Errorf("a huge answer: %v", err)
	}
}

// A server that does not answer costs no more than the deadline.
func TestGRPCHangs(t *testing.T) {
	s := startTPU(t, 0)
	release := make(chan struct{})
	t.Cleanup(func() { close(release) })
	s.before = func(ctx context.Context, _ string) error {
		select {
		case <-release:
		case <-ctx.Done():
		}
		return nil
	}
	c := dial(t, s.port)
	began := time.Now()
	if _, err := ask(c, dutyMetric, 300*time.Millisecond); err == nil {
		t.Fatal("an answer out of nothing")
	}
	if took := time.Since(began); took < 200*time.Millisecond || took > 20*time.Second {
		t.Errorf("gave up after %v", took)
	}
}

// A server that goes in order is told apart from one that fails: it took no call.
func TestGRPCGoesAway(t *testing.T) {
	s := startTPU(t, 0, grpc.KeepaliveParams(keepalive.ServerParameters{MaxConnectionAge: 50 * time.Millisecond, MaxConnectionAgeGrace: 50 * time.Millisecond}))
	s.set(dutyMetric, gauges("as_int", 1))
	c := dial(t, s.port)
	for late := time.Now().Add(30 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		if _, err := ask(c, dutyMetric, 20*time.Second); errors.Is(err, errGoes) || errors.Is(err, io.EOF) {
			return
		} else if err != nil && !strings.Contains(err.Error(), "reset") && !strings.Contains(err.Error(), "broken pipe") {
			t.Fatal(err)
		} else if err != nil {
			return
		}
		if time.Now().After(late) {
			t.Fatal("the connection stays")
		}
	}
}

func TestGRPCRefuses(t *testing.T) {
	s := startTPU(t, 0)
	s.before = func(context.Context, string) error {
		return status.Error(codes.Internal, "chip \x1b[31m3\x1b[0m is \u202eill")
	}
	c := dial(t, s.port)
	_, err := ask(c, dutyMetric, 20*time.Second)
	var refused *grpcError
	if !errors.As(err, &refused) || refused.code != int(codes.Internal) || refused.unknown() || strings.ContainsAny(err.Error(), "\x1b\u202e") {
		t.Errorf("refused with %q", err)
	}
	if _, err := dialGRPC(freePort(t), tpuMethod, time.Now().Add(time.Second)); err == nil {
		t.Error("connected to a port where nothing listens")
	}
}

func freePort(t testing.TB) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}

// rawServer answers each connection with a function of the test.
func rawServer(t testing.TB, serve func(net.Conn)) int {
	t.Helper()
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
				defer c.Close()
				defer func() {
					if p := recover(); p != nil && p != errClose {
						panic(p)
					}
				}()
				serve(c)
			}()
		}
	}()
	return l.Addr().(*net.TCPAddr).Port
}

// framed speaks HTTP/2 by golang.org/x/net's framer: it reads the preface and the request, then does what the test says.
func framed(t testing.TB, answer func(f *http2.Framer, stream uint32, block func(...string) []byte)) int {
	return rawServer(t, func(c net.Conn) {
		preface := make([]byte, len(http2.ClientPreface))
		if _, err := io.ReadFull(c, preface); err != nil || string(preface) != http2.ClientPreface {
			t.Errorf("preface %q: %v", preface, err)
			return
		}
		f := http2.NewFramer(c, c)
		f.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
		f.WriteSettings()
		var packed bytes.Buffer
		e := hpack.NewEncoder(&packed)
		e.SetMaxDynamicTableSizeLimit(0)
		block := func(fields ...string) []byte {
			packed.Reset()
			for i := 0; i+1 < len(fields); i += 2 {
				e.WriteField(hpack.HeaderField{Name: fields[i], Value: fields[i+1]})
			}
			return bytes.Clone(packed.Bytes())
		}
		for {
			frame, err := f.ReadFrame()
			if err != nil {
				return
			}
			if d, ok := frame.(*http2.DataFrame); ok && d.StreamEnded() {
				answer(f, d.StreamID, block)
			}
		}
	})
}

func message(t testing.TB, text string) []byte {
	t.Helper()
	b, err := proto.Marshal(tpuMessage(t, "MetricResponse", text))
	if err != nil {
		t.Fatal(err)
	}
	return append(binary.BigEndian.AppendUint32([]byte{0}, uint32(len(b))), b...)
}

// What a server may do by the protocol, and what it may not: the client takes the one and gives up at the other, in words.
func TestHTTP2(t *testing.T) {
	good := message(t, gauges("as_int", 5))
	ok := []string{":status", "200", "content-type", "application/grpc"}
	done := []string{"grpc-status", "0"}
	for name, c := range map[string]struct {
		answer func(f *http2.Framer, stream uint32, block func(...string) []byte)
		want   string // "" for an answer; else what the error says
	}{
		"in one go": {func(f *http2.Framer, id uint32, block func(...string) []byte) {
			f.WriteHeaders(http2.HeadersFrameParam{StreamID: id, BlockFragment: block(ok...), EndHeaders: true})
			f.WriteData(id, false, good)
			f.WriteHeaders(http2.HeadersFrameParam{StreamID: id, BlockFragment: block(done...), EndHeaders: true, EndStream: true})
		}, ""},
		"in pieces, padded, with priority, and much in between": {func(f *http2.Framer, id uint32, block func(...string) []byte) {
			f.WritePing(false, [8]byte{1, 2, 3})
			b := block(append([]string{"x-long", strings.Repeat("lorem ipsum ", 60)}, ok...)...)
			f.WriteHeaders(http2.HeadersFrameParam{StreamID: id, BlockFragment: b[:7], PadLength: 9, Priority: http2.PriorityParam{Weight: 3}})
			f.WriteContinuation(id, false, b[7:9])
			f.WriteContinuation(id, true, b[9:])
			f.WriteSettings(http2.Setting{ID: http2.SettingMaxFrameSize, Val: 1 << 20})
			f.WriteData(id+2, true, []byte("of nobody"))
			f.WriteDataPadded(id, false, good[:3], make([]byte, 40))
			f.WriteWindowUpdate(0, 99)
			f.WriteRawFrame(0xbe, 0, 0, []byte("an extension"))
			f.WriteData(id, false, nil)
			f.WriteData(id, false, good[3:])
			f.WriteHeaders(http2.HeadersFrameParam{StreamID: id, BlockFragment: block(done...), EndHeaders: true, EndStream: true})
		}, ""},
		"then goes": {func(f *http2.Framer, id uint32, block func(...string) []byte) {
			f.WriteGoAway(id, http2.ErrCodeNo, nil)
			f.WriteHeaders(http2.HeadersFrameParam{StreamID: id, BlockFragment: block(ok...), EndHeaders: true})
			f.WriteData(id, false, good)
			f.WriteHeaders(http2.HeadersFrameParam{StreamID: id, BlockFragment: block(done...), EndHeaders: true, EndStream: true})
		}, ""},
		"goes before": {func(f *http2.Framer, id uint32, _ func(...string) []byte) { f.WriteGoAway(0, http2.ErrCodeNo, nil) }, errGoes.Error()},
		"trailers only": {func(f *http2.Framer, id uint32, block func(...string) []byte) {
			f.WriteHeaders(http2.HeadersFrameParam{StreamID: id, BlockFragment: block(append(ok, "grpc-status", "12", "grpc-message", "no such method")...), EndHeaders: true, EndStream: true})
		}, "no such method (status 12)"},
		"reset": {func(f *http2.Framer, id uint32, _ func(...string) []byte) {
			f.WriteRSTStream(id, http2.ErrCodeRefusedStream)
		}, "reset the call (7)"},
		"closed": {func(f *http2.Framer, id uint32, _ func(...string) []byte) {
			f.WriteRawFrame(0, 0, id, make([]byte, 3))
			panic(errClose)
		}, "EOF|reset by peer"},
		"compressed": {func(f *http2.Framer, id uint32, block func(...string) []byte) {
			f.WriteHeaders(http2.HeadersFrameParam{StreamID: id, BlockFragment: block(append(ok, "grpc-encoding", "gzip")...), EndHeaders: true})
			f.WriteData(id, false, append([]byte{1}, good[1:]...))
			f.WriteHeaders(http2.HeadersFrameParam{StreamID: id, BlockFragment: block(done...), EndHeaders: true, EndStream: true})
		}, "compressed"},
		"a length that lies": {func(f *http2.Framer, id uint32, block func(...string) []byte) {
			f.WriteHeaders(http2.HeadersFrameParam{StreamID: id, BlockFragment: block(ok...), EndHeaders: true})
			f.WriteData(id, false, []byte{0, 0xff, 0xff, 0xff, 0xff, 1})
			f.WriteHeaders(http2.HeadersFrameParam{StreamID: id, BlockFragment: block(done...), EndHeaders: true, EndStream: true})
		}, "no message"},
		"not gRPC": {func(f *http2.Framer, id uint32, block func(...string) []byte) {
			f.WriteHeaders(http2.HeadersFrameParam{StreamID: id, BlockFragment: block(":status", "404", "content-type", "text/html"), EndHeaders: true})
			f.WriteData(id, true, []byte("<h1>"))
		}, `not gRPC: HTTP status "404", content type "text/html"`},
		"a frame too long": {func(f *http2.Framer, id uint32, _ func(...string) []byte) {
			f.WriteData(id, false, make([]byte, h2MaxFrame+1))
		}, "a frame of 16385 bytes"},
		"headers without an end": {func(f *http2.Framer, id uint32, block func(...string) []byte) {
			f.WriteHeaders(http2.HeadersFrameParam{StreamID: id, BlockFragment: block(ok...)})
			f.WriteData(id, true, good)
		}, "headers without an end"},
		"endless headers": {func(f *http2.Framer, id uint32, block func(...string) []byte) {
			f.WriteHeaders(http2.HeadersFrameParam{StreamID: id, BlockFragment: block(ok...)})
			for f.WriteContinuation(id, false, make([]byte, 4000)) == nil {
			}
		}, "headers without an end"},
		"a table that was forbidden": {func(f *http2.Framer, id uint32, _ func(...string) []byte) {
			f.WriteHeaders(http2.HeadersFrameParam{StreamID: id, BlockFragment: []byte{0x80 | 62}, EndHeaders: true})
		}, errHPACK.Error()},
		"chatter": {func(f *http2.Framer, id uint32, _ func(...string) []byte) {
			for f.WriteWindowUpdate(0, 1) == nil {
			}
		}, "frames and no end"},
		"a push": {func(f *http2.Framer, id uint32, block func(...string) []byte) {
			f.WritePushPromise(http2.PushPromiseParam{StreamID: id, PromiseID: 2, BlockFragment: block(ok...), EndHeaders: true})
		}, "out of place"},
	} {
		t.Run(name, func(t *testing.T) {
			port := framed(t, func(f *http2.Framer, id uint32, block func(...string) []byte) {
				c.answer(f, id, block)
			})
			conn := dial(t, port)
			got, err := ask(conn, dutyMetric, 20*time.Second)
			switch {
			case c.want == "" && (err != nil || len(got) != 1 || got[0] != (tpuSample{0, 5})):
				t.Errorf("%v %v", got, err)
			case c.want != "" && (err == nil || !slices.ContainsFunc(strings.Split(c.want, "|"), func(w string) bool { return strings.Contains(err.Error(), w) })):
				t.Errorf("%v %v, want %q", got, err, c.want)
			}
		})
	}
}

// errClose is what an answer panics with to close its connection.
var errClose = errors.New("close")

// Whatever listens there, it is found out in words, and within the time.
func TestNotGRPC(t *testing.T) {
	for name, serve := range map[string]func(net.Conn){
		"HTTP/1.1": func(c net.Conn) {
			io.WriteString(c, "HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain\r\nConnection: close\r\n\r\n400 Bad Request")
		},
		"an ssh banner": func(c net.Conn) { io.WriteString(c, "SSH-2.0-OpenSSH_8.9p1\r\n") },
		"garbage": func(c net.Conn) {
			r := rand.New(rand.NewPCG(1, 2))
			b := make([]byte, 4096)
			for {
				for i := range b {
					b[i] = byte(r.Uint32())
				}
				if _, err := c.Write(b); err != nil {
					return
				}
			}
		},
		"nothing at all": func(c net.Conn) {},
		"silence":        func(c net.Conn) { io.Copy(io.Discard, c) },
		"a byte now and then": func(c net.Conn) {
			for i := 0; ; i++ {
				if _, err := c.Write([]byte{0}); err != nil {
					return
				}
				time.Sleep(20 * time.Millisecond)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			conn := dial(t, rawServer(t, serve))
			began := time.Now()
			if got, err := ask(conn, dutyMetric, 500*time.Millisecond); err == nil {
				t.Errorf("an answer: %v", got)
			}
			if took := time.Since(began); took > 20*time.Second {
				t.Errorf("took %v", took)
			}
		})
	}
}

// Our reader of headers and golang.org/x/net's writer agree, packed strings and all.
func TestHPACK(t *testing.T) {
	var b bytes.Buffer
	e := hpack.NewEncoder(&b)
	e.SetMaxDynamicTableSizeLimit(0)
	all := make([]byte, 0, 95)
	for c := byte(0x20); c < 0x7f; c++ {
		all = append(all, c)
	}
	fields := []hpack.HeaderField{
		{Name: ":status", Value: "200"}, {Name: ":status", Value: "503"}, {Name: "content-type", Value: "application/grpc+proto"},
		{Name: "x-other", Value: "not looked at"}, {Name: "grpc-status", Value: "14"}, {Name: "grpc-message", Value: string(all)},
		{Name: "grpc-message", Value: strings.Repeat("e", 400), Sensitive: true}, {Name: "grpc-encoding", Value: "identity"}, {Name: "date", Value: "now"},
	}
	var want []string
	for _, f := range fields {
		e.WriteField(f)
		if hpackKnown([]byte(f.Name)) != hpackOther {
			want = append(want, f.Name+"="+f.Value)
		}
	}
	var h hpackReader
	var got []string
	if err := h.read(b.Bytes(), func(name string, value []byte) { got = append(got, name+"="+string(value)) }); err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
	for octet := range 256 {
		packed := hpack.AppendHuffmanString(nil, string([]byte{byte(octet), byte(octet)}))
		if got, ok := huffman(packed, h.value[:0]); !ok || !bytes.Equal(got, []byte{byte(octet), byte(octet)}) {
			t.Errorf("octet %d: %q %v", octet, got, ok)
		}
	}
	for name, bad := range map[string]string{
		"cut in an integer": "\x0f\xff", "an integer too large": "\x7f\xff\xff\xff\xff\xff\x0f", "index 0": "\x80", "a string that is too short": "\x00\x05abc",
		"padding of a whole octet": "\x00\x82\x1f\xff\x01a", "padding of noughts": "\x00\x81\x18\x01a", "the end as a code": "\x00\x84\xff\xff\xff\xff\x01a",
	} {
		if err := h.read([]byte(bad), func(string, []byte) {}); err == nil {
			t.Errorf("%s: taken", name)
		}
	}
}
